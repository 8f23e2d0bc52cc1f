"""Proofs: plain records of how an answer follows. ``verify`` reads them; each names the page that it stands on."""

from __future__ import annotations

from typing import Any

from ..facts import NamedSection
from ..places import Caption, FieldFact, ListFact, NumberFact, PageBreak, Quote, TableFact
from ..tables import Column


def field_proof(fact: FieldFact) -> dict[str, Any]:
    """A line ``key: value``."""
    place = {"page": fact.page, "blocks": [[fact.page, fact.block]]}
    return {"operation": "field", "key": fact.key, "value": fact.value} | place


def cloze_proof(fact: NumberFact) -> dict[str, Any]:
    """A sentence around a number."""
    place = {"page": fact.page, "blocks": [[fact.page, fact.block]]}
    return {"operation": "cloze", "before": fact.before, "value": fact.number, "after": fact.after} | place


def cell_proof(table: TableFact, row: int, column: int) -> dict[str, Any]:
    """A table's cell, with its row and the header."""
    return {
        "operation": "cell",
        "header": table.header,
        "row": table.rows[row],
        "column": column,
        "value": table.rows[row][column],
        "page": table.page,
        "blocks": [[table.page, table.block]],
    }


def column_proof(operation: str, column: Column) -> dict[str, Any]:
    """A computation over all rows of a table."""
    return {
        "operation": operation,
        "header": column.table.header,
        "rows": column.table.rows,
        "column": column.index,
        "page": column.table.page,
        "blocks": [[column.table.page, column.table.block]],
    }


def caption_proof(caption: Caption) -> dict[str, Any]:
    """A caption: its label, then its title."""
    place = {"page": caption.page, "blocks": [[caption.page, caption.block]]}
    return {"operation": "caption", "label": caption.label, "value": caption.title} | place


def section_proof(section: NamedSection, title: str) -> dict[str, Any]:
    """The line of a section's heading; ``title`` with or without its number."""
    page, block = section.begin
    return {"operation": "heading", "value": title, "page": page, "blocks": [[page, block]]}


def phrase_proof(page: int, block: int, value: str, before: str = "") -> dict[str, Any]:
    """A text as printed, after the words that a question quotes."""
    return {"operation": "phrase", "before": before, "value": value, "page": page, "blocks": [[page, block]]}


def quote_proof(quote: Quote, text: str) -> dict[str, Any]:
    """A passage that stands on one page only; ``text`` is what a question quotes of it."""
    return {"operation": "place", "value": text, "page": quote.page, "blocks": [[quote.page, quote.block]]}


def page_break_proof(found: PageBreak) -> dict[str, Any]:
    """A sentence that turns a page."""
    pages = [found.page, found.page + 1]
    blocks = [[found.page, found.block], [found.page + 1, found.below]]
    return {"operation": "page_break", "begin": found.begin, "value": found.end, "pages": pages, "blocks": blocks}


def list_proof(operation: str, fact: ListFact, index: int = -1) -> dict[str, Any]:
    """All items of a list, and which of them is asked for."""
    more = {"index": index} if index >= 0 else {}
    place = {"page": fact.page, "blocks": [[fact.page, fact.block]]}
    return {"operation": operation, "lead": fact.lead, "items": fact.items} | place | more


def term_proof(operation: str, word: str, pages: list[int]) -> dict[str, Any]:
    """All pages of a scope that hold a word."""
    return {"operation": operation, "term": word, "pages": pages, "blocks": []}


def combined(operation: str, operands: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A computation or a list over facts that each have a proof of their own."""
    blocks = [block for operand in operands for block in operand["blocks"]]
    return {"operation": operation, "operands": operands, "blocks": blocks} | more
