"""Probe suites: what their samples consist of, that they are datasets, and that equal settings give equal bytes."""

from __future__ import annotations

import io
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmprolong_trainer.evaluate.items import length_name, parse_lengths
from mmprolong_trainer.evaluate.probe import build, finish
from mmprolong_trainer.evaluate.probe.build import build_probe
from mmprolong_trainer.evaluate.probe.codes import stamp
from mmprolong_trainer.evaluate.probe.layout import FILL, Misfit, Pages, cut_size, lay_out, slot_cost
from mmprolong_trainer.evaluate.probe.pages import ShardPages
from mmprolong_trainer.evaluate.probe.settings import TASKS, ProbeSettings
from mmprolong_trainer.evaluate.probe.source import Source, picture_size
from PIL import Image
from support.builds import content, interrupt_when, run
from support.held_out import PAGES, write_held_out

from mmprolong_data import chat
from mmprolong_data.errors import FormatError, MMProLongError, SettingsError
from mmprolong_data.index import read_index
from mmprolong_data.manifest import read_manifest
from mmprolong_data.schema import Sample
from mmprolong_data.shards import read_shard
from mmprolong_data.verify import verify_dataset
from mmprolong_data.vision import image_tokens

SETTINGS = ProbeSettings(lengths=[1024, 4096], depths=4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_held_out(tmp_path_factory.mktemp("held-out") / "dataset")


@pytest.fixture(scope="module")
def suite(dataset: Path) -> Path:
    build_probe(dataset, dataset.parent / "suite", SETTINGS)
    return dataset.parent / "suite"


@pytest.fixture(scope="module")
def samples(suite: Path) -> list[Sample]:
    return [sample for shard in read_manifest(suite).shards for sample in read_shard(suite / shard["name"])]


def test_every_cell_is_there_and_full(samples: list[Sample]) -> None:
    cells = {(s.config, p["length"], p["depth"]) for s in samples for p in [json.loads(s.meta)["probe"]]}
    assert cells == {(task, length, depth) for task in TASKS for length in (1024, 4096) for depth in range(4)}
    for sample in samples:
        length = json.loads(sample.meta)["probe"]["length"]
        assert FILL * length <= sample.num_tokens <= length
        tokens = [image_tokens(*picture_size(image, sample.id)) for image in sample.images]
        assert sample.num_tokens == chat.count_tokens(sample.messages, tokens, chat.open_counter("estimate"))


def test_evidence_stands_at_its_depth(samples: list[Sample]) -> None:
    for sample in samples:
        probe = json.loads(sample.meta)["probe"]
        last = sample.evidence_pages[-1]
        if probe["depth"] == 0:
            assert sample.evidence_pages[0] == 0
        if probe["depth"] == 3:
            assert last == sample.num_pages - 1
    for task in TASKS:
        for length in (1024, 4096):
            probes = [json.loads(s.meta)["probe"] for s in samples if s.config == task]
            places = [p["place"] for p in sorted(probes, key=lambda p: p["depth"]) if p["length"] == length]
            assert places == sorted(places)
            assert places[0] == 0 < places[-1]


def test_pages_are_the_documents_own_and_the_labels_say_which(dataset: Path, samples: list[Sample]) -> None:
    source = Source(dataset, "validation")
    for sample in samples:
        probe = json.loads(sample.meta)["probe"]
        labels = [p["text"] for p in sample.messages[0]["content"] if p["type"] == "text"][:-1]
        expected = [
            (run["doc_id"], run["number"], page)
            for run in probe["documents"]
            for page in range(run["pages"][0], run["pages"][1] + 1)
        ]
        assert len(expected) == sample.num_pages
        stamped = {*probe["decoys"], *(sample.evidence_pages if sample.config == "planted_code" else [])}
        for position, (doc_id, number, page) in enumerate(expected):
            assert labels[position] == f"Document {number}, page {page + 1}:"
            original = source.pages(doc_id)[page]
            same = sample.images[position] == original
            outermost = position in (0, sample.num_pages - 1)
            assert same or outermost or position in stamped
            assert not (same and position in stamped)
        evidence = [expected[position] for position in sample.evidence_pages]
        assert all(doc_id == sample.doc_id for doc_id, _, _ in evidence)
        assert [page + probe["offset"] for _, _, page in evidence] == list(sample.evidence_pages)


def test_questions_name_the_document_and_are_the_same_at_every_depth_and_length(samples: list[Sample]) -> None:
    for task in TASKS:
        asked = {s.question for s in samples if s.config == task}
        assert len(asked) == 1
        assert (task == "planted_code") != asked.pop().startswith("This question is about document ")


def test_no_document_of_training_is_in_it(dataset: Path, samples: list[Sample]) -> None:
    trained = {row.doc_id for row in read_index(dataset / "index" / "extract_single-train.parquet")}
    used = {run["doc_id"] for s in samples for run in json.loads(s.meta)["probe"]["documents"]}
    assert trained
    assert not trained & used


def test_it_is_a_dataset(suite: Path) -> None:
    assert verify_dataset(suite) == []
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(str(suite), "planted_code", split="validation", cache_dir=str(suite.parent / "cache"))
    assert len(rows) == 8
    row = rows[0]
    assert len(row["images"]) == row["num_pages"]
    assert row["answer_format"] == "Integer"
    assert 100_000 <= int(row["answer"]) <= 999_999


def test_inspect_shows_it(suite: Path) -> None:
    run("inspect", suite)
    assert "stamped onto one page" in (suite / "report" / "index.html").read_text()


def test_equal_settings_give_equal_bytes_and_other_ones_others(dataset: Path, suite: Path, tmp_path: Path) -> None:
    small = replace(SETTINGS, lengths=[1024], tasks=["planted_code", "ocr_needle"])
    build_probe(dataset, tmp_path / "a", small)
    build_probe(dataset, tmp_path / "b", small)
    build_probe(dataset, tmp_path / "c", replace(small, seed=1))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")
    again = build_probe(dataset, tmp_path / "a", small)
    assert again.already_complete
    with pytest.raises(MMProLongError, match="other settings"):
        build_probe(dataset, tmp_path / "a", replace(small, seed=1))


def test_what_is_no_suite_is_not_written_to_nor_advised_to_be_removed(dataset: Path, tmp_path: Path) -> None:
    before = content(dataset)
    with pytest.raises(MMProLongError, match=r"is a dataset, and no probe suite\. Remedy: another --out$"):
        build_probe(dataset, dataset, SETTINGS)
    assert content(dataset) == before
    (tmp_path / "letters.txt").touch()
    with pytest.raises(MMProLongError, match=r"no probe suite\. Remedy: another --out$"):
        build_probe(dataset, tmp_path, SETTINGS)


def test_webdataset_gives_the_same_suite(dataset: Path, tmp_path: Path) -> None:
    write_held_out(tmp_path / "tars", container="webdataset")
    small = replace(SETTINGS, lengths=[1024], depths=2, tasks=["extract_multi"])
    build_probe(tmp_path / "tars", tmp_path / "a", small)
    build_probe(dataset, tmp_path / "b", small)
    shards = [read_manifest(tmp_path / name).shards[0]["sha256"] for name in "ab"]
    assert shards[0] == shards[1]


def test_what_does_not_fit_is_counted(dataset: Path, tmp_path: Path) -> None:
    result = build_probe(
        dataset, tmp_path / "a", replace(SETTINGS, lengths=[400, 1024, 1 << 17], tasks=["extract_multi"])
    )
    assert result.cells == {"extract_multi": {400: 0, 1024: 4, 1 << 17: 0}}
    assert set(result.manifest.shortfalls["extract_multi"]) == {"core_too_long at 400", "too_few_pages at 128K"}
    with pytest.raises(MMProLongError, match="core_too_long"):
        build_probe(dataset, tmp_path / "b", replace(SETTINGS, lengths=[400], tasks=["extract_multi"]))
    with pytest.raises(MMProLongError, match=r"no sample in the split 'test'"):
        build_probe(dataset, tmp_path / "c", replace(SETTINGS, split="test"))


def test_an_interrupted_build_is_made_anew(dataset: Path, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / ".probe").mkdir(parents=True)
    (tmp_path / "a" / ".probe" / "planted_code-00000.parquet.tmp").write_bytes(b"half")
    build_probe(dataset, tmp_path / "a", SETTINGS)
    assert content(tmp_path / "a") == content(suite)


class Killed(BaseException):
    """Stands for the end of the process at a place that no signal would hit on demand."""


@pytest.mark.parametrize("step", ["write_index", "write_manifest", "_clear"])
def test_a_build_that_ended_while_it_finished_is_made_anew(
    step: str, dataset: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear = build._clear

    def kill(*arguments: Any) -> None:
        if step == "_clear" and not (tmp_path / "a" / "manifest.json").exists():
            clear(*arguments)  # the one at the begin
            return
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(build if step == "_clear" else finish, step, kill)
        with pytest.raises(Killed):
            build_probe(dataset, tmp_path / "a", SETTINGS)
    again = build_probe(dataset, tmp_path / "a", SETTINGS)
    assert again.already_complete == (step == "_clear")
    assert content(tmp_path / "a") == content(suite)
    assert not (tmp_path / "a" / ".probe").exists()


@pytest.mark.parametrize("seen", [".probe/ocr_needle-00000.parquet", "data"])
def test_kill_and_the_same_command_again(seen: str, dataset: Path, suite: Path, tmp_path: Path) -> None:
    arguments = ("build-probe", dataset, "--out", tmp_path / "a", "--lengths", "1K,4K", "--depths", "4")
    code, _ = interrupt_when(lambda: any((tmp_path / "a").glob(seen)), *arguments)
    assert code in (-signal.SIGKILL, 0)
    run(*arguments)
    assert content(tmp_path / "a") == content(suite)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["README.md", "data", "index", "manifest.json"]


def test_one_build_at_a_time(dataset: Path, tmp_path: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(MMProLongError, match="another build-probe is writing here"):
            build_probe(dataset, tmp_path / "a", SETTINGS)

    build_probe(dataset, tmp_path / "a", replace(SETTINGS, tasks=["reasoning"]), second)


def test_pages_are_read_by_many_threads_and_the_wrong_sample_is_refused(dataset: Path, suite: Path) -> None:
    rows = read_index(suite / "index" / "planted_code-validation.parquet")
    whole = {s.id: list(s.images) for shard in read_manifest(suite).shards for s in read_shard(suite / shard["name"])}
    pages = ShardPages(suite)
    with ThreadPoolExecutor(8) as pool:
        assert [list(found) for found in pool.map(pages.read, rows * 5)] == [whole[row.key] for row in rows * 5]
    with pytest.raises(FormatError, match=f"sample {rows[1].key} is not at position 0"):
        pages.read(replace(rows[1], row=0))
    for wrong in (replace(rows[0], row=10_000), replace(rows[0], shard="data/none.parquet")):
        with pytest.raises(FormatError, match=r"\.parquet: sample .* cannot be read .*Remedy: mmprolong verify"):
            pages.read(wrong)


def test_command(dataset: Path, tmp_path: Path) -> None:
    arguments = (
        "build-probe",
        dataset,
        "--out",
        tmp_path / "p",
        "--lengths",
        "1K",
        "--depths",
        "2",
        "--tasks",
        "reasoning",
    )
    done = run(*arguments)
    assert "reasoning" in done.stdout
    assert "nothing had to be made" in run(*arguments).stdout
    assert "no length" in run("build-probe", dataset, "--lengths", "8X", code=2).stderr
    assert "tasks = ['ocr']" in run("build-probe", dataset, "--tasks", "ocr", code=2).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    assert "is no probe suite" in run("build-probe", dataset, "--out", tmp_path / "full", code=1).stderr


@pytest.mark.parametrize("depth", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("length", [700, 3001, 9000])
def test_layout_keeps_to_its_length_and_depth(length: int, depth: float) -> None:
    sizes = {name: [(280, 392)] * PAGES for name in "abcdefgh"} | {"x": [(28, 56)] * 3}
    pages = Pages(sizes.__getitem__, lambda doc, page: 7)
    layout = lay_out("a", (5, 6), length, depth, iter("xbcdefgh"), pages)
    costs = [slot_cost(slot, pages) for slot in layout.slots]
    assert FILL * length <= sum(costs) == layout.tokens <= length
    assert (layout.slots[layout.start].doc_id, layout.slots[layout.start].page) == ("a", 5)
    assert abs(layout.before - depth * (length - costs[layout.start])) <= 40  # a row of tokens, and a label
    assert len({(slot.doc_id, slot.page) for slot in layout.slots}) == len(layout.slots)
    assert all(not slot.cut for slot in layout.slots[1:-1])
    assert not layout.slots[layout.start].cut


def test_misfits() -> None:
    pages = Pages(lambda doc: [(280, 392)] * 3, lambda doc, page: 7)
    with pytest.raises(Misfit, match="core_too_long"):
        lay_out("a", (0, 3), 400, 0.5, iter("b"), pages)
    with pytest.raises(Misfit, match="too_few_pages"):
        lay_out("a", (0, 1), 4000, 0.5, iter("b"), pages)


def test_cut_size() -> None:
    assert cut_size((280, 392), 3) is None
    assert cut_size((280, 392), 139) == (280, 364)
    for tokens in range(4, 140):
        width, height = cut_size((280, 392), tokens) or (0, 0)
        assert tokens * 0.8 <= image_tokens(width, height) <= tokens


def test_a_stamp_changes_its_box_alone() -> None:
    page = Image.effect_noise((300, 400), 60).convert("RGB")
    stream = io.BytesIO()
    page.save(stream, "JPEG", quality=95)
    for place in ((0.0, 0.0), (1.0, 1.0), (0.4, 0.7)):
        stamped = stamp(stream.getvalue(), "AMBER FALCON", "123456", place)
        assert stamped == stamp(stream.getvalue(), "AMBER FALCON", "123456", place)
        with Image.open(io.BytesIO(stream.getvalue())) as before, Image.open(io.BytesIO(stamped)) as after:
            assert before.size == after.size
            changed = np.abs(np.asarray(before.convert("L"), int) - np.asarray(after.convert("L"), int)) > 60
        assert 0.01 < changed.mean() < 0.25


def test_lengths() -> None:
    assert parse_lengths("128K,8K,8192, 1M") == (8192, 131072, 1 << 20)
    assert [length_name(n) for n in (8192, 1 << 20, 3000, 0)] == ["8K", "1M", "3,000", "-"]
    for wrong in ("8X", "K", "-8K"):
        with pytest.raises(SettingsError, match="no length"):
            parse_lengths(wrong)
