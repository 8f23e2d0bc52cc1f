"""What a family of questions is: it turns facts of a segment into drafts; the generator words and orders them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from ...segments import Segment
from ..facts import FactIndex
from ..places import Place
from ..protocol import Answer

_FRACTION = re.compile(r"[.,]\d{1,2}\Z")
Span = tuple[int, int]
"""0-based pages, end exclusive."""


@dataclass(frozen=True, slots=True)
class Where:
    """An anchor: the words for it (to stand inside a sentence) and the pages that they name."""

    words: str
    scope: Span


@dataclass(frozen=True, slots=True)
class Draft:
    """A question before wording.

    Attributes:
        slots: What the family's wordings name, besides ``{where}`` / ``{Where}``.
        answer, answer_format, pages, sources, proof: As in ``Candidate``; ``pages`` are its evidence pages.
        anchors: The anchors to choose from; all of them leave one answer.
        notes: As in ``Candidate``.
    """

    slots: dict[str, str]
    answer: Answer
    answer_format: str
    pages: list[int]
    sources: list[str]
    proof: dict[str, Any]
    anchors: Sequence[Where]
    notes: dict[str, Any] = field(default_factory=dict)


class Family(ABC):
    """One kind of question."""

    name: ClassVar[str]
    config: ClassVar[str]
    weight: ClassVar[float] = 1.0
    """How often it is preferred where several families have candidates; families that few documents serve get more."""
    wordings: ClassVar[Sequence[str]]
    """Format strings of equal meaning."""

    @abstractmethod
    def drafts(self, facts: FactIndex, segment: Segment) -> Iterable[Draft]:
        """All drafts of a segment; order does not matter."""


def on_page(page: int) -> Where:
    """The anchor of one 0-based page."""
    return Where(f"on page {page + 1}", (page, page + 1))


def on_pages(start: int, end: int) -> Where:
    """The anchor of 0-based pages ``start`` to ``end`` (exclusive), at least two."""
    return Where(f"on pages {start + 1}-{end}", (start, end))


def in_section(facts: FactIndex, place: Place, segment: Segment) -> list[Where]:
    """The anchor of the section that holds a block, if it can be named and lies in the segment."""
    section = facts.section_of(place)
    if section is None or section.pages[0] < segment.start or section.pages[1] > segment.end:
        return []
    return [Where(f"in the section “{section.title}”", section.pages)]


def inside(segment: Segment, page: int) -> bool:
    """Whether a page belongs to the segment."""
    return segment.start <= page < segment.end


def page_list(pages: Sequence[int]) -> str:
    """``7``, ``7 and 21``, ``7, 21 and 30`` (1-based)."""
    numbers = [str(page + 1) for page in pages]
    return numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"


def name_list(names: Sequence[str]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_answer(value: Decimal, printed: str = "") -> tuple[int | float, str]:
    """(answer, format): Integer where the value has no fraction (and none is printed: ``3.0``), else Float."""
    if value == value.to_integral_value() and not _FRACTION.search(printed):
        return int(value), "Integer"
    return float(value), "Float"
