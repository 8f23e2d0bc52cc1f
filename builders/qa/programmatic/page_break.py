"""Family page_break: a sentence that begins on one page and ends on the next."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where, inside
from .proofs import page_break_proof


class PageBreakEnd(Family):
    """The words on the second page."""

    name = "page_break"
    config = "extract_multi"
    weight = 1.2
    wordings = (
        "Page {a} ends in the middle of a sentence: “{begin}”. With which words does it go on and end on page {b}?",
        "A sentence begins with “{begin}” on page {a} and ends on page {b}. Which words on page {b} complete it?",
        "How does page {b} finish the sentence “{begin}” that page {a} leaves open? Give the words on page {b} only.",
        "The last words on page {a} are “{begin}”. Quote the rest of this sentence from page {b}.",
        "Read on from page {a} to page {b}: how does the sentence “{begin}” end? Give only what stands on page {b}.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a page turned."""
        for found in facts.page_breaks:
            if inside(segment, found.page) and inside(segment, found.page + 1):
                pages = [found.page, found.page + 1]
                slots = {"begin": found.begin, "a": str(found.page + 1), "b": str(found.page + 2)}
                anchors = [Where("", (pages[0], pages[1] + 1))]
                yield Draft(slots, found.end, "String", pages, ["Text"], page_break_proof(found), anchors)
