"""Running headers and footers: found by repetition in the top and bottom zones of the pages of one document."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .lines import Fragment, Line, RawPage, make_lines, usual

TOP, BOTTOM = 0.15, 0.84
"""Zones: baselines above / below these parts of the page's height."""
MOST_LINES = 4
"""Lines looked at in each zone, from the page's edge."""
LARGE = 1.3
"""Lines so many times larger than the body do not repeat by being alike but for their number: they are headings."""
SMALL = 1.15
"""Running titles that change from page to page are not so many times larger than the body."""
_DIGITS = re.compile(r"\d+")
_ROMAN = re.compile(r"[ivxlc]{1,7}\Z", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"(?:[-–—·•|]\s*)?(?:(?:page|seite|p\.|pág(?:ina)?\.?|стр\.?|pagina|第)\s*)?(\d{1,4}|[ivxlc]{1,7})"
    r"(?:\s*[-–—·•|])?(?:\s*(?:/|of|von|de|sur|из|van|页|頁)\s*\d{0,4}\s*页?)?\Z",
    re.IGNORECASE,
)
_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(slots=True)
class Furniture:
    """Fragments of one page that are running furniture, by their ``order``."""

    headers: set[int] = field(default_factory=set)
    footers: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Edge:
    page: int
    top: bool
    rank: int
    line: Line
    key: str
    isolated: bool


def find_furniture(pages: list[RawPage]) -> list[Furniture]:
    """Headers, footers and page numbers of every page of a document.

    A line of a zone is furniture when the same text, digits aside, stands in that zone on several pages, when it is
    a page number that counts along with the pages, or when it stands apart on a baseline that such lines share, or
    that the outermost lines of half of the pages share.
    """
    edges = [edge for page in pages for edge in _edges(page)]
    found = [Furniture() for _ in pages]
    least = max(3, (len(pages) + 9) // 10)
    offsets = _number_offsets(edges)
    pages_of: dict[tuple[bool, str], set[int]] = defaultdict(set)
    for edge in edges:
        pages_of[edge.top, edge.key].add(edge.page)
    body = usual([f.size for page in pages for f in page.fragments], 10.0)
    chosen: dict[int, _Edge] = {}
    levels: Counter[tuple[bool, int]] = Counter()
    for i, edge in enumerate(edges):
        number = any(_counts(cell.text, edge, offsets) for cell in edge.line.cells)
        alone = number and len(edge.line.cells) == 1
        repeated = len(pages_of[edge.top, edge.key]) >= least and edge.key != "#"
        if repeated and "#" in edge.key and edge.line.size > LARGE * body:
            repeated = False  # "Chapter 1", "Chapter 2"
        if alone or (repeated and (edge.isolated or edge.rank == 0)) or (number and edge.isolated and _short(edge)):
            chosen[i] = edge
            levels[edge.top, round(edge.line.base)] += 1
    shared = {level for level, count in levels.items() if count >= least} | _outermost(edges, len(pages), body)
    for i, edge in enumerate(edges):
        if i not in chosen and edge.isolated:
            base = round(edge.line.base)
            alike = len(pages_of[edge.top, edge.key]) >= 2 or edge.line.size < SMALL * body
            if alike and any((edge.top, base + d) in shared for d in (-1, 0, 1)):
                chosen[i] = edge
    # Furniture is outermost: a line between the page's edge and furniture belongs to it only if it was chosen too.
    for edge in chosen.values():
        target = found[edge.page].headers if edge.top else found[edge.page].footers
        target.update(cell.order for cell in edge.line.cells)
    return found


def _outermost(edges: list[_Edge], pages: int, body: float) -> set[tuple[bool, int]]:
    """Baselines on which half of the pages have their outermost line, alone and as plain as running titles are."""
    levels = Counter(
        (edge.top, round(edge.line.base))
        for edge in edges
        if edge.rank == 0 and edge.isolated and edge.line.size < SMALL * body and not edge.line.bold
    )
    return {level for level, count in levels.items() if count >= max(4, pages / 2)}


def _edges(page: RawPage) -> list[_Edge]:
    height = page.upright_size[1]
    edges = []
    for top in (True, False):
        zone = [f for f in page.fragments if (f.base < TOP * height if top else f.base > BOTTOM * height)]
        if not zone:
            continue
        lines = make_lines(zone)
        if not top:
            lines.reverse()
        for rank, line in enumerate(lines[:MOST_LINES]):
            key = _DIGITS.sub("#", line.text).casefold()
            if _ROMAN.match(key):
                key = "#"
            edges.append(_Edge(page.number, top, rank, line, key, _isolated(lines, rank, zone, page, top)))
    return edges


def _isolated(lines: list[Line], rank: int, zone: list[Fragment], page: RawPage, top: bool) -> bool:
    """Whether more than a usual line gap, or a rule, parts a line from what stands further inside the page."""
    line = lines[rank]
    if rank + 1 < len(lines):
        inner = lines[rank + 1].base
    else:
        rest = [f.base for f in page.fragments if (f.base > line.base + 1 if top else f.base < line.base - 1)]
        if not rest:
            return True
        inner = min(rest) if top else max(rest)
    if abs(inner - line.base) > 1.65 * line.size:
        return True
    low, high = min(inner, line.base), max(inner, line.base)
    return any(low - 1 < 0.5 * (rule[1] + rule[3]) < high + 1 for rule in page.rules)


def _short(edge: _Edge) -> bool:
    return len(edge.line.text) < 120


def page_number(text: str) -> int | None:
    """The number of a text that is nothing but a page number; Roman ones are negative."""
    if len(text) > 24:
        return None
    match = _PAGE_NUMBER.match(text)
    if match is None:
        return None
    digits = match.group(1)
    return int(digits) if digits.isdecimal() else -_roman(digits.lower())


def _roman(text: str) -> int:
    values = [_VALUES[c] for c in text]
    following = [*values[1:], 0]
    return sum(-v if v < after else v for v, after in zip(values, following, strict=True))


def _number_offsets(edges: list[_Edge]) -> set[tuple[bool, int]]:
    """Differences between printed and physical page numbers (of Roman numbers apart) that several pages share."""
    pages: dict[tuple[bool, int], set[int]] = defaultdict(set)
    for edge in edges:
        for cell in edge.line.cells:
            number = page_number(cell.text)
            if number is not None:
                pages[number < 0, abs(number) - edge.page].add(edge.page)
    return {key for key, found in pages.items() if len(found) >= 3}


def _counts(text: str, edge: _Edge, offsets: set[tuple[bool, int]]) -> bool:
    number = page_number(text)
    return number is not None and (number < 0, abs(number) - edge.page) in offsets
