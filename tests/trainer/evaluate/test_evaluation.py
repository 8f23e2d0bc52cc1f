"""Whole evaluations: oracle, constant and half-blind backends; resuming after kill -9; comparison; the command."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from mmprolong_trainer.evaluate.backends.scripted import Scripted, constant, every_second_page, oracle, replay
from mmprolong_trainer.evaluate.compare import compare
from mmprolong_trainer.evaluate.evaluation import evaluate
from mmprolong_trainer.evaluate.items import IMAGE, Item, Suite
from mmprolong_trainer.evaluate.probe.build import build_probe
from mmprolong_trainer.evaluate.probe.settings import TASKS, ProbeSettings
from mmprolong_trainer.evaluate.results import ResultStore, read_results
from mmprolong_trainer.evaluate.suites import choose, open_suite
from support.builds import interrupt_when, run
from support.held_out import write_held_out

from mmprolong_data.errors import FormatError, MMProLongError, SettingsError

FILES = ("scores.jsonl", "summary.json", "report.html")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_held_out(tmp_path_factory.mktemp("evaluate") / "dataset")
    build_probe(root, root.parent / "probe", ProbeSettings(lengths=[2048, 4096], depths=5))
    return root.parent / "probe"


def files_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_the_oracle_scores_100_in_every_cell(data: Path, tmp_path: Path) -> None:
    suite = open_suite("probe", data)
    assert len(suite.items) == 2 * 5 * len(TASKS)
    summary = evaluate(suite, oracle(load_pages=True), tmp_path).summary
    assert summary["overall"]["score"] == 100
    cells = [cell for table in summary["depths"].values() for row in table["rows"] for cell in row]
    assert len(cells) == 6 * 5 * 2
    assert all(cell is not None and cell["score"] == 100 for cell in cells)
    rows = [*summary["tasks"], *summary["lengths"], *summary["groups"]["format"], *summary["groups"]["evidence"]]
    assert all(row["score"] == row["low"] == row["high"] == 100 for row in rows)


def test_what_says_nothing_scores_0_and_is_counted(data: Path, tmp_path: Path) -> None:
    suite = open_suite("probe", data)
    overall = evaluate(suite, constant(" "), tmp_path).summary["overall"]
    assert (overall["score"], overall["n"], overall["n_empty"]) == (0, 50, 50)


def test_a_reader_of_every_second_page_scores_what_it_should(data: Path, tmp_path: Path) -> None:
    suite = open_suite("probe", data)
    evaluation = evaluate(suite, every_second_page(), tmp_path)
    even = {item.key: not any(page % 2 for page in item.evidence) for item in suite.items}
    assert 0 < sum(even.values()) < len(even)
    assert {row.key: row.score for row in evaluation.scored} == {key: float(value) for key, value in even.items()}
    for task in evaluation.summary["tasks"]:
        expected = [even[item.key] for item in suite.items if item.task == task["name"]]
        assert task["score"] == pytest.approx(100 * sum(expected) / len(expected), abs=1e-3)


def choices(answers: str) -> Suite:
    items = [
        Item(
            f"q{n}",
            "choice",
            (IMAGE, "Which?"),
            (f"p{n}",),
            lambda: [b""],
            "Which?",
            letter,
            scorer="choice",
            chance=0.25,
        )
        for n, letter in enumerate(answers)
    ]
    return Suite("choices", items)


def test_a_constant_scores_what_chance_says(tmp_path: Path) -> None:
    overall = evaluate(choices("ABCD" * 50), constant("A"), tmp_path).summary["overall"]
    assert overall["score"] == overall["chance"] == 25
    assert overall["low"] < 25 < overall["high"]


def test_nothing_is_asked_twice_and_errors_are_asked_again(tmp_path: Path) -> None:
    suite = choices("ABCD")
    asked: list[str] = []

    def reply(item: Item) -> str | None:
        asked.append(item.key)
        return None if item.key == "q2" and len(asked) < 5 else "A"

    backend = Scripted("test", reply)
    first = evaluate(suite, backend, tmp_path).summary
    assert (first["overall"]["n_error"], first["overall"]["score"]) == (1, 25)
    second = evaluate(suite, backend, tmp_path).summary
    assert asked == ["q0", "q1", "q2", "q3", "q2"]
    assert second["overall"]["n_error"] == 0
    evaluate(suite, Scripted("other", reply), tmp_path)
    assert len(asked) == 9  # other settings: replies of another model never count


def test_a_cut_line_is_dropped_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    suite = choices("ABCD")
    evaluate(suite, constant("A"), tmp_path)
    path = tmp_path / "results.jsonl"
    whole, files = path.read_bytes(), files_of(tmp_path)
    path.write_bytes(whole[:-20])
    evaluate(suite, constant("A"), tmp_path)
    assert len(list(read_results(path))) == 4
    assert files_of(tmp_path) == files
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(FormatError, match="line 1 is damaged"):
        evaluate(suite, constant("A"), tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with ResultStore(tmp_path), pytest.raises(MMProLongError, match="another evaluation is writing here"):
        ResultStore(tmp_path)


def test_a_rerun_after_kill_gives_the_same_report(data: Path, tmp_path: Path) -> None:
    suite = open_suite("probe", data)
    replies = tmp_path / "replies.jsonl"
    lines = [
        json.dumps({"id": item.key, "pred": item.perfect() if n % 3 else "42"}) + "\n"
        for n, item in enumerate(suite.items)
    ]
    replies.write_text("".join(lines))
    arguments = ("evaluate", "--suite", "probe", "--data", data, "--model", f"replay:{replies}", "--out")
    run(*arguments, tmp_path / "whole")
    results = tmp_path / "killed" / "results.jsonl"
    # A file that is being written line by line; the process is killed as soon as some are there.
    code, _ = interrupt_when(
        lambda: results.exists() and results.read_bytes().count(b"\n") >= 5, *arguments, tmp_path / "killed"
    )
    assert code in (-signal.SIGKILL, 0)
    before = results.read_bytes()
    run(*arguments, tmp_path / "killed")
    assert results.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len(list(read_results(results))) == len(suite.items)
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "killed")


def test_replay_says_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(MMProLongError, match="cannot be read"):
        replay(tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(FormatError, match="line 1 is no reply"):
        replay(tmp_path / "bad.jsonl")


def test_what_is_there_is_not_written_into(data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    refused = run("evaluate", "--suite", "probe", "--data", data, "--out", data, "--model", "oracle", code=2).stderr
    assert "and no evaluation. Remedy: an empty or a new folder as --out" in refused
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_requests_is_at_least_one(number: str) -> None:
    refused = run("evaluate", "--concurrency", number, code=2).stderr
    assert f"--concurrency: {number!r}: must be a whole number of at least 1" in refused


def test_a_folder_is_for_one_model_and_one_suite(data: Path, tmp_path: Path) -> None:
    base = ("evaluate", "--suite", "probe", "--data", data, "--limit", "1", "--out", tmp_path / "out")
    run(*base, "--model", "oracle")
    refused = run(*base, "--model", "constant:7", code=2).stderr
    assert "was begun with other settings (backend: 'oracle', now 'constant:7'). Remedy: another --out" in refused
    other = ("evaluate", "--suite", "probe", "--data", data.parent / "dataset", "--out", tmp_path / "out")
    assert "digest: " in run(*other, "--model", "oracle", code=2).stderr
    run(*base, "--model", "oracle", "--scorer", "em", "--lengths", "2K")  # the same replies, scored anew
    (tmp_path / "out" / "run.json").write_text("{")
    assert "run.json: damaged" in run(*base, "--model", "oracle", code=1).stderr


def test_replies_from_a_file_that_changed_are_read_anew(tmp_path: Path) -> None:
    path, suite = tmp_path / "replies.jsonl", choices("AB")
    for second in "AB":
        path.write_text(f'{{"id": "q0", "pred": "A"}}\n{{"id": "q1", "pred": "{second}"}}\n')
        score = evaluate(suite, replay(path), tmp_path / "out").summary["overall"]["score"]
    assert score == 100


def test_comparison_is_paired(tmp_path: Path) -> None:
    suite = choices("ABCD" * 100)
    keys = [item.key for item in suite.items]
    weak, strong = set(keys[::2]), set(keys[::2]) | set(keys[1::8])
    for name, known in (("a", weak), ("b", strong), ("c", weak)):
        evaluate(
            suite, Scripted(name, lambda item, known=known: item.answer if item.key in known else "-"), tmp_path / name
        )
    better = compare(tmp_path / "a", tmp_path / "b")["overall"]
    assert (better["a"], better["b"], better["difference"]) == (50, 62.5, 12.5)
    assert better["verdict"] == "B is better"
    # Paired: only the 50 items that differ spread, sqrt(.125 * .875 / 400) = 1.65 points; unpaired it would be 3.5.
    assert (better["high"] - better["low"]) / (2 * 1.96) == pytest.approx(1.65, abs=0.25)
    same = compare(tmp_path / "a", tmp_path / "c")["overall"]
    assert (same["difference"], same["verdict"]) == (0, "noise")


def test_runs_on_other_data_are_not_compared(tmp_path: Path) -> None:
    evaluate(choices("AB"), constant("A"), tmp_path / "a")
    evaluate(replace(choices("AB"), digest="other"), constant("A"), tmp_path / "b")
    with pytest.raises(MMProLongError, match="digest is '' and 'other'"):
        compare(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FormatError, match="no evaluation here"):
        compare(tmp_path / "a", tmp_path / "none")
    (tmp_path / "a" / "scores.jsonl").write_text("{}\n")
    with pytest.raises(FormatError, match="damaged"):
        compare(tmp_path / "a", tmp_path / "a")


def test_choice_of_items(data: Path) -> None:
    suite = open_suite("probe", data)
    some = choose(suite, lengths=[2048], tasks=["reasoning", "ocr_needle"], limit=2)
    assert len(some.items) == 4
    assert {(item.length, item.task) for item in some.items} == {(2048, "reasoning"), (2048, "ocr_needle")}
    with pytest.raises(SettingsError, match="the lengths 2K, 4K and the tasks"):
        choose(suite, lengths=[77])
    with pytest.raises(SettingsError, match="--limit -1"):
        choose(suite, limit=-1)


def test_an_ordinary_dataset_is_a_suite_too(data: Path, tmp_path: Path) -> None:
    suite = open_suite("probe", data.parent / "dataset")
    assert {item.length for item in suite.items} == {8192}
    summary = evaluate(suite, oracle(), tmp_path).summary
    assert summary["overall"]["score"] == 100
    assert "lengths are upper bounds" in (tmp_path / "report.html").read_text()


def test_command(data: Path, tmp_path: Path) -> None:
    base = ("evaluate", "--suite", "probe", "--data", data)
    for name in ("oracle", "constant:<b>42</b>"):
        done = run(*base, "--model", name, "--out", tmp_path / name[:3])
        assert "n_judge_failed" in done.stdout
    page = (tmp_path / "con" / "report.html").read_text()
    assert "<b>42</b>" not in page
    assert "constant:&lt;b&gt;42" in page
    done = run("evaluate", "--compare", tmp_path / "con", tmp_path / "ora")
    assert "B is better" in done.stdout
    assert (tmp_path / "ora" / "comparison.html").exists()
    assert "--suite, --data: needed" in run("evaluate", "--model", "oracle", code=2).stderr
    assert "neither a URL nor a model folder" in run(*base, "--model", "gpt", code=2).stderr
    assert "must be one of probe" in run("evaluate", "--suite", "x", "--data", data, "--model", "oracle", code=2).stderr
    assert "no such file" in run("evaluate", "--suite", "probe", "--data", "no", "--model", "oracle", code=1).stderr
    assert (
        "no dataset here" in run("evaluate", "--suite", "probe", "--data", tmp_path, "--model", "oracle", code=1).stderr
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MMProLongError, match="cannot be written"):
        evaluate(choices("A"), oracle(), tmp_path / "file")
    assert os.path.exists(tmp_path / "file")  # noqa: PTH110
