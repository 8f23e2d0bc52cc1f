"""Genuine recognition in genuine children: turned, skewed and many-columned scans, and several languages."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmprolong_builders.blocks import Document, Page
from mmprolong_builders.ocr.read import similarity
from mmprolong_builders.ocr.run import PageReader
from mmprolong_builders.recipe import Ocr, OcrLimits, Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.stages import unpack_record
from mmprolong_builders.transcribe import page_markdown
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from support.documents import write_report
from support.scans import picture_of, quarter_turned, skewed, text_of, write_scanned

from mmprolong_data.settings import to_plain

pytestmark = pytest.mark.usefixtures("ocr_extra")
RECIPE = Recipe(ocr=Ocr(model="tiny"), ocr_limits=OcrLimits(workers=2, window=3))


@pytest.fixture(scope="module")
def pdfs() -> Iterator[SandboxPool]:
    with SandboxPool(1, Sandbox()) as pool:
        yield pool


@pytest.fixture(scope="module")
def reader(ocr_extra: None, pdfs: SandboxPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageReader]:
    with PageReader(RECIPE, pdfs, tmp_path_factory.mktemp("cache"), 2) as reader:
        yield reader


def parse(reader: PageReader, pdfs: SandboxPool, path: Path, doc_id: str, check: float = 0.0) -> Document:
    payload: dict[str, Any] = {"path": str(path), "doc_id": doc_id, "settings": to_plain(RECIPE.parse)}
    payload |= {"route": {"check": check, "seed": 0}}
    outcome = reader.complete(payload, pdfs.call("parse_stage", payload))
    assert outcome.value is not None, outcome.detail
    return Document.from_dict(unpack_record(outcome.value["document"]))


CHANGES = [lambda image: image, quarter_turned(1), quarter_turned(2), quarter_turned(3), skewed(3.0), skewed(-4.5)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report") / "report.pdf", len(CHANGES))


@pytest.fixture(scope="module")
def scanned(reader: PageReader, pdfs: SandboxPool, report: Path) -> Document:
    pictures = [change(picture_of(report, number)) for number, change in enumerate(CHANGES)]
    return parse(reader, pdfs, write_scanned(report.with_name("scan.pdf"), pictures), "1" * 64)


def test_turned_and_skewed_pages_are_read_in_order(scanned: Document, report: Path) -> None:
    for page in scanned.pages:
        assert (page.status, page.status_reason) == ("ocr", "image without text")
        truth, text = text_of(report, page.number), page_markdown(page, furniture=True)
        assert similarity(truth, text) > 0.93, (page.number, text)
        places = [text.find(word) for word in ("Inspector", "Permit number", "Quarter", "Q2", "Q4")]
        assert places == sorted(places), page.number
        assert -1 not in places


def test_blocks_are_those_of_a_text_layer(scanned: Document) -> None:
    headings = [block for page in scanned.pages for block in page.blocks if block.kind in ("heading", "title")]
    assert [h.text.partition(" Works")[0] for h in headings] == ["1", "2", "3"]
    assert [section.first_page for section in scanned.sections][-2:] == [2, 4]
    for page in scanned.pages:
        kinds = [block.kind for block in page.blocks]
        assert {"paragraph", "table", "caption"} <= set(kinds), page.number
        table = next(block for block in page.blocks if block.kind == "table")
        assert table.rows[0] == ["Quarter", "Volume", "Samples"]
        assert [row[0] for row in table.rows[1:]] == ["Q1", "Q2", "Q3", "Q4"]
        caption = next(block for block in page.blocks if block.kind == "caption")
        assert caption.label == f"Table {page.number + 1}"
        assert all(block.source == "ocr:paddleocr tiny" for block in page.blocks)
    assert scanned.parser.endswith("+paddleocr tiny")
    assert scanned.language == "en"


def test_running_lines_are_no_text(scanned: Document) -> None:
    upright = [page for page in scanned.pages if page.number in (0, 2, 4, 5)]
    found = [page for page in upright if "Regional Water Board" not in page_markdown(page)]
    assert len(found) >= 3


def test_boxes_are_in_points_of_the_page_as_displayed(scanned: Document) -> None:
    upside_down: Page = scanned.pages[2]
    ys = [block.box[1] for block in upside_down.blocks if block.kind in ("paragraph", "table")]
    assert ys == sorted(ys, reverse=True)
    sideways = scanned.pages[1]
    assert sideways.width > sideways.height
    for page in scanned.pages:
        for x0, y0, x1, y1 in (block.box for block in page.blocks):
            assert 0 <= x0 < x1 <= page.width
            assert 0 <= y0 < y1 <= page.height


def test_a_text_layer_that_lies_is_found_out_and_one_that_does_not_is_kept(
    reader: PageReader, pdfs: SandboxPool, report: Path, tmp_path: Path
) -> None:
    lie = "\n".join(f"Entirely different sentences about gardening and weather, number {i}." for i in range(12))
    pictures = [picture_of(report, 0), picture_of(report, 1)]
    liar = parse(reader, pdfs, write_scanned(tmp_path / "liar.pdf", pictures, [lie, lie]), "2" * 64, check=1.0)
    assert [page.status for page in liar.pages] == ["ocr", "ocr"]
    assert liar.pages[0].status_reason == "text layer disagrees with page 1"
    assert "gardening" not in page_markdown(liar.pages[0])
    honest = parse(reader, pdfs, write_report(tmp_path / "honest.pdf", 1), "3" * 64, check=1.0)
    assert [page.status for page in honest.pages] == ["text"]


def test_text_in_a_picture_is_not_held_against_the_text_layer(
    reader: PageReader, pdfs: SandboxPool, report: Path, tmp_path: Path
) -> None:
    """A chart is read as well, though no text layer has its words."""
    path = tmp_path / "pictured.pdf"
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    for line in range(8):
        canvas.drawString(60, 780 - 15 * line, f"The board met on day {line} to hear what the keepers said.")
    data = io.BytesIO()
    picture_of(report, 1).save(data, "PNG")
    canvas.drawImage(ImageReader(data), 60, 40, 420, 594)
    canvas.save()
    pictured = parse(reader, pdfs, path, "4" * 64, check=1.0)
    assert [page.status for page in pictured.pages] == ["text"]


@pytest.mark.corpus
def test_a_script_that_the_model_does_not_know_is_no_text(
    reader: PageReader, pdfs: SandboxPool, corpus: Path, tmp_path: Path
) -> None:
    """PP-OCRv6 would write Russian in Latin letters that resemble it."""
    scan = write_scanned(tmp_path / "scan.pdf", [picture_of(corpus / "altverse-ex1-ru.pdf", 3)])
    payload: dict[str, Any] = {"path": str(scan), "doc_id": "9" * 64, "settings": to_plain(RECIPE.parse)}
    payload |= {"route": {"check": 0.0, "seed": 0}}
    outcome = reader.complete(payload, pdfs.call("parse_stage", payload))
    assert outcome.reason == "ocr_error"
    assert "a script that the model does not know" in outcome.detail
    assert "ocr.other_scripts = rus" in outcome.detail


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "page", "language"),
    [
        ("ctex-faq.pdf", 12, "zh"),
        ("frenchle.pdf", 3, "fr"),
        ("paper.pdf", 2, "de"),
    ],
)
def test_languages(
    reader: PageReader, pdfs: SandboxPool, corpus: Path, tmp_path: Path, name: str, page: int, language: str
) -> None:
    scan = write_scanned(tmp_path / "scan.pdf", [picture_of(corpus / name, page)])
    document = parse(reader, pdfs, scan, (language * 32)[:64])
    text = page_markdown(document.pages[0], furniture=True)
    assert similarity(text_of(corpus / name, page).replace("\ufffe", "-"), text) > 0.75, text
    assert document.language == language


@pytest.mark.corpus
def test_a_page_in_another_script_goes_to_tesseract_and_says_so(
    pdfs: SandboxPool, corpus: Path, tmp_path: Path
) -> None:
    packs = shutil.which("tesseract") and subprocess.run(["tesseract", "--list-langs"], capture_output=True, check=True)
    if not packs or b"rus" not in (packs.stdout + packs.stderr).split():
        pytest.skip("apt-get install tesseract-ocr tesseract-ocr-rus")
    russian = corpus / "altverse-ex1-ru.pdf"
    pictures = [picture_of(russian, 3), picture_of(corpus / "frenchle.pdf", 3)]
    scan = write_scanned(tmp_path / "scan.pdf", pictures)
    recipe = Recipe(ocr=replace(RECIPE.ocr, other_scripts="rus"), ocr_limits=RECIPE.ocr_limits)
    with PageReader(recipe, pdfs, tmp_path / "cache", 1) as reader:
        document = parse(reader, pdfs, scan, "8" * 64)
    assert [page.status for page in document.pages] == ["ocr", "ocr"]
    assert "read by tesseract rus: certainty 0." in document.pages[0].status_reason
    assert document.pages[1].status_reason == "image without text"
    assert {block.source for block in document.pages[0].blocks} == {"ocr:tesseract rus"}
    assert {block.source for block in document.pages[1].blocks} == {"ocr:paddleocr tiny"}
    assert similarity(text_of(russian, 3), page_markdown(document.pages[0], furniture=True)) > 0.75
