"""Finder of tables whose cells can be named by a row and a column, and of columns that can be computed with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from .finders import Body
from .places import Caption, TableFact
from .text import fold, parse_quantity, plain_text, squash

MAX_GAP = 60.0
"""Most points between a table and its caption."""
_TOTAL = re.compile(
    r"(?:sub)?totals?\b|sum\b|all\b|overall\b|average\b|mean\b|median\b|gesamt|summe\b|total\b|mittel|moyenne|somme|合计|总计|итого",
    re.IGNORECASE,
)


def find_tables(body: Body, captions: Sequence[Caption]) -> list[TableFact]:
    """Tables of at least 2 columns and 2 rows below a header row of different, filled, wordy cells."""
    blocks = list(body)
    boxes = {(page, position): block.box for page, position, block in blocks}
    per_page = Counter(page for page, _, block in blocks if block.kind == "table")
    labels = Counter(caption.label for caption in captions if caption.kind == "table")
    found = []
    for page, position, block in blocks:
        if block.kind != "table" or len(block.rows) < 3 or not 2 <= len(block.rows[0]) <= 12:
            continue
        header = [" ".join(cell.split()) for cell in block.rows[0]]
        rows = [[" ".join(cell.split()) for cell in row] for row in block.rows[1:]]
        if len({fold(cell) for cell in header}) < len(header) or any(not _names_column(cell) for cell in header[1:]):
            continue
        if not header[0] or _like_data(header, rows):
            continue
        caption = _caption(block.box, [c for c in captions if c.page == page and c.kind == "table"], boxes)
        if caption is not None and labels[caption.label] == 1:
            name = f"{caption.label} on page {page + 1}"
        elif per_page[page] == 1 and len(header) > 2:  # two columns without a caption: keys and values, no header
            name = f"the table on page {page + 1}"
        else:
            continue
        lines = {squash(line) for line in block.lines}
        whole = [all(row) and squash("".join(row)) in lines for row in rows]
        # A row without its first cell goes on with the cells of the row above it.
        clean = [ok and (i + 1 == len(rows) or bool(rows[i + 1][0])) for i, ok in enumerate(whole)]
        label, title = (caption.label, caption.title) if caption else ("", "")
        if sum(clean) >= 2:
            found.append(TableFact(page, position, label, title, name, header, rows, clean))
    return found


_MARKS = re.compile(r"[\d._/@\\]")


def _like_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like the others: where most cells of a column hold digits or marks, so does it."""
    if any(cell.endswith((":", "：")) for cell in [*header, *(row[0] for row in rows)]):
        return True  # pairs of a key and its value, side by side
    for column, cell in enumerate(header):
        marked = sum(_MARKS.search(row[column]) is not None for row in rows)
        if _MARKS.search(cell) and 2 * marked > len(rows) and (column == 0 or cell[-1:].isdigit()):
            return True
    return False


def _names_column(text: str) -> bool:
    return 0 < len(text) <= 40 and plain_text(text)


def _caption(
    box: tuple[float, float, float, float],
    captions: Sequence[Caption],
    boxes: dict[tuple[int, int], tuple[float, float, float, float]],
) -> Caption | None:
    """The caption right above or below the table."""
    near = []
    for caption in captions:
        x0, y0, x1, y1 = boxes[caption.page, caption.block]
        gap = max(box[1] - y1, y0 - box[3])
        if x0 < box[2] and box[0] < x1 and -12.0 <= gap <= MAX_GAP:
            near.append((gap, caption.block, caption))
    near.sort(key=lambda entry: entry[:2])
    return near[0][2] if near else None


def named_rows(table: TableFact) -> list[int]:
    """Rows that their first cell names: it is unique, short, reads like a name, and the row is clean."""
    keys = Counter(fold(row[0]) for row in table.rows)
    return [
        number
        for number, row in enumerate(table.rows)
        if table.clean[number] and keys[fold(row[0])] == 1 and 1 <= len(row[0]) <= 60 and _names_row(row[0])
    ]


def _names_row(text: str) -> bool:
    return plain_text(text) or re.fullmatch(r"(?:1[89]|20)\d\d", text) is not None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers: one value a row, all with one unit, every row named and clean."""

    table: TableFact
    index: int
    name: str
    keys: list[str]
    printed: list[str]
    values: list[Decimal]
    unit: str


def number_columns(table: TableFact, english: bool) -> list[Column]:
    """Columns in which every cell is a number; none in a table with rows that are totals or have no name."""
    rows = named_rows(table)
    if len(rows) < len(table.rows) or any(_TOTAL.match(row[0]) for row in table.rows) or len(rows) < 3:
        return []
    found = []
    for index in range(1, len(table.header)):
        cells = [row[index] for row in table.rows]
        parsed = [parse_quantity(cell, english) for cell in cells]
        values = [quantity for quantity in parsed if quantity is not None]
        if len(values) == len(cells) and len({unit for _, unit in values}) == 1:
            numbers = [value for value, _ in values]
            keys = [row[0] for row in table.rows]
            found.append(Column(table, index, table.header[index], keys, cells, numbers, values[0][1]))
    return found
