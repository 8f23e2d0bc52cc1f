"""A page's blocks as Markdown: the target of the two transcription tasks."""

from __future__ import annotations

from collections.abc import Sequence

from .blocks import Block, Page

FURNITURE = ("header", "footer")


def page_separator(page: int) -> str:
    """The line before the text of page ``page`` (0-based) where a transcription holds several pages."""
    return f"<!-- Page {page + 1} -->"


def page_markdown(page: Page, furniture: bool = False) -> str:
    """The text of a page in reading order: headings with ``#``, one list item a line, tables as Markdown tables.

    Running headers and footers are left out unless ``furniture``; figures have no text.
    """
    parts = []
    for block in page.blocks:
        if block.kind in FURNITURE and not furniture:
            continue
        text = block_markdown(block)
        if text:
            parts.append(text)
    return "\n\n".join(parts)


def block_markdown(block: Block) -> str:
    """One block as Markdown; "" for what has no text."""
    text = block.text.strip()
    if block.kind == "table" and block.rows:
        return _table(block.rows)
    if not text:
        return ""
    if block.kind == "title":
        return f"# {_line(text)}"
    if block.kind == "heading":
        return f"{'#' * min(6, 1 + max(1, block.level))} {_line(text)}"
    return text


def pages_markdown(pages: Sequence[Page], furniture: bool = False) -> str:
    """Several pages, each behind its separator; an empty page is its separator alone."""
    parts = []
    for page in pages:
        parts.append(page_separator(page.number))
        text = page_markdown(page, furniture)
        if text:
            parts.append(text)
    return "\n\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    cells = [[_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, f"|{' --- |' * len(cells[0])}")
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())
