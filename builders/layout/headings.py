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
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).casefold())


def outline_headings(outline: Outline, pages: list[list[list[Line]]]) -> dict[int, Heading]:
    """``id`` of first lines -> heading, for the entries whose title stands on their page or one beside it.

    An entry that points to the wrong page is thus corrected or, where its title is found nowhere near, left out.

    Args:
        outline: As ``PdfFile.outline`` gives it.
        pages: Regions of lines of every page.
    """
    found: dict[int, Heading] = {}
    used: set[int] = set()
    for level, title, page, y in outline:
        wanted = {normalized(title), normalized(without_number(title))} - {""}
        for number in (page, page + 1, page - 1):
            if not 0 <= number < len(pages):
                continue
            match = _find(wanted, pages[number], used, y if number == page else None)
            if match is not None:
                line, count = match
                used.add(id(line))
                found[id(line)] = Heading(max(1, level), "outline", count)
                break
    return found if len(found) >= MIN_OUTLINE else {}


def _find(wanted: set[str], regions: list[list[Line]], used: set[int], y: float | None) -> tuple[Line, int] | None:
    """The lines (at most three) whose text is a wanted title; the one nearest to ``y`` if there are several."""
    best: tuple[float, Line, int] | None = None
    for lines in regions:
        for i, line in enumerate(lines):
            if id(line) in used or LEADER.search(line.text):
                continue
            text = ""
            for count in (1, 2, 3):
                if i + count > len(lines):
                    break
                text += " " + lines[i + count - 1].text
                key = {normalized(text), normalized(without_number(text.strip()))}
                if key & wanted:
                    # The larger line is the heading where a title also stands in the running text.
                    distance = -line.size + (0.01 * abs(line.y0 - y) if y is not None else 0.0)
                    if best is None or distance < best[0]:
                        best = (distance, line, count)
                    break
    return (best[1], best[2]) if best else None


def looks_like_heading(group: Group, metrics: Metrics) -> bool:
    """Whether a group of lines is a heading by its looks."""
    if len(group.lines) > 3 or group.mono or group.math:
        return False
    text = group.text.strip()
    letters = sum(map(str.isalpha, text))
    if not 2 <= letters or len(text) > MAX_LENGTH or 2 * letters < len(text.replace(" ", "")):
        return False
    if text[-1] in ".,;" or CAPTION.match(text) or BULLET.match(text) or any(len(l.cells) > 2 for l in group.lines):
        return False
    larger = group.size / metrics.size
    numbered = heading_depth(text) > 0
    if larger >= 1.15:
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
