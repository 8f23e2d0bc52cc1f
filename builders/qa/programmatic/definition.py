"""Family definition: how a term is defined."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, in_section, inside, on_page
from .proofs import phrase_proof


class Definition(Family):
    """The words that follow ``is defined as`` and the like."""

    name = "definition"
    config = "extract_single"
    weight = 2.0
    wordings = (
        "{Where}, how is “{term}” defined or explained?",
        "What is “{term}”, according to the text {where}?",
        "Quote the explanation of “{term}” {where}.",
        "How does the text {where} explain what “{term}” is?",
        "{Where} the text says what “{term}” is. What does it say?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a definition."""
        for term in facts.definitions:
            if inside(segment, term.page):
                before = term.sentence[: term.sentence.rindex(term.meaning)]
                proof = phrase_proof(term.page, term.block, term.meaning, before) | {"term": term.term}
                anchors = [on_page(term.page), *in_section(facts, (term.page, term.block), segment)]
                yield Draft({"term": term.term}, term.meaning, "String", [term.page], ["Text"], proof, anchors)
