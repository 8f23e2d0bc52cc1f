"""The text of pages as the verifier sees it: folded lines and squashed text, made on first use."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

from ..blocks import Document, Page
from .text import contains_words, fold, squash, tidy

_BULLETS = "•·▪■*◦–- "


class PageText:
    """One page: ``lines`` folded, without bullets; ``folded`` in one piece; ``squashed`` without spaces.

    Args:
        text: The page's text in the extractor's order, one layout line a line.
        rows: The same runs of text ordered by their places: one line a baseline, from left to right. It differs from
            ``text`` where a table was drawn column by column, and where two columns of text stand side by side.
            They cost far more than the text, and most pages are never asked for them: a function makes them then.
    """

    def __init__(self, text: str, rows: str | Callable[[], str] = "") -> None:
        self._text = text
        self._rows = rows

    @cached_property
    def lines(self) -> list[str]:
        """Folded layout lines without leading bullets."""
        return _lines(self._text)

    @cached_property
    def printed_lines(self) -> list[str]:
        """``lines`` with their capital letters."""
        tidied = (tidy(line).lstrip(_BULLETS) for line in self._text.split("\n"))
        return [line for line in tidied if line]

    @cached_property
    def rows(self) -> list[str]:
        """Folded lines by baseline; ``lines`` where the extractor gives no places."""
        rows = self._rows if isinstance(self._rows, str) else self._rows()
        return _lines(rows) if rows else self.lines

    @cached_property
    def folded(self) -> str:
        """All of the page in one line."""
        return fold(self._text)

    @cached_property
    def squashed(self) -> str:
        """All of the page without spaces and hyphens."""
        return squash(self._text)

    @cached_property
    def squashed_rows(self) -> list[str]:
        """``rows`` without spaces and hyphens."""
        return [squash(row) for row in self.rows]

    def holds(self, text: str) -> bool:
        """Whether the page holds a text: a short one between word limits, a long one across line ends too."""
        needle = fold(text)
        if not needle:
            return False
        return contains_words(self.folded, needle) or (len(needle) >= 10 and squash(text) in self.squashed)

    def holds_row(self, cells: Sequence[str]) -> bool:
        """Whether the cells stand next to one another, in this order, in one row."""
        whole = squash("".join(cells))
        return whole in self.squashed or any(whole in row for row in self.squashed_rows)


def _lines(text: str) -> list[str]:
    folded = (fold(line).lstrip(_BULLETS) for line in text.split("\n"))
    return [line for line in folded if line]


def page_text_of(page: Page) -> PageText:
    """The text of a page from its blocks, running headers and footers included."""
    return PageText("\n".join(line for block in page.blocks for line in (block.lines or [block.text])))


_LAST: list[tuple[Document, list[PageText]]] = []


def pages_of(document: Document, pages: Sequence[str] | Sequence[PageText] | None) -> Sequence[PageText]:
    """Views of all pages, whatever form the caller has; those of the last document's own blocks are kept."""
    if pages is not None:
        if isinstance(pages, list):
            return [page if isinstance(page, PageText) else PageText(page) for page in pages]
        return pages  # type: ignore[return-value]  # a SecondText, which reads its pages when they are asked for
    if not _LAST or _LAST[0][0] is not document:
        _LAST[:] = [(document, [page_text_of(page) for page in document.pages])]
    return _LAST[0][1]


@lru_cache(maxsize=512)
def field_pattern(key: str) -> re.Pattern[str]:
    """Matches ``key: value`` in a folded line; group 1 is the value, "" where it stands in other lines."""
    return re.compile(rf"(?<!\w){re.escape(fold(key))}\s?:\s*(\S.*|\Z)")
