"""Whole builds: accounting, determinism, resume after kills, refusals, repair. Every build is a real process."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builds import SHORT, children_of, content, interrupt_when, run
from support.documents import write_corpus, write_report, write_scan

SLICES = ("--set", "pack.documents_per_slice=2")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five reports, and four files that cannot be used."""
    folder = write_corpus(tmp_path_factory.mktemp("pdfs"), 5)
    shutil.copy(folder / "report-0.pdf", folder / "same-again.pdf")
    write_report(folder / "short.pdf", 3, seed=9)
    write_scan(folder / "scan.pdf")
    (folder / "page.pdf").write_text("<html><body>Not a PDF</body></html>")
    return folder


@pytest.fixture(scope="module")
def built(pdfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference: one worker, no interruption, both containers."""
    out = tmp_path_factory.mktemp("one") / "mmprolong"
    run("build", pdfs, "--out", out, "--workers", 1, "--format", "both", *SHORT, *SLICES)
    return out


def test_every_document_is_used_or_left_out_with_a_reason(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_bytes())
    documents = manifest["documents"]
    assert documents["left_out"] == {"duplicate": 1, "needs_ocr": 1, "not_pdf": 1, "too_few_pages": 1}
    assert documents["found"] == 9 == documents["used"] + sum(documents["left_out"].values())
    rows = pq.read_table(built / "index" / "documents.parquet").to_pylist()
    assert len(rows) == 9
    assert sum(not row["reason"] for row in rows) == documents["used"] == 5
    for row in rows:
        assert bool(row["reason"]) != bool(json.loads(row["samples"]))
    samples = sum(sum(json.loads(row["samples"]).values()) for row in rows)
    assert samples == sum(sum(splits.values()) for splits in manifest["samples"].values())


def test_all_five_configs_have_samples(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_bytes())
    counts = {config: sum(splits.values()) for config, splits in manifest["samples"].items()}
    assert counts == dict.fromkeys(("extract_multi", "extract_single", "ocr_full", "ocr_needle", "reasoning"), 5)


def test_nothing_of_the_machine_is_in_the_dataset(built: Path, pdfs: Path) -> None:
    text = (built / "manifest.json").read_text() + (built / "README.md").read_text()
    assert str(pdfs) not in text
    assert str(built) not in text
    for row in pq.read_table(built / "index" / "documents.parquet").to_pylist():
        assert str(pdfs) not in json.dumps(row)


def test_verify_passes_and_names_what_differs(built: Path, tmp_path: Path) -> None:
    for root in (built, built.with_name(built.name + "-wds")):
        run("verify", root)
    copy = shutil.copytree(built, tmp_path / "copy")
    shard = sorted(copy.glob("data/reasoning/*.parquet"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert shard.name in run("verify", copy, code=1).stdout


@pytest.mark.parametrize("workers", [2, 3])
def test_bytes_do_not_depend_on_the_number_of_workers(built: Path, pdfs: Path, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, "--workers", workers, "--format", "both", *SHORT, *SLICES)
    assert content(out) == content(built)
    assert content(out.with_name("mmprolong-wds")) == content(built.with_name("mmprolong-wds"))


def test_bytes_do_not_depend_on_place_or_order_of_the_files(built: Path, pdfs: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(pdfs, tmp_path / "elsewhere")
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(str(path) for path in sorted(moved.iterdir(), reverse=True)))
    out = tmp_path / "mmprolong"
    run("build", listing, "--out", out, "--workers", 2, "--format", "both", *SHORT, *SLICES)
    assert content(out) == content(built)


def test_a_build_killed_again_and_again_ends_with_the_same_bytes(built: Path, pdfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, "--workers", 2, "--format", "both", *SHORT, *SLICES)
    moments = [
        ".work/inventory.parquet",
        ".work/build.json",
        ".work/*/parse/*.tmp",
        ".work/*/parse/*.json",
        ".work/*/qa/*.json",
        ".work/*/pack/*/*.tmp",
        ".work/*/pack/*/*.index",
        ".work/*/pack/*.json",
        "data/*/*",
        "index/*",
    ]
    killed = 0
    for pattern in moments:
        code, errors = interrupt_when(lambda pattern=pattern: any(out.glob(pattern)), *arguments)  # type: ignore[misc]
        assert code in (0, -signal.SIGKILL), errors
        killed += code == -signal.SIGKILL
    assert killed >= 5
    run(*arguments)
    assert content(out) == content(built)
    assert content(out.with_name("mmprolong-wds")) == content(built.with_name("mmprolong-wds"))
    assert not list(out.glob("data/**/*.tmp"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_stops_soon_and_says_how_to_go_on(
    built: Path, pdfs: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, "--workers", 2, "--format", "both", *SHORT, *SLICES)
    ended, errors = interrupt_when(lambda: any(out.glob(".work/*/parse/*.tmp")), *arguments, with_signal=number)
    assert ended == code, errors
    assert "again to go on" in errors
    assert "Traceback" not in errors
    run(*arguments)
    assert content(out) == content(built)


def test_the_same_command_again_builds_nothing(built: Path, pdfs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.glob("data/*/*")}
    done = run("build", pdfs, "--out", built, "--workers", 1, "--format", "both", *SHORT, *SLICES)
    assert "nothing had to be built" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in built.glob("data/*/*")} == before


def test_a_lost_shard_is_made_again(built: Path, pdfs: Path, tmp_path: Path) -> None:
    out = shutil.copytree(built.parent, tmp_path / "copy") / "mmprolong"
    sorted(out.glob("data/extract_multi/*.parquet"))[0].unlink()
    sorted(out.glob("data/ocr_full/*.parquet"))[-1].write_bytes(b"cut")
    done = run("build", pdfs, "--out", out, "--workers", 2, "--format", "both", *SHORT, *SLICES)
    assert "made again" in done.stderr
    assert content(out) == content(built)


def test_other_settings_or_files_are_refused_and_named(built: Path, pdfs: Path, tmp_path: Path) -> None:
    both = ("--format", "both", *SHORT, *SLICES)
    errors = run("build", pdfs, "--out", built, *both, "--set", "render.dpi=120", code=1).stderr
    assert "render.dpi: 144 -> 120" in errors
    assert "--out" in errors
    more = shutil.copytree(pdfs, tmp_path / "more")
    write_report(more / "new-one.pdf", 11, seed=77)
    (more / "report-3.pdf").unlink()
    errors = run("build", more, "--out", built, *both, code=1).stderr
    assert "1 files added, 1 removed" in errors
    assert "+ new-one.pdf" in errors
    assert "- report-3.pdf" in errors
    shutil.copy(more / "report-2.pdf", more / "twice.pdf")
    assert "2 files added, 1 removed" in run("build", more, "--out", built, *both, code=1).stderr
    assert "format" in run("build", pdfs, "--out", built, *SHORT, *SLICES, code=1).stderr


def test_a_second_build_in_the_same_folder_is_refused(pdfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    arguments = ("build", pdfs, "--out", out, "--workers", 1, *SHORT, *SLICES)
    refusals = []

    def second_is_refused() -> bool:
        if not (out / ".work" / "build.json").exists():
            return False
        first = children_of(os.getpid())
        for pid in first:  # held still, so that it cannot end before the second has looked
            os.kill(pid, signal.SIGSTOP)
        try:
            refusals.append(run(*arguments, code=1).stderr)
        finally:
            for pid in first:
                os.kill(pid, signal.SIGCONT)
        return True

    interrupt_when(second_is_refused, *arguments)
    assert "another build (process" in refusals[0]


def test_a_folder_that_is_no_build_is_not_touched(pdfs: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "not empty" in run("build", pdfs, "--out", tmp_path, *SHORT, code=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_document_that_yields_nothing_is_reported(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    folder = write_corpus(tmp_path / "pdfs", 1)
    canvas = Canvas(str(folder / "blank.pdf"), invariant=1)
    for _ in range(10):
        canvas.rect(100, 100, 50, 50)
        canvas.showPage()
    canvas.save()
    out = tmp_path / "mmprolong"
    run("build", folder, "--out", out, "--workers", 1, *SHORT)
    documents = json.loads((out / "manifest.json").read_bytes())["documents"]
    assert documents["used"] == 1
    assert sum(documents["left_out"].values()) == 1
