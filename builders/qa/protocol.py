"""What a generator of questions is given and what it returns, whatever makes the questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..blocks import Document
from ..segments import Segment

Answer = str | int | float | list[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question with its answer, before verification.

    Attributes:
        config: ``extract_single``, ``extract_multi`` or ``reasoning``.
        family: What kind of question it is, such as ``table_cell``.
        question: Carries its anchor: a section's title, pages (1-based, as in the page labels) or a label.
        answer: Typed by ``answer_format``: str, int, float, or a list of str.
        answer_format: One of ``schema.ANSWER_FORMATS``.
        evidence_pages: 0-based physical pages, ascending.
        evidence_sources: Subset of ``schema.EVIDENCE_SOURCES``.
        segment: The pages that the question was made from.
        scope: 0-based pages that the question's anchor names, ``(start, end)``, end exclusive: within them the answer
            has to be the only one.
        proof: How the answer follows: ``operation``, ``values``, ``blocks`` ... plain types.
        notes: What deserves to be recorded, such as a fallback.
    """

    config: str
    family: str
    question: str
    answer: Answer
    answer_format: str
    evidence_pages: list[int]
    evidence_sources: list[str]
    segment: tuple[int, int]
    scope: tuple[int, int]
    proof: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class Generator(Protocol):
    """Makes candidates from segments of a document."""

    name: str
    """Name and version, such as ``programmatic/1``; stored with every sample."""

    def generate(self, document: Document, segments: Sequence[Segment], config: str, seed: int) -> list[Candidate]:
        """Candidates of one config, the preferred ones first; a pure function of the arguments."""
