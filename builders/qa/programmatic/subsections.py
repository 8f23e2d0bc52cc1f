"""Family subsections: the titles of all sub-sections of a section that runs over several pages."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where
from .proofs import combined, section_proof


class Subsections(Family):
    """All children of one section."""

    name = "subsections"
    config = "extract_multi"
    weight = 0.8
    wordings = (
        "Which subsections does the section “{title}” (pages {range}) have? List their headings in order.",
        "List the headings of all subsections of “{title}” on pages {range}, in order.",
        "The section “{title}” on pages {range} is divided into subsections. What are their headings, in order?",
        "Give, in order, the titles of the subsections directly below “{title}” (pages {range}).",
        "Into which subsections is “{title}”, pages {range}, divided? List the headings as printed.",
        "What are the headings one level below “{title}” on pages {range}? List them in order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each section with 2 to 8 sub-sections that begin on at least two pages."""
        for parent in facts.sections:
            parts = facts.children(parent)
            if not 2 <= len(parts) <= 8:
                continue
            pages = sorted({part.begin[0] for part in parts})
            start, end = parent.pages
            if len(pages) < 2 or start < segment.start or end > segment.end:
                continue
            slots = {"title": parent.title, "range": f"{start + 1}-{end}"}
            proof = combined("collect", [section_proof(part, part.title) for part in parts], pick=parent.title)
            answer = [part.title for part in parts]
            yield Draft(slots, answer, "List", pages, ["Layout"], proof, [Where("", (start, end))])
