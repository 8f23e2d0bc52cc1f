"""Hundreds of malformed PDFs through a whole build: it ends, accounts for each, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mmprolong_builders.reasons import DOCUMENT_REASONS
from support import hostile
from support.builds import ENVIRONMENT, run
from support.documents import write_report
from support.scans import picture_of, write_scanned

COUNT = 310
ARGUMENTS = (
    "--workers", "2", "--set", "select.pages=[1,50]", "--set", "render.dpi=36", "--set", "render.min_dpi=36",
    "--set", "pack.documents_per_slice=200", "--no-report",
    "--set",
)  # fmt: skip
WITHOUT_OCR = (*ARGUMENTS, "parse.ocr=never")
"""OCR never sees a PDF, only pictures of pages; it has fewer documents, and a test of its own."""
WITH_OCR = (*ARGUMENTS, "parse.ocr=require", "--set", "ocr.model=tiny", "--set", "ocr_limits.workers=1")

IN_PROCESS = """
import json, resource, sys
from pathlib import Path
from mmprolong_data.cli import main
code = main(sys.argv[1:])
children = [word for path in Path("/proc/self/task").glob("*/children") for word in path.read_text().split()]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("AFTER", json.dumps({"code": code, "children": children, "peak": peak, "pymupdf": "pymupdf" in sys.modules}))
"""
"""A build whose process tells of itself when all is done: zombies are among its children too."""


def sources(folder: Path, url: str) -> list[bytes]:
    """Documents to be damaged: of different writers, compressed or not, with outlines, pictures, forms and links."""
    link = f"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 99 99]/A<</S/URI/URI({url})>>>>]"
    remote = f"/OpenAction<</S/GoToR/F<</FS/URL/F({url})>>/D[0/Fit]>>"
    return [
        write_report(folder / "a", 2, seed=1).read_bytes(),
        write_report(folder / "b", 3, seed=2).read_bytes(),
        hostile.plain(4),
        hostile.document([hostile.text("a link")] * 2, page=link, catalog=remote),
        hostile.document([hostile.text("one"), b" ", hostile.text("three")]),
        hostile.damaged_content(),
        hostile.outline_loop(),
    ]


def damage(data: bytes, chance: random.Random) -> bytes:
    """One malformation, or several."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        kind = chance.randrange(7)
        at = chance.randrange(max(1, len(out)))
        length = chance.choice((1, 4, 30, 200))
        if kind == 0:  # flipped bytes
            for _ in range(chance.choice((1, 8, 60))):
                out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
        elif kind == 1:  # cut off
            del out[max(20, at) :]
        elif kind == 2:  # a piece is lost
            del out[at : at + length]
        elif kind == 3:  # a piece stands twice
            out[at:at] = out[at : at + length] * chance.choice((1, 3))
        elif kind == 4:  # noise
            out[at:at] = chance.randbytes(length)
        elif kind == 5:  # numbers that are not what they were: counts, lengths, offsets, object numbers
            digits = [i for i, byte in enumerate(out) if 48 <= byte <= 57]
            for i in chance.sample(digits, min(len(digits), 12)):
                out[i] = 48 + chance.randrange(10)
        else:  # a name that means something else
            names = (b"/Kids", b"/Count", b"/Length", b"/Font", b"/Parent", b"/Contents", b"/Root")
            one, other = chance.sample(names, 2)
            out = out.replace(one, other)
    return bytes(out)


def write_malformed(folder: Path, count: int, url: str) -> None:
    folder.mkdir()
    whole = sources(folder.parent, url)
    for number in range(count):
        chance = random.Random(f"malformed {number}")
        (folder / f"{number:03d}.pdf").write_bytes(damage(chance.choice(whole), chance))
    bombs = {
        "truncated": hostile.truncated(), "tree-loop": hostile.page_tree_loop(), "missing": hostile.missing_pages(),
        "form-loop": hostile.form_loop(), "encryption": hostile.unknown_encryption(),
        "surrogates": hostile.lone_surrogates(), "empty": b"", "head": b"%PDF-1.7", "zeros": bytes(5000),
    }  # fmt: skip
    bombs |= {f"box-{name}": hostile.document([hostile.text("x")], box=box) for name, box in hostile.BOXES.items()}
    for name, data in bombs.items():
        (folder / f"{name}.pdf").write_bytes(data)
    write_report(folder / "good.pdf", 8, seed=3)


def write_malformed_scans(folder: Path, count: int) -> None:
    folder.mkdir()
    report = write_report(folder.parent / "report.pdf", 1, seed=4)
    scan = write_scanned(folder / "good.pdf", [picture_of(report, 0, 60)], dpi=60)
    for number in range(count):
        (folder / f"{number}.pdf").write_bytes(damage(scan.read_bytes(), random.Random(f"scan {number}")))
    for name, data in {"blank": hostile.blank_page(), "damaged": hostile.damaged_content()}.items():
        (folder / f"{name}.pdf").write_bytes(data)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def build(place: Path, corpus: Path, arguments: Sequence[str] = WITHOUT_OCR) -> dict[str, object]:
    """Build ``corpus`` into ``place/mmprolong`` with home, current and temporary folder inside ``place``."""
    for name in ("home", "tmp", "cwd"):
        (place / name).mkdir(parents=True)
    environment = ENVIRONMENT | {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    done = subprocess.run(
        [sys.executable, "-c", IN_PROCESS, "build", str(corpus), "--out", str(place / "mmprolong"), *arguments],
        capture_output=True, text=True, env=environment, cwd=place / "cwd", timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    value: dict[str, object] = json.loads(done.stdout.rpartition("AFTER")[2])
    return value


def processes_of(place: Path) -> list[str]:
    """Processes that still live in the temporary folder of a build."""
    mark = f"TMPDIR={place / 'tmp'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes through /proc")
def test_malformed_documents_cost_themselves_and_leave_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/secret.pdf"
        pdfs, few = tmp_path / "pdfs", tmp_path / "few"
        write_malformed(pdfs, COUNT, url)
        few.mkdir()
        for number in range(0, COUNT, 12):
            os.link(pdfs / f"{number:03d}.pdf", few / f"{number:03d}.pdf")
        os.link(pdfs / "good.pdf", few / "good.pdf")
        before = snapshot(pdfs)
        small, large = build(tmp_path / "small", few), build(tmp_path / "large", pdfs)
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()
    out = tmp_path / "large" / "mmprolong"

    manifest = json.loads((out / "manifest.json").read_bytes())
    documents = manifest["documents"]
    assert documents["found"] == len(before) >= 300
    assert documents["found"] == documents["used"] + sum(documents["left_out"].values())
    assert set(documents["left_out"]) <= set(DOCUMENT_REASONS)
    assert len(documents["left_out"]) >= 5
    rows = {row["name"]: row for row in pq.read_table(out / "index" / "documents.parquet").to_pylist()}
    assert set(rows) == {Path(path).name for path in before}
    assert rows["good.pdf"]["reason"] == ""
    details = [row["detail"].replace("0x...", "") for row in rows.values()]
    assert not any("0x" in detail or str(tmp_path) in detail for detail in details)
    run("verify", out)

    assert large["code"] == 0
    assert large["children"] == small["children"] == []
    assert large["pymupdf"] is False
    peaks = [value for value in (small["peak"], large["peak"]) if isinstance(value, int)]
    assert peaks[1] - peaks[0] < 48 << 10  # KB, of some 150 MB: it does not grow with the corpus
    assert not processes_of(tmp_path / "large")
    assert snapshot(pdfs) == before
    for place in (tmp_path / "small", tmp_path / "large"):
        assert {path.name for path in place.iterdir()} == {"home", "tmp", "cwd", "mmprolong"}
        assert not [path for name in ("home", "tmp", "cwd") for path in (place / name).rglob("*")]
        assert not list(place.rglob("*.tmp"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes through /proc")
@pytest.mark.usefixtures("ocr_extra")
def test_malformed_scans_cost_themselves_and_their_readers_leave_nothing_behind(tmp_path: Path) -> None:
    pdfs = tmp_path / "pdfs"
    write_malformed_scans(pdfs, 12)
    before = snapshot(pdfs)
    value = build(tmp_path / "built", pdfs, WITH_OCR)
    out = tmp_path / "built" / "mmprolong"
    documents = json.loads((out / "manifest.json").read_bytes())["documents"]
    assert documents["found"] == len(before) == 15
    assert documents["found"] == documents["used"] + sum(documents["left_out"].values())
    assert set(documents["left_out"]) <= set(DOCUMENT_REASONS)
    rows = {row["name"]: row for row in pq.read_table(out / "index" / "documents.parquet").to_pylist()}
    assert rows["good.pdf"]["reason"] == ""
    assert value["code"] == 0
    assert value["children"] == []
    assert not processes_of(tmp_path / "built")
    assert snapshot(pdfs) == before
    for name in ("home", "tmp", "cwd"):
        assert not list((tmp_path / "built" / name).rglob("*")), name
