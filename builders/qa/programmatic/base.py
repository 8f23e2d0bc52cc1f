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
from .wordings import Language

_FRACTION = re.compile(r"[.,]\d{1,2}\Z")
Span = tuple[int, int]
"""0-based pages, end exclusive."""


@dataclass(frozen=True, slots=True)
class Where:
    """An anchor: the English words for it (to stand inside a sentence) and the pages that they name.

    ``kind`` (``page``, ``pages``, ``section``, ``table``) and ``name`` say the same to other languages.
    """

    words: str
    scope: Span
    kind: str = ""
    name: str = ""

    def spoken(self, language: Language | None) -> str | None:
        """The words in a language (None: English); None if it has none for this kind."""
        if language is None or not self.words:
            return self.words
        kind = "only_table" if self.kind == "table" and not self.name else self.kind
        form = getattr(language, kind, None)
        if not kind or not isinstance(form, str):
            return None
        return form.format(a=self.scope[0] + 1, b=self.scope[1], name=self.name)


class Names(str):
    """An enumeration in English that knows its entries."""

    __slots__ = ("entries",)
    entries: tuple[str, ...]

    def spoken(self, language: Language | None) -> str:
        """The enumeration in a language (None: English)."""
        if language is None or len(self.entries) == 1:
            return str(self)
        separator = "、" if language.last == "、" else ", "
        return f"{separator.join(self.entries[:-1])}{language.last}{self.entries[-1]}"


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
    return Where(f"on page {page + 1}", (page, page + 1), "page")


def on_pages(start: int, end: int) -> Where:
    """The anchor of 0-based pages ``start`` to ``end`` (exclusive), at least two."""
    return Where(f"on pages {start + 1}-{end}", (start, end), "pages")


def in_section(facts: FactIndex, place: Place, segment: Segment) -> list[Where]:
    """The anchor of the section that holds a block, if it can be named and lies in the segment."""
    section = facts.section_of(place)
    if section is None or section.pages[0] < segment.start or section.pages[1] > segment.end:
        return []
    return [Where(f"in the section “{section.title}”", section.pages, "section", section.title)]


def inside(segment: Segment, page: int) -> bool:
    """Whether a page belongs to the segment."""
    return segment.start <= page < segment.end


def page_list(pages: Sequence[int]) -> Names:
    """``7``, ``7 and 21``, ``7, 21 and 30`` (1-based)."""
    return name_list([str(page + 1) for page in pages])


def name_list(names: Sequence[str]) -> Names:
    """``A``, ``A and B``, ``A, B and C``."""
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    joined = Names(text)
    joined.entries = tuple(names)
    return joined


def number_answer(value: Decimal, printed: str = "") -> tuple[int | float, str]:
    """(answer, format): Integer where the value has no fraction (and none is printed: ``3.0``), else Float."""
    if value == value.to_integral_value() and not _FRACTION.search(printed):
        return int(value), "Integer"
    return float(value), "Float"
