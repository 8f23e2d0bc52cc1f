"""Families section_pages, section_order, section_gap and count_subsections: where sections begin."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex, NamedSection
from .base import Draft, Family, Names, Where, name_list
from .proofs import combined, section_proof
from .section_names import numbered

MOST = 7
"""Sections of a segment that combinations are made of."""


def _quoted(sections: list[NamedSection]) -> Names:
    return name_list([f"“{section.bare_title}”" for section in sections])


def _groups(facts: FactIndex, segment: Segment, size: int) -> Iterator[list[NamedSection]]:
    """Groups of sections that begin on different pages, in document order."""
    sections = numbered(facts, segment)
    if len(sections) > MOST:
        key = facts.document.doc_id
        chosen = sorted(sections, key=lambda section: stable_int(key, "groups", section.title))[:MOST]
        sections = sorted(chosen, key=lambda section: section.begin)
    for group in combinations(sections, size):
        if len({section.begin[0] for section in group}) == size:
            yield list(group)


def _range(pages: list[int]) -> str:
    return f"{pages[0] + 1}-{pages[-1] + 1}"


class SectionPages(Family):
    """The pages on which three sections begin."""

    name = "section_pages"
    config = "extract_multi"
    weight = 0.45
    wordings = (
        "On which pages do the sections {titles} begin, looking at pages {range}? List the page numbers in this order.",
        "Within pages {range}, on which page does each of the sections {titles} start? List them in this order.",
        "Find the headings {titles} on pages {range}. On which pages do they stand? Answer with a list in this order.",
        "Pages {range} contain the headings {titles}. Give the page of each one as a list, in this order.",
        "For each of the headings {titles}, all on pages {range}, name the page on which it stands, in this order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Groups of three."""
        for group in _groups(facts, segment, 3):
            pages = [section.begin[0] for section in group]
            first, last = segment.start, segment.end - 1
            key = [section.title for section in group]
            asked = sorted(group, key=lambda section: stable_int(facts.document.doc_id, "asked", *key, section.title))
            slots = {"titles": _quoted(asked), "range": f"{first + 1}-{last + 1}"}
            proof = combined("page_numbers", [section_proof(section, section.bare_title) for section in asked])
            answer = [str(section.begin[0] + 1) for section in asked]
            yield Draft(slots, answer, "List", pages, ["Layout"], proof, [Where("", (segment.start, segment.end))])


class SectionOrder(Family):
    """Three or four section titles put into the order in which they appear."""

    name = "section_order"
    config = "reasoning"
    weight = 0.5
    wordings = (
        "In which order do these sections begin on pages {range}: {titles}? List them from first to last.",
        "Put the headings {titles} into the order in which they appear on pages {range}.",
        "Sort these section titles by where they begin on pages {range}: {titles}.",
        "Going through pages {range}, in what order do you meet the headings {titles}? Give a list.",
        "Arrange {titles} in the order of their headings on pages {range}.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Groups of three and four in a random order that is not their own."""
        for size in (3, 4):
            for group in _groups(facts, segment, size):
                key = [section.title for section in group]
                asked = sorted(
                    group, key=lambda section: stable_int(facts.document.doc_id, "order", *key, section.title)
                )
                if asked == group:
                    asked.reverse()
                pages = [section.begin[0] for section in group]
                slots = {"titles": _quoted(asked), "range": _range(pages)}
                operands = [section_proof(section, section.bare_title) for section in asked]
                answer = [section.bare_title for section in group]
                proof = combined("order", operands, choices=[section.bare_title for section in asked])
                yield Draft(slots, answer, "List", pages, ["Layout"], proof, [Where("", (pages[0], pages[-1] + 1))])


class SectionGap(Family):
    """How many pages lie between the beginnings of two sections."""

    name = "section_gap"
    config = "reasoning"
    weight = 0.4
    wordings = (
        "How many pages after the heading “{a}” does the heading “{b}” appear, on pages {range}?",
        "On pages {range}, “{a}” and “{b}” begin on different pages. What is the difference of their page numbers?",
        "Subtract the page on which “{a}” begins from the one on which “{b}” begins (pages {range}). What is left?",
        "How many pages further on does the section “{b}” begin than the section “{a}”, on pages {range}?",
        "Find the headings “{a}” and “{b}” on pages {range}. By how many pages are they apart?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Pairs of sections."""
        for group in _groups(facts, segment, 2):
            a, b = group
            pages = [a.begin[0], b.begin[0]]
            slots = {"a": a.bare_title, "b": b.bare_title, "range": f"{segment.start + 1}-{segment.end}"}
            proof = combined("page_gap", [section_proof(section, section.bare_title) for section in group])
            anchors = [Where("", (segment.start, segment.end))]
            yield Draft(slots, pages[1] - pages[0], "Integer", pages, ["Layout"], proof, anchors)


class CountSubsections(Family):
    """How many sub-sections a section has."""

    name = "count_subsections"
    config = "reasoning"
    weight = 0.8
    wordings = (
        "How many subsections does the section “{title}” (pages {range}) have, one level below it?",
        "Count the subsections directly below “{title}” on pages {range}.",
        "Into how many subsections is “{title}”, pages {range}, divided at the next level?",
        "On pages {range}, how many subsections of the next level belong to “{title}”?",
        "What is the number of subsections that stand directly under “{title}” (pages {range})?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each section with at least three numbered sub-sections."""
        for parent in facts.sections:
            parts = facts.children(parent)
            start, end = parent.pages
            if len(parts) < 3 or start < segment.start or end > segment.end or end - start < 2:
                continue
            if not all(part.number for part in parts):
                continue
            slots = {"title": parent.title, "range": f"{start + 1}-{end}"}
            pages = sorted({part.begin[0] for part in parts})
            proof = combined("count", [section_proof(part, part.title) for part in parts], pick=parent.title)
            yield Draft(slots, len(parts), "Integer", pages, ["Layout"], proof, [Where("", (start, end))])
