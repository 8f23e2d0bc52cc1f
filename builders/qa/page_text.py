"""The text of pages as the verifier sees it: folded lines and squashed text, made on first use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ..blocks import Document
from .text import contains_words, fold, squash

_BULLETS = "•·▪■*◦–- "


class PageText:
    """One page: ``lines`` folded, without bullets; ``folded`` in one piece; ``squashed`` without spaces."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[str] | None = None
        self._folded: str | None = None
        self._squashed: str | None = None

    @property
    def lines(self) -> list[str]:
        """Folded layout lines without leading bullets."""
        if self._lines is None:
            folded = (fold(line).lstrip(_BULLETS) for line in self._text.split("\n"))
            self._lines = [line for line in folded if line]
        return self._lines

    @property
    def folded(self) -> str:
        """All of the page in one line."""
        if self._folded is None:
            self._folded = fold(self._text)
        return self._folded

    @property
    def squashed(self) -> str:
        """All of the page without spaces and hyphens."""
        if self._squashed is None:
            self._squashed = squash(self._text)
        return self._squashed

    def holds(self, text: str) -> bool:
        """Whether the page holds a text: a short one between word limits, a long one across line ends too."""
        needle = fold(text)
        if not needle:
            return False
        return contains_words(self.folded, needle) or (len(needle) >= 10 and squash(text) in self.squashed)


def page_texts_of(document: Document) -> list[str]:
    """The text of every page from its blocks, running headers and footers included, one layout line a line."""
    return [
        "\n".join(line for block in page.blocks for line in (block.lines or [block.text])) for page in document.pages
    ]


_LAST: list[tuple[Document, list[PageText]]] = []


def pages_of(document: Document, page_texts: Sequence[str] | None) -> list[PageText]:
    """Views of all pages; those of the last document's own blocks are kept."""
    if page_texts is not None:
        return [PageText(text) for text in page_texts]
    if not _LAST or _LAST[0][0] is not document:
        _LAST[:] = [(document, [PageText(text) for text in page_texts_of(document)])]
    return _LAST[0][1]


@lru_cache(maxsize=512)
def field_pattern(key: str) -> re.Pattern[str]:
    """Matches ``key: value`` in a folded line; group 1 is the value."""
    return re.compile(rf"(?<!\w){re.escape(fold(key))}\s?:\s*(\S.*)")
