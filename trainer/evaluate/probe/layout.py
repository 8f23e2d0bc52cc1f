"""Which pages a probe sample consists of: the evidence at its depth, its own neighbours, then pages of other documents.

A pure function: no picture is touched here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mmprolong_data.chat import VISION_MARKERS
from mmprolong_data.vision import FACTOR, image_tokens

from .source import Size

FILL = 0.99
"""Least share of the length that a sample has to reach."""
LEAST_TOKENS = 4
"""The model's smallest picture: a cut page has at least these tokens."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One page of a sample.

    Attributes:
        doc_id: The document.
        page: 0-based page in it.
        size: Width and height (pixels) as used; smaller than the page where it was cut.
        cut: Whether only the page's upper left part is used.
    """

    doc_id: str
    page: int
    size: Size
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The pages of a sample.

    Attributes:
        slots: In order.
        start: Position of the core's first page in ``slots``.
        before: Tokens before the core.
        tokens: Of all pages with their labels.
    """

    slots: tuple[Slot, ...]
    start: int
    before: int
    tokens: int


class Misfit(Exception):
    """No layout: ``core_too_long``, ``too_few_pages``, or ``too_short_to_fill`` (lengths near 1,000 tokens only)."""


Label = Callable[[str, int], int]
"""(doc_id, page) -> tokens of the page's label."""


class Pages:
    """What the layout needs to know of documents."""

    def __init__(self, sizes: Callable[[str], Sequence[Size]], label: Label) -> None:
        self.sizes, self.label = sizes, label

    def cost(self, doc_id: str, page: int) -> int:
        """Tokens of a whole page with its label and the markers around it."""
        return self.overhead(doc_id, page) + image_tokens(*self.sizes(doc_id)[page])

    def overhead(self, doc_id: str, page: int) -> int:
        """Tokens of a page that are no picture."""
        return self.label(doc_id, page) + VISION_MARKERS


def lay_out(
    doc_id: str, core: tuple[int, int], length: int, depth: float, others: Iterator[str], pages: Pages
) -> Layout:
    """Choose the pages of a sample.

    The core (the evidence and what lies between) stands at ``depth``. Around it pages are added alternately left and
    right: its own document's, then those of other documents, each in reading order, until neither side has room for a
    whole page. The outermost page of either side is cut to what is left.

    Args:
        doc_id: The document that is asked about.
        core: First page and end (exclusive).
        length: Tokens that the pages may take.
        depth: 0: the core comes first; 1: it comes last.
        others: Other documents, each once.
        pages: Sizes and costs.

    Raises:
        Misfit: the core alone is too long, or the other documents have too few pages.
    """
    first, end = core
    sizes = pages.sizes(doc_id)
    core_cost = sum(pages.cost(doc_id, page) for page in range(first, end))
    budget = length - core_cost
    if budget < 0:
        raise Misfit("core_too_long")
    near = int(min(depth, 1 - depth) * budget)
    left = _Side(_leftwards(doc_id, first, others, pages), pages)
    right = _Side(_rightwards(doc_id, end, len(sizes), others, pages), pages)
    small, large = (left, right) if depth <= 0.5 else (right, left)
    small.budget, large.budget = near, budget - near
    growing = True
    while growing:
        took_left, took_right = left.take(), right.take()
        growing = took_left or took_right
    small.take_cut()  # so that the core stands at its depth, whatever the length of a page
    large.budget += small.budget  # too little for any page there
    while large.take():
        pass
    large.take_cut()
    if large.budget > (1 - FILL) * length:
        raise Misfit("too_few_pages" if large.exhausted else "too_short_to_fill")
    middle = [Slot(doc_id, page, sizes[page]) for page in range(first, end)]
    before = sum(slot_cost(slot, pages) for slot in left.taken)
    slots = (*reversed(left.taken), *middle, *right.taken)
    return Layout(slots, len(left.taken), before, length - large.budget)


class _Side:
    """One side of the core: what it takes next, what it has taken, what it may still take (tokens)."""

    def __init__(self, candidates: Iterator[tuple[str, int]], pages: Pages) -> None:
        self._candidates, self._pages = candidates, pages
        self._next = next(candidates, None)
        self.budget = 0
        self.taken: list[Slot] = []

    def take(self) -> bool:
        """Take the next page as a whole. False if it does not fit or there is none."""
        if self._next is None:
            return False
        doc_id, page = self._next
        cost = self._pages.cost(doc_id, page)
        if cost > self.budget:
            return False
        self._add(Slot(doc_id, page, self._pages.sizes(doc_id)[page]), cost)
        return True

    @property
    def exhausted(self) -> bool:
        """Whether there is no further page."""
        return self._next is None

    def take_cut(self) -> None:
        """Take as much of the next page as fits."""
        if self._next is None:
            return
        doc_id, page = self._next
        size = cut_size(self._pages.sizes(doc_id)[page], self.budget - self._pages.overhead(doc_id, page))
        if size is not None:
            slot = Slot(doc_id, page, size, cut=True)
            self._add(slot, slot_cost(slot, self._pages))

    def _add(self, slot: Slot, cost: int) -> None:
        self.taken.append(slot)
        self.budget -= cost
        self._next = next(self._candidates, None)


def slot_cost(slot: Slot, pages: Pages) -> int:
    """Tokens of a page as it is used, with its label and the markers around it."""
    return pages.overhead(slot.doc_id, slot.page) + image_tokens(*slot.size)


def _leftwards(doc_id: str, first: int, others: Iterator[str], pages: Pages) -> Iterator[tuple[str, int]]:
    for page in reversed(range(first)):
        yield doc_id, page
    for other in others:
        for page in reversed(range(len(pages.sizes(other)))):
            yield other, page


def _rightwards(doc_id: str, end: int, count: int, others: Iterator[str], pages: Pages) -> Iterator[tuple[str, int]]:
    for page in range(end, count):
        yield doc_id, page
    for other in others:
        for page in range(len(pages.sizes(other))):
            yield other, page


def cut_size(size: Size, tokens: int) -> Size | None:
    """The largest upper left part of a page, in whole tokens, that takes at most ``tokens``; None if none does."""
    columns, rows = size[0] // FACTOR, size[1] // FACTOR
    best = max(
        ((width * min(rows, tokens // width), width) for width in range(1, columns + 1) if tokens >= width),
        default=(0, 0),
    )
    area, width = best
    return (width * FACTOR, area // width * FACTOR) if area >= LEAST_TOKENS else None
