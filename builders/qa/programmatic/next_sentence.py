"""Family next_sentence: the sentence that follows another one in its paragraph."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, in_section, on_page
from .proofs import phrase_proof


class NextSentence(Family):
    """A whole sentence, asked by the one before it."""

    name = "next_sentence"
    config = "extract_single"
    weight = 0.3
    wordings = (
        "{Where}, which sentence comes right after “{before}”",
        "Quote the sentence that follows “{before}” {where}.",
        "{Where} one sentence reads “{before}” What does the next sentence say?",
        "What is written directly after “{before}” {where}? Quote that sentence.",
        "Find “{before}” {where}. How does the text go on? Give the next sentence in full.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a pair of neighbours, the second of at most 180 characters."""
        for page in range(segment.start, segment.end):
            for quote in facts.quotes.get(page, []):
                if quote.before and len(quote.text) <= 180 and len(quote.before) <= 180:
                    proof = phrase_proof(page, quote.block, quote.text, quote.before)
                    anchors = [on_page(page), *in_section(facts, (page, quote.block), segment)]
                    yield Draft({"before": quote.before}, quote.text, "String", [page], ["Text"], proof, anchors)
