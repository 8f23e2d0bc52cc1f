"""PDFs that tests set line by line, in columns and with an outline if need be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmprolong_builders.blocks import Document
from mmprolong_builders.layout.parse import parse_document
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.recipe import Parse
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

_TEXT = "the pump was repaired before water reached that basin and every valve along its pipeline had been tested"
_WORDS = _TEXT.split()
Placed = tuple[float, float, float, bool, str]
"""x and baseline from the top left corner, size, whether bold, text."""


def prose(seed: int, lines: int = 5, words: int = 13) -> list[str]:
    """Lines of made-up running text."""
    return [" ".join(_WORDS[(7 * seed + 5 * i + 3 * j) % len(_WORDS)] for j in range(words)) for i in range(lines)]


def column(*parts: tuple[float, bool, str] | int, x: float = 72, top: float = 80, words: int = 13) -> list[Placed]:
    """Lines below each other; a number is a paragraph of running text with that seed. Headings stand apart."""
    placed: list[Placed] = []
    y = top
    for part in parts:
        if isinstance(part, int):
            for text in prose(part, words=words):
                placed.append((x, y, 10, False, text))
                y += 12
            y += 8
        else:
            size, bold, text = part
            y += 0.6 * size
            placed.append((x, y, size, bold, text))
            y += 1.5 * size
    return placed


def typeset(path: Path, pages: Sequence[list[Placed]], outline: Sequence[tuple[int, int, str]] = ()) -> Path:
    """Write a PDF. ``outline``: (level from 1, 0-based page, title), in order."""
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    for number, page in enumerate(pages):
        for i, (level, at, title) in enumerate(outline):
            if at == number:
                canvas.bookmarkPage(f"entry{i}")
                canvas.addOutlineEntry(title, f"entry{i}", level=level - 1)
        for x, y, size, bold, text in page:
            canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
            canvas.drawString(x, A4[1] - y, text)
        canvas.showPage()
    canvas.save()
    return path


def parsed(path: Path) -> Document:
    """Its text layer, in this process."""
    with open_pdf(path) as pdf:
        return parse_document(pdf, "a" * 64, Parse())


def headings(document: Document) -> list[tuple[int, str]]:
    """(page, text) of its headings."""
    return [(page.number, block.text) for page in document.pages for block in page.blocks if block.kind == "heading"]
