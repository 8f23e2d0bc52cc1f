"""Family sentence_end: how a sentence goes on."""

from __future__ import annotations

from collections.abc import Iterator

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, in_section, on_page
from .proofs import phrase_proof


class SentenceEnd(Family):
    """The second part of a sentence of 12 to 30 words, cut before its last 4 to 10 words."""

    name = "sentence_end"
    config = "extract_single"
    weight = 0.35
    wordings = (
        "{Where}, how does the sentence end that begins with “{begin}”?",
        "Complete the sentence “{begin} ...” as it is printed {where}. Give the missing words only.",
        "{Where} a sentence begins with “{begin}”. Which words complete it?",
        "Which words follow “{begin}” up to the end of the sentence {where}?",
        "What comes after “{begin}” in the sentence {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One sentence a page."""
        for page in range(segment.start, segment.end):
            usable = facts.sentences.get(page)
            if not usable:
                continue
            block, sentence = usable[stable_int(facts.document.doc_id, "sentence", page) % len(usable)]
            words = sentence.rstrip(".").split(" ")
            cut = len(words) - 4 - stable_int(facts.document.doc_id, "cut", page) % 7
            begin, end = " ".join(words[:cut]), " ".join(words[cut:])
            proof = phrase_proof(page, block, end, begin)
            anchors = [on_page(page), *in_section(facts, (page, block), segment)]
            yield Draft({"begin": begin}, end, "String", [page], ["Text"], proof, anchors)
