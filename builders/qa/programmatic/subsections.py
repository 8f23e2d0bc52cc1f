"""Family subsections: the titles of all sub-sections of a section that runs over several pages."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..places import Heading
from .base import Draft, Family, Where
from .proofs import combined, heading_proof


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
        named = {section.index: section for section in facts.sections}
        children: dict[int, list[int]] = {}
        for index, section in enumerate(facts.document.sections):
            children.setdefault(section.parent, []).append(index)
        for index, parent in named.items():
            below = children.get(index, [])
            if not 2 <= len(below) <= 8 or any(child not in named for child in below):
                continue
            parts = [named[child] for child in below]
            pages = sorted({part.begin[0] for part in parts})
            start, end = parent.pages
            if len(pages) < 2 or start < segment.start or end > segment.end:
                continue
            headings = [Heading(part.begin[0], part.begin[1], 0, part.title) for part in parts]
            slots = {"title": parent.title, "range": f"{start + 1}-{end}"}
            proof = combined("collect", [heading_proof(heading) for heading in headings], pick=parent.title)
            answer = [heading.title for heading in headings]
            yield Draft(slots, answer, "List", pages, ["Layout"], proof, [Where("", (start, end))])
