"""The second extraction: independent of the parser, lazy, and honest about pages that it cannot read."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pymupdf
import pypdfium2
import pytest
from mmprolong_builders.blocks import Document
from mmprolong_builders.layout.parse import parse_document
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.qa.second_text import MAX_OPEN, RUN, SecondText, bounded_text
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.untrusted import stored_path
from reportlab.pdfgen.canvas import Canvas
from support.documents import write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("second") / "report.pdf", pages=4)


CMAP = b"""1 begincodespacerange <00> <FF> endcodespacerange 2 beginbfrange <20> <40> <0020> <42> <7e> <0042> endbfrange
1 beginbfchar <41> <D835DCD0> endbfchar"""
"""The letter A stands for a character beyond U+FFFF."""


def parsed(path: Path) -> Document:
    with open_pdf(path) as pdf:
        return parse_document(pdf, "ab" * 32, Recipe().parse)


def test_pages_are_read_from_the_file_not_from_the_blocks(report: Path) -> None:
    document = parsed(report)
    for page in document.pages:
        for block in page.blocks:
            block.text, block.lines, block.rows = "nothing", ["nothing"], []
    with SecondText(report, document) as pages:
        assert len(pages) == 4
        assert pages.source(0) == "pdfium"
        assert "table 1: volumes at" in pages[0].folded
        assert any(line.startswith("inspector: ") for line in pages[1].lines)
        assert [page.holds("Inspector") for page in pages[1:3]] == [True, True]
    assert pages[0].holds("Inspector")  # what was read stays
    with pytest.raises(IndexError):
        pages[4]


def test_rows_are_read_across_a_table_that_was_drawn_by_columns(tmp_path: Path) -> None:
    path = tmp_path / "columns.pdf"
    canvas = Canvas(str(path))
    for x, cells in ((80, ("Town", "Aldermoor", "Cressing")), (300, ("Wells", "20", "35"))):
        for row, cell in enumerate(cells):
            canvas.drawString(x, 700 - 20 * row, cell)
    canvas.save()
    with SecondText(path, parsed(path)) as pages:
        assert pages[0].rows == ["town wells", "aldermoor 20", "cressing 35"]
        assert pages[0].holds_row(["Aldermoor", "20"])
        assert not pages[0].holds_row(["Aldermoor", "35"])


def test_a_file_that_pdfium_cannot_open_leaves_the_blocks(report: Path, tmp_path: Path) -> None:
    document = parsed(report)
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing more")
    for path in (broken, tmp_path / "missing.pdf"):
        with SecondText(path, document) as pages:
            assert pages.source(0) == "blocks"
            assert pages[0].holds("Inspector")


def test_another_page_count_leaves_the_blocks(report: Path, tmp_path: Path) -> None:
    document = parsed(report)
    longer = write_report(tmp_path / "longer.pdf", pages=5)
    with SecondText(longer, document) as pages:
        assert {pages.source(number) for number in range(4)} == {"blocks"}


def test_text_from_ocr_is_not_looked_for_in_the_file(report: Path) -> None:
    document = parsed(report)
    document.pages[2].status = "ocr"
    with SecondText(report, document) as pages:
        assert [pages.source(number) for number in range(4)] == ["pdfium", "pdfium", "blocks", "pdfium"]


def test_any_file_name_can_be_opened(report: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.pdf"
    with open(path, "wb") as file:  # noqa: PTH123 - no UTF-8
        file.write(report.read_bytes())
    with SecondText(stored_path(os.fsdecode(path)), parsed(report)) as pages:
        assert pages.source(0) == "pdfium"


def test_broken_words_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "hyphen.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_text((72, 100), "The northern reser-")
        page.insert_text((72, 114), "voir supplies water.")
        pdf.save(path)
    with SecondText(path, parsed(path)) as pages:
        assert pages[0].holds("northern reservoir supplies")


def test_rows_of_any_page_can_be_asked_for_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    canvas = Canvas(str(path))
    for number in range(MAX_OPEN + 3):
        canvas.drawString(300, 700, f"right {number}")
        canvas.drawString(80, 700, f"left {number}")
        canvas.showPage()
    canvas.save()
    with SecondText(path, parsed(path)) as pages:
        assert [page.folded for page in pages][-1] == "left 18 right 18"
        assert [page.rows for page in pages] == [[f"left {number} right {number}"] for number in range(MAX_OPEN + 3)]
    assert pages[2].rows == ["left 2 right 2"]
    with SecondText(path, parsed(path)) as pages:
        page = pages[0]
    with pytest.raises(ValueError, match="closed"):
        page.rows  # noqa: B018 - a property


def test_runs_of_any_length_and_script_are_read_as_pypdfium2_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "runs.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=14_000)
        page.insert_text((20, 100), "word " * 400, fontname="cour")
        page.insert_text((20, 140), "the set A and its points", fontname="helv")
        font = next(entry[0] for entry in page.get_fonts() if entry[4] == "helv")
        mapping = pdf.get_new_xref()
        pdf.update_object(mapping, "<<>>")
        pdf.update_stream(mapping, CMAP)
        pdf.xref_set_key(font, "ToUnicode", f"{mapping} 0 R")
        pdf.save(path)
    with pypdfium2.PdfDocument(path) as pdf:
        text_page = pdf[0].get_textpage()
        assert "\U0001d4d0" in text_page.get_text_range()
        boxes = [text_page.get_rect(index) for index in range(text_page.count_rects())]
        buffer = (ctypes.c_ushort * RUN)()
        found = [bounded_text(text_page, *box, buffer) for box in boxes]
        assert found == [text_page.get_text_bounded(*box) for box in boxes]
        assert max(map(len, found)) > RUN
