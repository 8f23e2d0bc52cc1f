# mypy: disable-error-code="no-untyped-call"
"""The text layer of one page as plain data, without decoding its images. Used by pdf.py alone."""

from __future__ import annotations

import math
from typing import Any

import pymupdf

from .untrusted import clean_text, no_surrogates

MAX_VECTORS = 5000
"""A page with more vector paths gives none of them: it is a drawing, and their dicts would fill the memory."""
MAX_OUTLINE = 20_000
"""Outline entries that are read; the rest is dropped."""

_PLAIN = pymupdf.TEXT_PRESERVE_WHITESPACE
_BLOCKS = _PLAIN | pymupdf.TEXT_PRESERVE_IMAGES
# "Lazy" keeps vectors from splitting text lines: the lines are the same as without vectors.
_VECTORS = pymupdf.TEXT_COLLECT_VECTORS | pymupdf.TEXT_LAZY_VECTORS
_TEXT_BLOCK, _IMAGE_BLOCK, _VECTOR_BLOCK = 0, 1, 3
_VECTOR_KEYS = ("stroked", "isrect", "continues", "color", "alpha")


def plain_text(page: Any) -> str:
    """Text of a ``pymupdf.Page`` in the order of the file."""
    return no_surrogates(str(_text_page(page, _PLAIN).extractText()))


def page_blocks(page: Any, vectors: bool) -> dict[str, Any]:
    """Blocks of a ``pymupdf.Page``: see ``pdf.PdfFile.text_dict``."""
    text_page = _text_page(page, _BLOCKS | _VECTORS if vectors else _BLOCKS)
    images, count = _hide_images(text_page)
    if count > MAX_VECTORS:
        _show_images(images)
        text_page = _text_page(page, _BLOCKS)
        images, _ = _hide_images(text_page)
    try:
        result: dict[str, Any] = text_page.extractDICT()
    finally:
        _show_images(images)
    numbers = {number for number, _ in images}
    for block in result["blocks"]:
        if block["type"] == _TEXT_BLOCK:
            for line in block["lines"]:
                for span in line["spans"]:
                    if not span["text"].isascii():
                        span["text"] = no_surrogates(span["text"])
        elif block["number"] in numbers:
            for key in _VECTOR_KEYS:
                block.pop(key, None)
            block["type"] = _IMAGE_BLOCK
    result["vectors_dropped"] = count > MAX_VECTORS
    return result


def outline(document: Any, num_pages: int) -> list[tuple[int, str, int, float | None]]:
    """Bookmarks of a ``pymupdf.Document``: see ``pdf.PdfFile.outline``."""
    entries: list[tuple[int, str, int, float | None]] = []
    stack = [(1, document.outline)]
    while stack and len(entries) < MAX_OUTLINE:
        level, item = stack.pop()
        if item is None or not item.this.m_internal:
            continue
        stack += [(level, item.next), (level + 1, item.down)]
        title, page, y = clean_text(item.title or "", 1000), int(item.page), float(item.y)
        if page == -1 and item.uri and not item.is_external:
            page, y = int(document.resolve_link(item.uri)[0]), math.nan
        if title and 0 <= page < num_pages:
            entries.append((level, title, page, y if math.isfinite(y) else None))
    return entries


def _text_page(page: Any, flags: int) -> Any:
    # Page.get_textpage turns rotated pages back first; this gives coordinates as displayed.
    return pymupdf.TextPage(page._get_textpage(None, flags, pymupdf.Matrix(1, 1)))


def _hide_images(text_page: Any) -> tuple[list[tuple[int, Any]], int]:
    """Relabel image blocks as vectors, so that ``extractDICT`` leaves their data alone; count the vectors."""
    images, vectors, number = [], 0, 0
    block = text_page.this.m_internal.first_block
    while block:
        if block.type == _IMAGE_BLOCK:
            block.type = _VECTOR_BLOCK
            images.append((number, block))
        elif block.type == _VECTOR_BLOCK:
            vectors += 1
        block, number = block.next, number + 1
    return images, vectors


def _show_images(images: list[tuple[int, Any]]) -> None:
    # MuPDF frees a block by its type: without this every image would leak.
    for _, block in images:
        block.type = _IMAGE_BLOCK
