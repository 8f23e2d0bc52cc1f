"""Families caption_pages and caption_gap: on which pages labelled tables and figures stand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex
from ..places import Caption
from .base import Draft, Family, Where, name_list
from .captions import unique_captions
from .proofs import caption_proof, combined

MOST = 7


def _groups(facts: FactIndex, segment: Segment, size: int) -> Iterator[list[Caption]]:
    """Captions on different pages, in page order."""
    captions = unique_captions(facts, segment)
    if len(captions) > MOST:
        key = facts.document.doc_id
        chosen = sorted(captions, key=lambda caption: stable_int(key, "caption_places", caption.label))[:MOST]
        captions = sorted(chosen, key=lambda caption: (caption.page, caption.block))
    for group in combinations(captions, size):
        if len({caption.page for caption in group}) == size:
            yield list(group)


def _sources(group: list[Caption]) -> list[str]:
    return [*sorted({"Table" if caption.kind == "table" else "Figure" for caption in group}), "Layout"]


class CaptionPages(Family):
    """The pages of two or three labels."""

    name = "caption_pages"
    config = "extract_multi"
    weight = 0.9
    wordings = (
        "On which pages within pages {range} do {labels} stand, with their captions? List the pages in this order.",
        "Find the captions of {labels} on pages {range}. List the page number of each, in this order.",
        "Within pages {range}, on which page is each of {labels} printed? Answer with a list in this order.",
        "Give the pages of {labels}, looking at pages {range}. List them in the order named.",
        "Pages {range} contain {labels}. Name the page of each one as a list, in this order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Groups of two and three."""
        for size in (2, 3):
            for group in _groups(facts, segment, size):
                key = (facts.document.doc_id, "caption_pages", size)
                asked = sorted(group, key=lambda caption: stable_int(*key, caption.label))
                slots = {
                    "labels": name_list([caption.label for caption in asked]),
                    "range": f"{segment.start + 1}-{segment.end}",
                }
                proof = combined("page_numbers", [caption_proof(caption) for caption in asked])
                answer = [str(caption.page + 1) for caption in asked]
                pages = [caption.page for caption in group]
                anchors = [Where("", (segment.start, segment.end))]
                yield Draft(slots, answer, "List", pages, _sources(group), proof, anchors)


class CaptionGap(Family):
    """How many pages lie between two labels."""

    name = "caption_gap"
    config = "reasoning"
    weight = 0.9
    wordings = (
        "How many pages after {a} does {b} appear, on pages {range}?",
        "By how many pages are {a} and {b} apart, within pages {range}?",
        "Look up the pages of {a} and {b} on pages {range}. What is the difference of their page numbers?",
        "Within pages {range}, subtract the page number of {a} from that of {b}. What do you get?",
        "On pages {range}, how many pages further on is {b} printed than {a}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Pairs."""
        for first, second in _groups(facts, segment, 2):
            slots = {"a": first.label, "b": second.label, "range": f"{segment.start + 1}-{segment.end}"}
            proof = combined("page_gap", [caption_proof(first), caption_proof(second)])
            pages = [first.page, second.page]
            anchors = [Where("", (segment.start, segment.end))]
            gap = second.page - first.page
            yield Draft(slots, gap, "Integer", pages, _sources([first, second]), proof, anchors)
