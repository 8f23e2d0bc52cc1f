"""Headings: entries of the outline found on their pages, or else lines that size, weight and numbering give away."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .group import Group
from .lines import Line
from .metrics import Metrics
from .patterns import BULLET, CAPTION, LEADER, heading_depth, without_number

MIN_OUTLINE = 3
"""Fewer outline entries found on their pages are no structure: the rules decide instead."""
MAX_LENGTH = 160
_NUMBER = re.compile(r"(?:chapter|kapitel|chapitre|section|part|appendix|глава)?[0-9]{1,8}|[a-z]|[ivx]{1,5}|第.{1,4}章")
"""What may stand before a title in the normalized text of its line."""
_NUMBER_START = re.compile(rf"(?:{_NUMBER.pattern})")
_READABLE = re.compile(r"\A[^\\{}∂=^%_$|]*(?:[^\W\d_]{3}|[\u3400-\u9fff]{2})[^\\{}∂=^%_$|]*\Z")
"""On scans, where sizes are measured, formulas and code look large: a heading has a word and none of their signs."""
_NOT_WORD = re.compile(r"[\W_]+")
Outline = list[tuple[int, str, int, float | None]]


@dataclass(frozen=True, slots=True)
class Heading:
    """What is known of a line that begins a heading. ``lines`` counts the lines that belong to it."""

    level: int
    source: str
    lines: int = 1


def normalized(text: str) -> str:
    """Letters and digits of a text in one case, for comparison."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _NOT_WORD.sub("", text.casefold())


def outline_headings(outline: Outline, pages: list[list[list[Line]]]) -> dict[int, Heading]:
    """``id`` of first lines -> heading, for the entries whose title stands on their page or one beside it.

    An entry that points to the wrong page is thus corrected or, where its title is found nowhere near, left out.

    Args:
        outline: As ``PdfFile.outline`` gives it.
        pages: Regions of lines of every page.
    """
    found: dict[int, Heading] = {}
    keys: dict[int, list[_Keyed]] = {}
    for level, title, page, y in outline:
        wanted = {normalized(title), normalized(without_number(title))} - {""}
        for number in (page, page + 1, page - 1):
            if not 0 <= number < len(pages) or not wanted:
                continue
            if number not in keys:
                keys[number] = _keyed(pages[number])
            match = _find(wanted, keys[number], found, y if number == page else None)
            if match is not None:
                line, count = match
                found[id(line)] = Heading(max(1, level), "outline", count)
                break
    return found if len(found) >= MIN_OUTLINE else {}


_Keyed = tuple[Line, str, list[Line]]
"""A line, its normalized text, and the lines that follow it in its region (at most two)."""


def _keyed(regions: list[list[Line]]) -> list[_Keyed]:
    return [
        (line, normalized(line.text), lines[i + 1 : i + 3])
        for lines in regions
        for i, line in enumerate(lines)
        if not LEADER.search(line.text)
    ]


def _find(wanted: set[str], lines: list[_Keyed], used: dict[int, Heading], y: float | None) -> tuple[Line, int] | None:
    """The lines (at most three) whose text is a wanted title: the largest, the one nearest to ``y`` among equals."""
    best: tuple[float, Line, int] | None = None
    for line, key, following in lines:
        if not key or id(line) in used:
            continue
        count = 1
        for other in following:
            if _is_one(key, wanted) or not any(title.startswith(_unnumbered(key, title)) for title in wanted):
                break
            key += normalized(other.text)
            count += 1
        if _is_one(key, wanted):
            distance = -line.size + (0.01 * abs(line.y0 - y) if y is not None else 0.0)
            if best is None or distance < best[0]:
                best = (distance, line, count)
    return (best[1], best[2]) if best else None


def _is_one(key: str, wanted: set[str]) -> bool:
    """Whether a line's text is a title, give or take the number before it."""
    return key in wanted or any(key.endswith(title) and _NUMBER.fullmatch(key[: -len(title)]) for title in wanted)


def _unnumbered(key: str, title: str) -> str:
    """The line's text from where the title may begin."""
    return key if title.startswith(key) else _NUMBER_START.sub("", key) or "\0"


def looks_like_heading(group: Group, metrics: Metrics) -> bool:
    """Whether a group of lines is a heading by its looks."""
    if len(group.lines) > 3 or group.mono or group.math:
        return False
    text = group.text.strip()
    letters = sum(map(str.isalpha, text))
    if letters < 2 or len(text) > MAX_LENGTH or 2 * letters < len(text.replace(" ", "")):
        return False
    if (
        text[-1] in ".,;"
        or CAPTION.match(text)
        or BULLET.match(text)
        or any(len(line.cells) > 2 for line in group.lines)
    ):
        return False
    if group.scanned and not (_READABLE.search(text) and (group.titled or (group.gap > 1.3 and not text[0].islower()))):
        return False
    larger = group.size / metrics.size
    numbered = heading_depth(text) > 0
    if larger >= 1.15 or (group.titled and larger >= 0.86):
        return True
    bold = group.bold and not metrics.bold
    apart = group.gap > 1.2
    if bold and larger >= 0.97:
        return numbered or (apart and text[-1] not in ":" and text[0].isupper())
    return numbered and larger >= 1.05 and apart


def rank_levels(headings: list[tuple[Group, int]]) -> None:
    """Give every heading its level: by its number where it has one, else by the rank of its size and weight.

    Args:
        headings: Groups with their position in the document; ``level`` is set.
    """
    styles = sorted({(-round(2 * group.size), not group.bold) for group, _ in headings})
    rank = {style: min(i + 1, 5) for i, style in enumerate(styles)}
    for group, _ in headings:
        if not group.level:
            group.level = heading_depth(group.text) or rank[-round(2 * group.size), not group.bold]
