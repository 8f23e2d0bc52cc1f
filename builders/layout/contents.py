"""Printed tables of contents: the titles that a document lists of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .lines import Line
from .patterns import CONTENTS_TITLE, LEADER, TRAILING_NUMBER, normalized, without_number

MIN_ENTRIES = 3
"""Lines that name a page, on a page of contents."""
_BARE_NUMBER = re.compile(r"(?:[IVXLC]{1,7}|[A-Z]|[一二三四五六七八九十]{1,3})[.:]?\s+(?=\S)")
"""Numbers without a full stop, which are words in running text."""
_PAGE = re.compile(r"[\s.·…‥․]+(?:\d{1,4}|[ivxlc]{1,7}|[A-Z]-?\d{1,3})\s*\Z", re.IGNORECASE)


@dataclass(slots=True)
class Contents:
    """Normalized titles, with and without their numbers, and the ``id`` of the lines that hold them."""

    titles: set[str] = field(default_factory=set)
    lines: set[int] = field(default_factory=set)

    def lists(self, text: str) -> bool:
        """Whether a heading is listed, with its number or without."""
        return bool(_keys(text) & self.titles)


def read_contents(pages: Iterable[list[list[Line]]]) -> Contents:
    """The entries on all pages that have such a list, be it only on a part of the page.

    Args:
        pages: Regions of lines of every page.
    """
    contents = Contents()
    for regions in pages:
        lines = [line for region in regions for line in region]
        leaders = sum(1 for line in lines if LEADER.search(line.text))
        if leaders < MIN_ENTRIES and not any(is_contents_title(line.text) for line in lines):
            continue
        entries = {i for i, line in enumerate(lines) if LEADER.search(line.text) or TRAILING_NUMBER.search(line.text)}
        if len(entries) < MIN_ENTRIES:
            continue
        for i in sorted(entries):
            contents.lines.add(id(lines[i]))
            text = _PAGE.sub("", LEADER.sub("", lines[i].text))
            contents.titles |= _keys(text)
            if i and i - 1 not in entries:  # a long title began on the line above
                contents.titles |= _keys(f"{lines[i - 1].text} {text}")
    return contents


def is_contents_title(text: str) -> bool:
    """Whether a line is the title of a list of contents, figures, tables ..."""
    return CONTENTS_TITLE.match(without_number(text).strip()) is not None


def _keys(text: str) -> set[str]:
    bare = _BARE_NUMBER.sub("", text, count=1)
    return {key for key in map(normalized, (text, without_number(text), bare)) if len(key) > 1}
