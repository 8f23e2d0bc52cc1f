"""Families under_heading and under_heading_across: in which numbered section a passage stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where, inside
from .proofs import combined, quote_proof, section_proof
from .quote_places import quoted

_WORDINGS = (
    "Under which numbered heading on pages {range} does the passage “{quote}” stand? Give its title without number.",
    "Pages {range}: which numbered section or subsection contains “{quote}”? Give the title without the number.",
    "To which numbered heading does the text “{quote}” belong, on pages {range}? Leave the number out.",
    "Find “{quote}” on pages {range}. What is the title of the nearest numbered heading above it, without the number?",
    "The words “{quote}” stand on pages {range}. What is the innermost numbered section around them called?",
)


def _drafts(facts: FactIndex, segment: Segment, across: bool) -> Iterator[Draft]:
    """Passages between two headings whose numbers follow one another; ``across``: not on the heading's own page."""
    for run in facts.runs:
        for section, following in pairwise(run):
            page = section.begin[0]
            if not (inside(segment, page) and inside(segment, following.begin[0])):
                continue
            last = following.begin[0]
            for number in range(page + across, (last if across else page) + 1):
                for quote in facts.quotes.get(number, []):
                    if not section.begin < (quote.page, quote.block) < following.begin:
                        continue
                    text = quoted(quote.text)
                    heading = section_proof(section, section.bare_title) | {"printed": section.title}
                    after = {"page": last, "printed": following.title}
                    proof = combined("under", [heading, quote_proof(quote, text)], next=after)
                    slots = {"quote": text, "range": f"{segment.start + 1}-{segment.end}"}
                    pages = sorted({page, quote.page})
                    anchors = [Where("", (segment.start, segment.end))]
                    sources = ["Text", "Layout"]
                    yield Draft(slots, section.bare_title, "String", pages, sources, proof, anchors)


class UnderHeading(Family):
    """Heading and passage on one page."""

    name = "under_heading"
    config = "extract_single"
    weight = 0.6
    wordings = _WORDINGS

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a passage."""
        return _drafts(facts, segment, across=False)


class UnderHeadingAcross(Family):
    """The heading stands on an earlier page than the passage."""

    name = "under_heading_across"
    config = "extract_multi"
    weight = 0.9
    wordings = _WORDINGS

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a passage."""
        return _drafts(facts, segment, across=True)
