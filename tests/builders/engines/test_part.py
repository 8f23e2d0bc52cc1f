"""Parts of a build in any order, together, killed and failing: the same bytes, and every slice accounted for."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builds import SLICED, command, content, interrupt_when, run

DOCUMENTS = 6


def status(out: Path, code: int = 0) -> dict[str, object]:
    """What ``mmprolong status --json`` says."""
    value: dict[str, object] = json.loads(run("status", out, "--json", code=code).stdout)
    return value


def test_parts_in_any_order_give_the_bytes_of_one_build(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    for part in (2, 0, 1):
        done = run("build", pdfs, "--out", out, *SLICED, "--part", f"{part}/3")
        assert "2 of 6 slices" in done.stdout
        assert not (out / "manifest.json").exists()
    assert status(out)["published"] is False
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == whole
    assert status(out)["published"] is True
    assert "nothing had to be built" in run("build", pdfs, "--out", out, *SLICED).stdout


def test_parts_at_the_same_time_one_killed_in_mid_slice(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """All start at once in an empty folder; each waits for whoever makes the plan."""
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *SLICED, "--part")
    others = [
        subprocess.Popen(command(*arguments, part), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for part in ("0/2", "1/3", "1/2")  # of different divisions too: no slice is built twice at a time
    ]
    code, errors = interrupt_when(lambda: any(out.glob(".work/*/pack/*/*.tmp")), *arguments, "0/3")
    assert code in (0, -signal.SIGKILL), errors
    for process in others:
        _, text = process.communicate(timeout=300)
        assert process.returncode == 0, text
    run(*arguments, "0/2")
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == whole
    assert not list(out.glob("**/*.tmp"))


def test_a_killed_slice_is_not_the_first_one_to_be_tried_again(pdfs: Path, tmp_path: Path) -> None:
    """Else a slice that ends its process (out of memory) would keep all others of its part from their turn."""
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *SLICED, "--part", "0/1")
    code, _ = interrupt_when(lambda: any(out.glob(".work/*/parse/*.tmp")), *arguments)
    assert code == -signal.SIGKILL
    begun = sorted(int(path.name) for path in out.glob(".work/*/locks/*"))
    assert begun
    assert status(out)["interrupted"] == begun
    interrupt_when(lambda: bool(list(out.glob(".work/*/pack/*.json"))), *arguments)
    made = {int(path.stem) for path in out.glob(".work/*/pack/*.json")}
    assert made
    assert not made & set(begun)


def test_a_slice_that_fails_for_good_is_reported_and_the_rest_published(
    pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *SLICED)
    run(*arguments, "--part", "3/6")
    cell = next(out.glob(".work/*/parse/00003.msgpack"))
    obstacle = cell.parent.parent / "qa" / "00001.msgpack" / "in the way"
    obstacle.mkdir(parents=True)  # no file can be renamed to a folder's name
    failed = run(*arguments, code=3)
    assert "slice 1: IsADirectoryError" in failed.stderr
    assert str(out) not in failed.stderr.partition("slice 1")[2].partition("\n")[0]
    now = status(out, code=3)
    assert list(now["failed"]) == ["1"]  # type: ignore[call-overload]
    assert "Is a directory" in json.loads(next(out.glob(".work/*/failed/00001.json")).read_text())["trace"]

    run("verify", out)
    documents = json.loads((out / "manifest.json").read_bytes())["documents"]
    assert documents["left_out"] == {"not_pdf": 1, "slice_error": 1}
    assert documents["used"] + 2 == documents["found"] == DOCUMENTS + 1
    fates = pq.read_table(out / "index" / "documents.parquet").to_pylist()
    assert ["IsADirectoryError" in row["detail"] for row in fates if row["reason"] == "slice_error"] == [True]

    shutil.rmtree(obstacle.parent)
    before = {path.read_bytes() for path in out.glob("data/*/*")}
    run(*arguments)
    assert content(out) == whole  # the shards have got other names, and nothing was rendered twice
    assert before <= {path.read_bytes() for path in out.glob("data/*/*")}
    assert status(out)["failed"] == {}


def test_a_part_with_a_failing_slice_goes_on_with_its_others(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *SLICED)
    run(*arguments, "--part", "1/2")
    cells = next(out.glob(".work/*/plan.parquet")).parent
    (cells / "pack").mkdir(exist_ok=True)
    (cells / "pack" / "00000").write_text("a file where a folder must be")
    assert "slice 0" in run(*arguments, "--part", "0/2", code=3).stderr
    assert {int(path.stem) for path in cells.glob("pack/*.json")} == {1, 2, 3, 4, 5}
    run("build", "--finish", "--out", out, "--no-report", code=3)
    run("verify", out)
    (cells / "pack" / "00000").unlink()
    run(*arguments, "--part", "0/2")
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == whole


def test_finish_names_what_is_missing_or_goes_without(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *SLICED)
    for part in (0, 2, 3):
        run(*arguments, "--part", f"{part}/4")
    errors = run("build", "--finish", "--out", out, code=1).stderr
    assert "2 of 6 slices are missing: 1, 5" in errors
    assert not (out / "manifest.json").exists()
    done = run("build", "--finish", "--incomplete", "--out", out, "--no-report", code=3)
    assert "never completed" in done.stderr
    run("verify", out)
    assert json.loads((out / "manifest.json").read_bytes())["documents"]["left_out"]["slice_error"] == 2
    run(*arguments, "--part", "1/4")
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == whole


def test_parts_of_other_settings_are_refused(pdfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED, "--part", "0/6")
    errors = run("build", pdfs, "--out", out, *SLICED, "--set", "render.dpi=120", "--part", "1/6", code=1).stderr
    assert "render.dpi: 144 -> 120" in errors
    errors = run("build", pdfs, "--out", out, *SLICED, "--format", "both", "--part", "1/6", code=1).stderr
    assert "--format" in errors
    errors = run("build", "--finish", "--out", out, "--set", "seed=3", code=1).stderr
    assert "seed: 0 -> 3" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "3/3"), "from 0 to N-1"),
        (("--part", "1"), "i/N"),
        (("--part", "-1/3"), "i/N"),
        (("--part", "0/3", "--finish"), "only one at a time"),
        (("--incomplete",), "--finish only"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], message: str, pdfs: Path, tmp_path: Path) -> None:
    joined = [arguments[0] + "=" + arguments[1], *arguments[2:]] if len(arguments) > 1 else list(arguments)
    assert message in run("build", pdfs, "--out", tmp_path / "new", *joined, code=2).stderr
    assert not (tmp_path / "new").exists()


def test_no_corpus_and_no_build(tmp_path: Path) -> None:
    assert "no corpus" in run("build", "--out", tmp_path / "new", code=2).stderr
    assert "no build was begun" in run("build", "--finish", "--out", tmp_path / "new", code=1).stderr
    assert "no build was begun" in run("status", tmp_path / "new", code=1).stderr
    assert not (tmp_path / "new").exists()


def test_status_for_people(pdfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED, "--part", "0/2")
    text = run("status", out).stdout
    assert "3 of 6" in text
    assert "--finish" not in text
    run("build", pdfs, "--out", out, *SLICED, "--part", "1/2")
    assert "--finish" in run("status", out).stdout
