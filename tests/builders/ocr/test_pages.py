"""Genuine recognition of made pages: columns, landscape, five degrees of skew, doubtful tables, mixed documents."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from mmprolong_builders.blocks import Document
from mmprolong_builders.ocr.run import PageReader
from mmprolong_builders.recipe import Ocr, OcrLimits, Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.stages import unpack_record
from mmprolong_builders.transcribe import page_markdown
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from support.scans import picture_of, skewed, write_scanned

from mmprolong_data.settings import to_plain

pytestmark = pytest.mark.usefixtures("ocr_extra")
RECIPE = Recipe(ocr=Ocr(model="tiny"), ocr_limits=OcrLimits(workers=2, window=2))
A4 = (595.0, 842.0)
SENTENCES = (
    "The survey of the northern meadow began in early spring when the snow had gone from the lower slopes and the"
    " streams ran high enough to be measured at every bridge along the valley road before the harvest was brought in."
)
WORDS = SENTENCES.split()


def column(canvas: Canvas, x: float, top: float, name: str, width: int, rows: int) -> list[str]:
    """Lines of running text; each begins with what tells its place."""
    lines = []
    for row in range(rows):
        words = [f"{name}{row:02d}"]
        for i in range(40):
            word = WORDS[(7 * row + i + len(name)) % len(WORDS)]
            if len(" ".join([*words, word])) > width:
                break
            words.append(word)
        lines.append(" ".join(words))
        canvas.drawString(x, top - 13 * row, lines[-1])
    return lines


def columns(number: int, width: float = 595.0, height: float = 842.0) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Times-Roman", 10)
        step = (width - 100) / number
        for c in range(number):
            letters = int(step / 5.2)
            column(canvas, 50 + step * c, height - 90, "ABC"[c], letters, min(34, int((height - 160) / 13)))

    return draw


def tables(canvas: Canvas) -> None:
    """One table whose rows have all cells, one with holes."""
    canvas.setFont("Helvetica", 10)
    column(canvas, 60, 760, "T", 80, 6)
    certain = [("Station", "Depth", "Volume"), ("Alder", "12.5", "310"), ("Birch", "14.0", "295")]
    certain += [("Cedar", "9.8", "402")]
    doubtful = [("River", "", "Flow"), ("Esk", "north", ""), ("", "south", "71"), ("Tarn", "", "88")]
    for first, rows in ((620.0, certain), (480.0, doubtful)):
        canvas.drawString(60, first + 24, f"Table {1 if rows is certain else 2}: Readings of the year by place")
        canvas.line(60, first + 14, 420, first + 14)
        for r, row in enumerate(rows):
            for c, cell in enumerate(row):
                canvas.drawString(70 + 130 * c, first - 16 * r, cell)
        canvas.line(60, first - 16 * len(rows) + 8, 420, first - 16 * len(rows) + 8)
    column(canvas, 60, 380, "U", 80, 10)


def hyphens(canvas: Canvas) -> None:
    """Words parted at line ends, and a hyphen that belongs to its word."""
    canvas.setFont("Times-Roman", 11)
    lines = [
        "The measurement was repeated by the committee in the follow-",
        "ing season, and the measurement of the committee was the well-",
        "known result that the following report had announced. A well-known",
        "result needs no commit-",
        "tee to confirm it in the season that follows the first report.",
    ]
    for row, line in enumerate(lines):
        canvas.drawString(60, 740 - 14 * row, line)
    column(canvas, 60, 600, "H", 80, 20)


PAGES: tuple[tuple[tuple[float, float], Callable[[Canvas], None]], ...] = (
    (A4, columns(2)),
    (A4, columns(3)),
    ((842.0, 595.0), columns(2, 842.0, 595.0)),
    (A4, columns(1)),
    (A4, columns(1)),
    (A4, tables),
    (A4, hyphens),
)


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "born.pdf"
    canvas = Canvas(str(path), invariant=1)
    for size, draw in PAGES:
        canvas.setPageSize(size)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def changed(born: Path, number: int) -> Image.Image:
    picture = picture_of(born, number)
    return skewed({3: 5.0, 4: -5.0}[number])(picture) if number in (3, 4) else picture


@pytest.fixture(scope="module")
def scan(born: Path) -> Path:
    return write_scanned(born.with_name("scan.pdf"), [changed(born, n) for n in range(len(PAGES))])


@pytest.fixture(scope="module")
def document(ocr_extra: None, born: Path, scan: Path) -> Document:
    """The scanned pages, then the first born-digital one."""
    path = born.with_name("mixed.pdf")
    with pdfium.PdfDocument.new() as mixed, pdfium.PdfDocument(scan) as pictures, pdfium.PdfDocument(born) as text:
        mixed.import_pages(pictures)
        mixed.import_pages(text, [0])
        mixed.save(path)
    payload: dict[str, Any] = {"path": str(path), "doc_id": "5" * 64, "settings": to_plain(RECIPE.parse)}
    payload["route"] = {"check": 0.0, "seed": 0}
    with SandboxPool(1, Sandbox()) as pdfs, PageReader(RECIPE, pdfs, born.with_name("cache"), 2) as reader:
        outcome = reader.complete(payload, pdfs.call("parse_stage", payload))
    assert outcome.value is not None, outcome.detail
    return Document.from_dict(unpack_record(outcome.value["document"]))


def marks(document: Document, page: int) -> list[str]:
    return re.findall(r"\b[A-C]\d\d\b", page_markdown(document.pages[page]))


@pytest.mark.parametrize(("page", "number", "rows"), [(0, 2, 34), (1, 3, 34), (2, 2, 33)])
def test_two_and_three_columns_and_landscape(document: Document, page: int, number: int, rows: int) -> None:
    wanted = [f"{'ABC'[c]}{row:02d}" for c in range(number) for row in range(rows)]
    found = marks(document, page)
    assert len(set(found) & set(wanted)) >= 0.9 * len(wanted)  # a misread mark is no disorder
    assert [mark for mark in found if mark in wanted] == [mark for mark in wanted if mark in found]
    assert document.pages[2].width > document.pages[2].height


@pytest.mark.parametrize("page", [3, 4])
def test_five_degrees_of_skew(document: Document, page: int) -> None:
    wanted = [f"A{row:02d}" for row in range(34)]
    found = marks(document, page)
    assert len(set(found) & set(wanted)) >= 31
    assert [mark for mark in found if mark in wanted] == [mark for mark in wanted if mark in found]
    # The boxes are those of the page as it lies there: around lines that fall across it.
    for block in document.pages[page].blocks:
        assert 0 <= block.box[0] < block.box[2] <= document.pages[page].width


def test_a_table_has_cells_only_where_its_structure_is_certain(document: Document) -> None:
    text = page_markdown(document.pages[5])
    assert "| Station | Depth | Volume |\n| --- | --- | --- |\n| Alder | 12.5 | 310 |" in text
    assert "| Cedar | 9.8 | 402 |" in text
    after = text.partition("Table 2")[2]
    assert "| ---" not in after, after
    for word in ("River", "Flow", "Esk", "north", "south", "71", "Tarn", "88"):
        assert word in after


def test_words_parted_at_line_ends_are_joined_and_compounds_are_not(document: Document) -> None:
    text = page_markdown(document.pages[6])
    assert "in the following season" in text
    assert "was the well-known result" in text
    assert "needs no committee to confirm" in text


def test_documents_that_mix_both_keep_both(document: Document) -> None:
    assert [page.status for page in document.pages] == ["ocr"] * len(PAGES) + ["text"]
    assert {block.source.partition(":")[0] for block in document.pages[0].blocks} == {"ocr"}
    assert {block.source for block in document.pages[-1].blocks} == {"text"}
    assert marks(document, len(PAGES)) == [f"{c}{row:02d}" for c in "AB" for row in range(34)]
