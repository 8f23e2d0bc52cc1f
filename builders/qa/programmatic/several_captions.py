"""Family several_captions: the titles of figures or tables on different pages, asked by their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where, inside, name_list
from .proofs import caption_proof, combined


class SeveralCaptions(Family):
    """Two or three labels that stand on at least two pages."""

    name = "several_captions"
    config = "extract_multi"
    wordings = (
        "What are the captions of {labels}, on pages {range}? List them in this order, without their labels.",
        "On pages {range}, which captions do {labels} carry? Give them as a list in this order, labels left out.",
        "List the caption texts of {labels} on pages {range}, in this order and without the labels.",
        "{labels} stand on pages {range}. Quote their captions in this order, leaving out the labels.",
        "How are {labels} captioned on pages {range}? Answer with a list in this order, without labels.",
        "Give the captions (without labels) of {labels}, found on pages {range}, one after the other.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Runs of two or three captions in page order."""
        labels = Counter(caption.label for caption in facts.captions)
        usable = [c for c in facts.captions if inside(segment, c.page) and labels[c.label] == 1]
        for size in (2, 3):
            for start in range(len(usable) - size + 1):
                chosen = usable[start : start + size]
                pages = sorted({caption.page for caption in chosen})
                if len(pages) < 2:
                    continue
                slots = {
                    "labels": name_list([caption.label for caption in chosen]),
                    "range": f"{pages[0] + 1}-{pages[-1] + 1}",
                }
                sources = sorted({"Table" if caption.kind == "table" else "Figure" for caption in chosen})
                proof = combined("collect", [caption_proof(caption) for caption in chosen])
                anchors = [Where("", (pages[0], pages[-1] + 1))]
                answer = [caption.title for caption in chosen]
                yield Draft(slots, answer, "List", pages, sources, proof, anchors)
