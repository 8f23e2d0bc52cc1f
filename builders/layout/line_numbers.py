"""Line numbers in the margins of manuscripts: found, so that they neither join lines nor bridge gutters."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from .lines import Fragment, RawPage, usual

MIN_NUMBERS = 8
"""Fewer numbers on a page tell nothing."""
SMALL = 0.85
"""Numbers smaller than this part of the page's text are line numbers by their looks ..."""
MIN_PAGES, MOST_PAGES = 3, 0.8
"""... others only where so many pages, and such a part of all, have them: else they are a table's first column."""
_STRAY = 2
"""Other fragments that may reach into a column of numbers."""


def remove_line_numbers(pages: list[RawPage]) -> None:
    """Take the line numbers out of the fragments of all pages."""
    found = {page.number: (page, _numbers(page)) for page in pages if len(page.fragments) > MIN_NUMBERS}
    found = {number: entry for number, entry in found.items() if entry[1]}
    common = len(found) >= max(MIN_PAGES, MOST_PAGES * len(pages))
    for page, numbers in found.values():
        orders = {f.order for f in numbers}
        rest = [f for f in page.fragments if f.order not in orders]
        if rest and (common or usual([f.size for f in numbers], 0.0) < SMALL * usual([f.size for f in rest], 0.0)):
            page.fragments = rest


def _numbers(page: RawPage) -> list[Fragment]:
    """Numbers that count down one or both margins of a page."""
    columns: dict[tuple[bool, int], list[Fragment]] = defaultdict(list)
    for f in page.fragments:
        if len(f.text) <= 5 and f.text.isdecimal():
            columns[False, round(f.x0 / 4)].append(f)
            columns[True, round(f.x1 / 4)].append(f)
    found: dict[int, Fragment] = {}
    for column in columns.values():
        if len(column) >= MIN_NUMBERS and _counts(column) and _marginal(column, page):
            found.update((f.order, f) for f in column)
    return list(found.values())


def _counts(column: list[Fragment]) -> bool:
    """Whether numbers go up from top to bottom by one step, give or take a stray one such as the page's number."""
    column.sort(key=lambda f: f.base)
    steps = [int(below.text) - int(above.text) for above, below in pairwise(column)]
    return any(10 * steps.count(step) >= 8 * len(steps) for step in (1, 5))


def _marginal(column: list[Fragment], page: RawPage) -> bool:
    """Whether all else on the page stands on one side of a column."""
    x0, x1 = min(f.x0 for f in column), max(f.x1 for f in column)
    others = [f for f in page.fragments if not f.text.isdecimal()]
    return min(sum(f.x0 < x1 for f in others), sum(f.x1 > x0 for f in others)) <= _STRAY
