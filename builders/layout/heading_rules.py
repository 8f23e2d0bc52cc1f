"""Headings without an outline: what is seen of a group of lines, weighed.

What is seen has names, every name has a weight, and a group whose weights add up to more than 0 is a heading. The
weights are those of a logistic regression against the outlines of real PDFs (``benchmarks/headings.py`` fits them on
one half of the documents and measures on the other). 0.8 was added to the weight of "always": outlines lack many
headings that are there. Pages that OCR has read have two signs more, whose weights were chosen on 20 scanned documents
(``benchmarks/ocr_headings.py``). Many signs are relative to the document: its body size, how it uses a style, whether
numbers count on, and what its printed contents list.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from .contents import Contents
from .group import Group
from .metrics import Metrics
from .patterns import (
    BULLET,
    CAPTION,
    CONTENTS_TITLE,
    INDEX_TITLE,
    NUMBERED,
    REFERENCES_TITLE,
    SECTION_TITLE,
    heading_number,
    without_number,
)  # fmt: skip

MAX_LENGTH, MAX_LINES = 160, 3
MIN_LISTED = 4
"""So many groups found in the printed contents, and the contents speak for the document."""
WEIGHTS = {
    "always": -0.84,
    # its size, weight and font
    "tiny": -1.51,
    "small": 0.21,
    "larger": 0.76,
    "much larger": 1.28,
    "largest": 1.28,
    "bold": 0.48,
    "capitals": 1.09,
    "monospaced": -1.4,
    "like the body": -0.51,
    "common style": -1.01,
    "style of short lines": 0.24,
    # its text
    "number of 1": -0.33,
    "number of 2": 1.33,
    "number of 3": 1.55,
    "number counts on": 1.93,
    "number only": -0.82,
    "bare number": 0.48,
    "ends like a sentence": -1.01,
    "ends with a colon": -0.6,
    "lower case": -0.44,
    "item": -0.52,
    "formula or code": -1.39,
    "a word or two": -0.07,
    "many words": -0.42,
    "several lines": -0.37,
    "repeated": -0.15,
    "usual title": -0.08,
    # where it stands
    "close to what stands above": -0.61,
    "apart from what stands above": 0.42,
    "close to what stands below": -0.66,
    "nothing below": -0.68,
    "a paragraph below": 0.33,
    "like the next": -0.48,
    "like the one before": -0.6,
    "first page": -0.87,
    "full line": -0.41,
    # the printed contents
    "listed": 1.53,
    "unlisted": -2.14,
    "unlisted, style of listed": 0.08,
    # of scans: sizes and weights measured on ink say less; what the layout model sees says more
    "scanned": -1.0,
    "titled": 1.5,
}
_ITEM = re.compile(r"\(?\w{1,3}\)")
_BARE_NUMBER = re.compile(r"\d+(?![.、)\d])")
_FORMULA = re.compile(r"[\\{}∂=^%_$|<>]")
_Style = tuple[int, bool, str]


@dataclass(slots=True)
class Candidate:
    """A group that may be a heading: its page, its number (see ``heading_number``), its place in its region."""

    group: Group
    page: int
    text: str
    number: tuple[int, ...]
    before: Group | None
    after: Group | None
    full: bool
    style: _Style


def find_headings(
    grouped: list[list[Group]], roles: list[str], metrics: Metrics, contents: Contents
) -> list[tuple[Group, int]]:
    """Groups that are headings, with their page, in the order of the document.

    Args:
        grouped: Groups of every page in reading order.
        roles: Of the pages, see ``blocks.Page``.
        metrics: Of the document.
        contents: Its printed contents.
    """
    seen = observe(grouped, roles, metrics, contents)
    return [(c.group, c.page) for c, names in seen if sum(WEIGHTS[name] for name in sorted(names)) > 0]


def observe(
    grouped: list[list[Group]], roles: list[str], metrics: Metrics, contents: Contents
) -> Iterator[tuple[Candidate, set[str]]]:
    """All candidates with the names (of ``WEIGHTS``) of what is seen of them; arguments as of ``find_headings``."""
    candidates = [c for n, groups in enumerate(grouped) for c in _candidates(groups, n, roles[n], contents)]
    styles = _StyleUse(grouped)
    texts = Counter(c.text for c in candidates)
    most = max(3, len(grouped) // 3)
    candidates = [c for c in candidates if texts[c.text] <= most]  # beyond that it is a label of a form
    numbers: dict[tuple[int, ...], int] = {}
    for i, candidate in enumerate(candidates):
        numbers.setdefault(candidate.number, i)
    listed = [contents.lists(c.text) for c in candidates]
    listed_styles = Counter(c.style for c, known in zip(candidates, listed, strict=True) if known)
    speaks = sum(listed) >= MIN_LISTED
    for i, c in enumerate(candidates):
        names = {"always"} | _of_style(c, metrics) | _of_text(c) | _of_place(c) | styles.names(c.style)
        if speaks and listed[i]:
            names.add("listed")
        elif speaks and not _known_title(c.text):
            names.add("unlisted")
            if listed_styles[c.style] >= 2:
                names.add("unlisted, style of listed")
        if _known_title(c.text):
            names.add("usual title")
        if c.number and _counts_on(c.number, i, numbers):
            names.add("number counts on")
        if texts[c.text] > max(2, len(grouped) // 10):
            names.add("repeated")
        if c.group.scanned:
            names |= {"scanned", "titled"} if c.group.titled else {"scanned"}
        yield c, names


def _candidates(groups: list[Group], page: int, role: str, contents: Contents) -> Iterator[Candidate]:
    entries = [any(id(line) in contents.lines for line in group.lines) for group in groups]
    listing = range(0)
    if role == "index":
        listing = range(len(groups))
    elif role == "contents":
        listing = range(max((i for i, entry in enumerate(entries) if entry), default=-1))
    start = 0
    while start < len(groups):
        end = next((i for i in range(start, len(groups)) if groups[i].last), len(groups) - 1)
        region = groups[start : end + 1]
        right = max(line.x1 for group in region for line in group.lines)
        for i in range(start, end + 1):
            group, text = groups[i], groups[i].text.strip()
            if entries[i] or not _eligible(group, text) or (i in listing and not _known_title(text)):
                continue
            before, after = groups[i - 1] if i > start else None, groups[i + 1] if i < end else None
            full = group.lines[0].x1 > right - 8
            yield Candidate(group, page, text, heading_number(text), before, after, full, _style(group))
        start = end + 1


def _eligible(group: Group, text: str) -> bool:
    if group.kind or group.math or len(group.lines) > MAX_LINES or len(text) > MAX_LENGTH:
        return False
    letters = sum(map(str.isalpha, text))
    if letters < 2 or CAPTION.match(text):
        return False
    return 2 * letters >= len(text.replace(" ", "")) or NUMBERED.match(text) is not None


def _style(group: Group) -> _Style:
    return round(2 * group.size), group.bold, group.lines[0].font


class _StyleUse:
    """How a document uses its styles."""

    def __init__(self, grouped: list[list[Group]]) -> None:
        self._all: Counter[_Style] = Counter()
        self._short: Counter[_Style] = Counter()
        for groups in grouped:
            for group in groups:
                count = len(group.text)
                self._all[_style(group)] += count
                if len(group.lines) <= 2 and count < 90:
                    self._short[_style(group)] += count
        self._total = self._all.total()

    def names(self, style: _Style) -> set[str]:
        names = {"common style"} if self._all[style] >= 0.08 * self._total else set()
        return names | {"style of short lines"} if self._short[style] > 0.9 * self._all[style] else names


def _known_title(text: str) -> bool:
    bare = without_number(text).strip().rstrip(".:")
    return any(pattern.match(bare) for pattern in (CONTENTS_TITLE, REFERENCES_TITLE, INDEX_TITLE, SECTION_TITLE))


def _counts_on(number: tuple[int, ...], at: int, numbers: dict[tuple[int, ...], int]) -> bool:
    """Whether the number before it stands earlier in the document; of a first one, its parent."""
    *parents, last = number
    wanted = tuple(parents) if last in (0, 1, 1001) else (*parents, last - 1)
    return not wanted or numbers.get(wanted, at) < at


def _of_style(c: Candidate, metrics: Metrics) -> set[str]:
    larger = c.group.size / metrics.size
    names = {name for name, least, most in _SIZES if least <= larger < most}
    bold = c.group.bold and not metrics.bold
    if bold:
        names.add("bold")
    elif not c.number and 0.96 <= larger < 1.05 and c.group.lines[0].font == metrics.font:
        names.add("like the body")
    if c.group.mono:
        names.add("monospaced")
    letters = [char for char in c.text if char.isalpha() and char.lower() != char.upper()]
    if len(letters) > 3 and all(map(str.isupper, letters)):
        names.add("capitals")
    return names


_SIZES = (
    ("tiny", 0.0, 0.85),
    ("small", 0.85, 0.96),
    ("larger", 1.05, 1.15),
    ("much larger", 1.15, 1.35),
    ("largest", 1.35, 1e9),
)
"""Names of sizes relative to the body's; the body's own has none."""


def _of_text(c: Candidate) -> set[str]:
    text, depth = c.text, len(c.number)
    title = without_number(text).strip() if depth else text
    names = {f"number of {min(depth, 3)}"} if depth else set()
    if depth and not title:
        names.add("number only")
    if depth == 1 and _BARE_NUMBER.match(text):
        names.add("bare number")
    if text[-1] in ".,;。；，":
        names.add("ends like a sentence")
    elif text[-1] in ":：":
        names.add("ends with a colon")
    if title[:1].islower():
        names.add("lower case")
    if BULLET.match(text) or _ITEM.match(text):
        names.add("item")
    if _FORMULA.search(text):
        names.add("formula or code")
    words = len(title.split())
    if words <= 2:
        names.add("a word or two")
    elif words > 12:
        names.add("many words")
    if len(c.group.lines) > 1:
        names.add("several lines")
    return names


def _of_place(c: Candidate) -> set[str]:
    gap, after, before = c.group.gap, c.after, c.before
    names = set()
    if gap < 1.15:
        names.add("close to what stands above")
    elif 1.45 <= gap < 9.0:
        names.add("apart from what stands above")
    if after is None:
        names.add("nothing below")
    else:
        if after.gap < 1.1:
            names.add("close to what stands below")
        if c.style == _style(after) and len(after.lines) <= 2:
            names.add("like the next")
        if len(after.lines) > 2 or len(after.text) > 120:
            names.add("a paragraph below")
    if before is not None and c.style == _style(before) and len(before.lines) <= 2:
        names.add("like the one before")
    if c.page == 0:
        names.add("first page")
    if c.full:
        names.add("full line")
    return names
