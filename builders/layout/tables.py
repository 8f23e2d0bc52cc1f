"""Tables from aligned layout lines: only where every row has the same cells and rules or a caption vouch for it."""

from __future__ import annotations

from collections.abc import Container

from .lines import Box, Line
from .patterns import CAPTION, LEADER

MIN_ROWS, MIN_COLUMNS = 3, 2
ALIGN = 0.9
"""Edges of a column's cells may differ by this many font sizes."""
NEAR = 45.0
"""Points between a table and the caption that vouches for it."""


def find_tables(
    lines: list[Line], rules: list[Box], captions: list[Line], headings: Container[int] = ()
) -> list[tuple[int, int]]:
    """Runs ``(first, last + 1)`` of lines of one region that are the rows of a table, its header row first.

    Args:
        lines: From top to bottom.
        rules: Horizontal rules of the page.
        captions: Lines of the page that begin with a table's label.
        headings: ``id`` of lines known to be headings, which no table holds.
    """
    found = []
    i = 0
    while i < len(lines):
        end = _run(lines, i, headings)
        if end - i >= MIN_ROWS and _vouched(lines[i:end], rules, captions):
            found.append((i, end))
            i = end
        else:
            i += 1
    return found


def table_rows(lines: list[Line]) -> list[list[str]]:
    """The cells of a run's lines."""
    return [[" ".join(cell.text.split()) for cell in line.cells] for line in lines]


def _run(lines: list[Line], start: int, headings: Container[int]) -> int:
    """End of the longest run from ``start`` with the same number of aligned cells, evenly spaced."""
    columns = len(lines[start].cells)
    if columns < MIN_COLUMNS or LEADER.search(lines[start].text) or id(lines[start]) in headings:
        return start
    left = [cell.x0 for cell in lines[start].cells]  # how far each column reaches in the rows so far
    right = [cell.x1 for cell in lines[start].cells]
    end = start + 1
    while end < len(lines):
        line, before = lines[end], lines[end - 1]
        if len(line.cells) != columns or id(line) in headings or line.base - before.base > 3.2 * line.size:
            break
        if not _aligned(before, line, left, right) or LEADER.search(line.text):
            break
        for j, cell in enumerate(line.cells):
            left[j] = min(left[j], cell.x0)
            right[j] = max(right[j], cell.x1)
        end += 1
    return end


def _aligned(before: Line, line: Line, left: list[float], right: list[float]) -> bool:
    """Whether each cell shares its left edge, right edge or middle with the cell above and keeps to its column."""
    tolerance = ALIGN * line.size
    last = len(line.cells) - 1
    for j, cell in enumerate(line.cells):
        above = before.cells[j]
        begin, end = cell.x0 - above.x0, cell.x1 - above.x1
        if min(abs(begin), abs(end), 0.5 * abs(begin + end)) > tolerance:
            return False
        if (j and cell.x0 < right[j - 1]) or (j < last and cell.x1 > left[j + 1]):
            return False
    return True


def _vouched(rows: list[Line], rules: list[Box], captions: list[Line]) -> bool:
    x0, x1 = min(row.x0 for row in rows), max(row.x1 for row in rows)
    top, bottom = rows[0].y0, rows[-1].y1
    height = rows[0].size
    beside = [
        rule for rule in rules if top - 2.5 * height < rule[1] < bottom + 2.5 * height and rule[0] < x1 and rule[2] > x0
    ]
    levels = {round(rule[1] / 2) for rule in beside}
    if len(levels) >= 2:
        return True
    return any(
        -NEAR < caption.base - bottom < NEAR or -NEAR < top - caption.base < NEAR
        for caption in captions
        if caption.x0 < x1 and caption.x1 > x0
    )


def is_table_caption(line: Line) -> bool:
    """Whether a line begins with the label of a table."""
    match = CAPTION.match(line.text)
    return match is not None and match.group(1)[:3].casefold().startswith(("tab", "表", "таб", "cua", "qua"))
