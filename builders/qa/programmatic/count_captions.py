"""Family count_captions: how many captioned tables or figures stand on a range of pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where
from .proofs import caption_proof, combined

_NUMBER = re.compile(r"[\W\d_]+.*")


class CountCaptions(Family):
    """A count of labels of one kind, at least two on at least two pages."""

    name = "count_captions"
    config = "reasoning"
    weight = 0.6
    wordings = (
        "How many {things} with a numbered caption are there on pages {range}?",
        "Count the {things} that carry a numbered caption on pages {range}.",
        "On pages {range}, how many captioned and numbered {things} can be found?",
        "Going through pages {range}, how many numbered {things} with captions do you see?",
        "What is the number of captioned, numbered {things} on pages {range}?",
        "How many different {things} are labelled with a number and a caption on pages {range}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Ranges from one caption's page to that of a later one, at most 12 pages."""
        for kind, things in (("table", "tables"), ("figure", "figures")):
            captions = [c for c in facts.captions if c.kind == kind and segment.start <= c.page < segment.end]
            edges = sorted({caption.page for caption in captions})
            for i, first in enumerate(edges):
                for last in edges[i + 1 :]:
                    inner = [caption for caption in captions if first <= caption.page <= last]
                    if len({caption.label for caption in inner}) < len(inner) or last - first > 12:
                        continue
                    if len({_NUMBER.sub("", caption.label) for caption in inner}) > 1:
                        continue  # a map or a chart among the figures
                    pages = sorted({caption.page for caption in inner})
                    slots = {"things": things, "range": f"{first + 1}-{last + 1}"}
                    proof = combined("count", [caption_proof(caption) for caption in inner], kind=kind)
                    source = "Table" if kind == "table" else "Figure"
                    anchors = [Where("", (first, last + 1))]
                    yield Draft(slots, len(inner), "Integer", pages, [source, "Layout"], proof, anchors)
