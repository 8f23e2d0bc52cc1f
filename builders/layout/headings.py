"""Headings of the outline: its entries, found on their pages; the levels of headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from .group import Group
from .lines import Line
from .patterns import CAPTION, CHAPTER_WORDS, LEADER, heading_depth, normalized, without_number

MIN_OUTLINE = 3
"""Fewer outline entries found on their pages are no structure: the rules decide instead."""
MAX_LINES = 5
"""A title of the outline is looked for on so many lines at most."""
ALIKE, MIN_ALIKE = 0.85, 8
"""Titles with formulas or logos differ from their lines: so alike, and so many letters long, they are one."""
_NUMBER = re.compile(
    rf"(?:{CHAPTER_WORDS})?(?:[a-z]?[0-9]{{0,8}}[a-z]?|[ivxlc]{{1,7}}[0-9]{{0,6}}|[一二三四五六七八九十]{{1,3}})|第.{{1,4}}[章节節部篇]"
)
"""What may stand before a title in the normalized text of its line."""
_NUMBER_START = re.compile(rf"(?:{_NUMBER.pattern})")
_NOTE = re.compile(r"\d{0,4}")
"""What may stand after it: notes, citations, and numbers of headings that run from right to left."""
_LABEL = re.compile(r"[^\W\d_]{3,14}\.?\s+[\dA-Z][\w.]{0,6}\)?\s*[:.–—-]\s+")
"""A label of any kind before a title, as "Exercise 3: "."""
_TITLE_NUMBER = re.compile(r"(?:[IVXLC]{1,7}|[A-Z]|\d{1,3}(?:\.\d{1,3})*)[.:]?\s+(?=\S)")
Outline = list[tuple[int, str, int, float | None]]


@dataclass(frozen=True, slots=True)
class Heading:
    """What is known of a line that begins a heading. ``lines`` counts the lines that belong to it."""

    level: int
    source: str
    lines: int = 1


def outline_headings(outline: Outline, pages: list[list[list[Line]]]) -> dict[int, Heading]:
    """``id`` of first lines -> heading, for the entries whose title stands on their page or one beside it.

    An entry that points to the wrong page is thus corrected or, where its title is found nowhere near, left out.

    Args:
        outline: As ``PdfFile.outline`` gives it.
        pages: Regions of lines of every page.
    """
    found: dict[int, Heading] = {}
    used: set[int] = set()
    keys: dict[int, list[_Keyed]] = {}
    for level, title, page, y in outline:
        wanted = {
            normalized(title),
            normalized(without_number(title)),
            normalized(_TITLE_NUMBER.sub("", title, count=1)),
        }
        wanted -= {""}
        near = [number for number in (page, page + 1, page - 1) if 0 <= number < len(pages) and wanted]
        for number in near:
            if number not in keys:
                keys[number] = list(_keyed(pages[number]))
        attempts = [(number, find) for find in (_find, _find_alike) for number in near]
        for number, find in attempts:
            match = find(wanted, keys[number], used, y if number == page else None)
            if match:
                found[id(match[0])] = Heading(max(1, level), "outline", len(match))
                used.update(id(line) for line in match)
                break
    return found if len(found) >= MIN_OUTLINE else {}


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Lines of a region from one on (at most ``MAX_LINES``) and their normalized texts; ``bare``: without a label."""

    lines: list[Line]
    keys: list[str]
    bare: str


def _keyed(regions: list[list[Line]]) -> Iterator[_Keyed]:
    for lines in regions:
        keys = [normalized(line.text) for line in lines]
        for i, line in enumerate(lines):
            if keys[i] and not LEADER.search(line.text):
                label = None if CAPTION.match(line.text) else _LABEL.match(line.text)
                bare = normalized(line.text[label.end() :]) if label else keys[i]
                yield _Keyed(lines[i : i + MAX_LINES], keys[i : i + MAX_LINES], bare)


def _find(wanted: set[str], starts: list[_Keyed], used: set[int], y: float | None) -> list[Line]:
    """The lines whose text is a wanted title: the largest, the one nearest to ``y`` among equals."""
    best: tuple[float, list[Line]] | None = None
    for start in starts:
        count = _lines_of(wanted, start)
        lines = start.lines[:count]
        if not count or any(id(line) in used for line in lines):
            continue
        distance = -max(line.size for line in lines) + (0.01 * abs(lines[0].y0 - y) if y is not None else 0.0)
        if best is None or distance < best[0]:
            best = (distance, lines)
    return best[1] if best else []


def _lines_of(wanted: set[str], start: _Keyed) -> int:
    """How many lines from the start are a wanted title; 0 if they are none."""
    if start.bare in wanted:
        return 1
    key = ""
    for count, more in enumerate(start.keys, 1):
        key += more
        if any(_is_one(key, title) for title in wanted):
            return count
        if not any(title.startswith(_unnumbered(key, title)) for title in wanted):
            return 0
    return 0


def _is_one(key: str, title: str) -> bool:
    """Whether a line's text is a title, give or take the number before it and a note after it."""
    at = key.find(title)
    if at < 0:
        return False
    rest = key[at + len(title) :]
    return bool(_NUMBER.fullmatch(key[:at]) and (not rest or (len(title) > 3 and _NOTE.fullmatch(rest))))


def _unnumbered(key: str, title: str) -> str:
    """The lines' text from where the title may begin; "" if it is a number alone."""
    if title.startswith(key) or _NUMBER.fullmatch(key):
        return key if title.startswith(key) else ""
    return _NUMBER_START.sub("", key, count=1) or "\0"


def _find_alike(wanted: set[str], starts: list[_Keyed], used: set[int], y: float | None) -> list[Line]:
    """The lines whose text is most like a wanted title, ``ALIKE`` at least; arguments as of ``_find``."""
    best: tuple[float, list[Line]] | None = None
    for title in sorted(wanted):
        if len(title) < MIN_ALIKE:
            continue
        matcher = SequenceMatcher(None, "", title, autojunk=False)
        for start in starts:
            key = ""
            for count, more in enumerate(start.keys, 1):
                key += more
                bare = _NUMBER_START.sub("", key, count=1) if len(key) > len(title) else key
                if len(bare) < 0.8 * len(title):
                    continue
                if len(bare) > 1.25 * len(title):
                    break
                matcher.set_seq1(bare)
                if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
                    continue
                likeness = matcher.ratio()
                lines = start.lines[:count]
                if likeness >= max(ALIKE, best[0] if best else 0.0) and not any(id(line) in used for line in lines):
                    best = (likeness, lines)
    return best[1] if best else []


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
