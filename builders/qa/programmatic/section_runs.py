"""Families sections_of_range and count_sections: the numbered headings of a range of pages, none missing."""

from __future__ import annotations

from collections.abc import Iterator

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex, NamedSection
from .base import Draft, Family, Where
from .proofs import combined, section_proof


def _runs(facts: FactIndex, segment: Segment) -> Iterator[tuple[dict[str, object], list[NamedSection]]]:
    """Runs of 3 to 7 headings on at least two pages, with no other numbered heading on their pages."""
    for run in facts.runs:
        for first in range(1, len(run)):
            for last in range(first + 2, min(first + 7, len(run) - 1)):
                chosen = run[first : last + 1]
                start, end = chosen[0].begin[0], chosen[-1].begin[0]
                before, after = run[first - 1], run[last + 1]
                if start < segment.start or end >= segment.end or start == end:
                    continue
                if before.begin[0] < start and after.begin[0] > end:
                    edges: dict[str, object] = {
                        name: {"number": list(section.number), "page": section.begin[0]}
                        for name, section in (("before", before), ("after", after))
                    }
                    yield edges, chosen


def _some(facts: FactIndex, segment: Segment) -> list[tuple[dict[str, object], list[NamedSection]]]:
    key = (facts.document.doc_id, "section_runs", segment.start)
    found = list(_runs(facts, segment))
    return sorted(found, key=lambda entry: stable_int(*key, entry[1][0].title, len(entry[1])))[:6]


def _drafts(facts: FactIndex, segment: Segment, operation: str) -> Iterator[Draft]:
    """A few runs, asked for their titles (``sections``) or their number (``section_count``)."""
    for edges, chosen in _some(facts, segment):
        pages = sorted({section.begin[0] for section in chosen})
        operands = [section_proof(section, section.title) | {"title": section.bare_title} for section in chosen]
        titles = [section.bare_title for section in chosen]
        answer, form = (titles, "List") if operation == "sections" else (len(chosen), "Integer")
        slots = {"range": f"{pages[0] + 1}-{pages[-1] + 1}"}
        anchors = [Where("", (pages[0], pages[-1] + 1))]
        yield Draft(slots, answer, form, pages, ["Layout"], combined(operation, operands, **edges), anchors)


class SectionsOfRange(Family):
    """Their titles."""

    name = "sections_of_range"
    config = "extract_multi"
    weight = 0.8
    wordings = (
        "Which numbered headings stand on pages {range}? List their titles in order, without the numbers.",
        "In order, list the titles of all numbered (sub)sections that begin on pages {range}, without numbers.",
        "Go through pages {range} and collect every numbered heading. Give the titles alone, in order.",
        "What are the titles of the numbered sections (of any level) beginning on pages {range}, in order?",
        "Make an outline of pages {range}: list all numbered headings in order, leaving out their numbers.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """A few runs."""
        return _drafts(facts, segment, "sections")


class CountSections(Family):
    """Their number."""

    name = "count_sections"
    config = "reasoning"
    weight = 0.8
    wordings = (
        "How many numbered headings, of any level, stand on pages {range}?",
        "Count the numbered sections and subsections that begin on pages {range}.",
        "On pages {range}, how many headings carry a section number?",
        "What is the number of numbered sections, whatever their level, that start on pages {range}?",
        "Go through pages {range} and count every numbered heading. How many are there?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """A few runs."""
        return _drafts(facts, segment, "section_count")
