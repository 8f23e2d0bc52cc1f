"""Families section_title, section_number and next_section: headings by their numbers."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex, NamedSection
from .base import Draft, Family, inside, on_page
from .proofs import section_proof


def _number(section: NamedSection) -> str:
    return ".".join(map(str, section.number))


def numbered(facts: FactIndex, segment: Segment) -> list[NamedSection]:
    """Numbered sections that begin in the segment."""
    return [section for section in facts.numbered if inside(segment, section.begin[0])]


class SectionTitle(Family):
    """The title of a numbered section."""

    name = "section_title"
    config = "extract_single"
    weight = 0.35
    wordings = (
        "What is the title of section {number}, which begins {where}?",
        "{Where}, section {number} begins. What is its title?",
        "How is section {number} {where} entitled?",
        "Which title does the heading numbered {number} {where} carry?",
        "Give the title of section {number}, found {where}, without its number.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a section."""
        for section in numbered(facts, segment):
            page = section.begin[0]
            proof = section_proof(section, section.bare_title) | {"asked": _number(section)}
            slots = {"number": _number(section)}
            yield Draft(slots, section.bare_title, "String", [page], ["Layout"], proof, [on_page(page)])


class SectionNumber(Family):
    """The number of a section with a title."""

    name = "section_number"
    config = "extract_single"
    weight = 0.3
    wordings = (
        "Which number does the heading “{title}” {where} have?",
        "{Where} there is a heading “{title}”. What is its section number?",
        "What is the number of the section entitled “{title}” {where}?",
        "Give the section number printed with the heading “{title}” {where}.",
        "Under which number does “{title}” stand {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a section whose number has at least two parts."""
        for section in numbered(facts, segment):
            if len(section.number) < 2:
                continue
            page = section.begin[0]
            proof = section_proof(section, section.title) | {"number": _number(section), "asked": section.bare_title}
            slots = {"title": section.bare_title}
            yield Draft(slots, _number(section), "String", [page], ["Layout"], proof, [on_page(page)])
