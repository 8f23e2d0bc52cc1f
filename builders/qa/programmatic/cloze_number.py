"""Family cloze_number: the number that a sentence of the text holds."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..text import parse_number
from .base import Draft, Family, in_section, inside, number_answer, on_page
from .proofs import cloze_proof


class ClozeNumber(Family):
    """A sentence with its only number taken out."""

    name = "cloze_number"
    config = "extract_single"
    weight = 1.0
    wordings = (
        "{Where}, fill in the missing number: “{sentence}”",
        "Which number completes this sentence {where}: “{sentence}”",
        "One sentence {where} reads “{sentence}” Which number belongs in the gap?",
        "Complete the sentence as it is printed {where}: “{sentence}” Give only the number.",
        "{Where} there is the sentence “{sentence}” What is the missing number?",
        "What number has been left out of this sentence {where}? “{sentence}”",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each sentence with one number."""
        for fact in facts.numbers:
            value = parse_number(fact.number, facts.english)
            if not inside(segment, fact.page) or value is None:
                continue
            answer, answer_format = number_answer(value, fact.number)
            slots = {"sentence": f"{fact.before}___{fact.after}".replace("“", "'").replace("”", "'")}
            anchors = [on_page(fact.page), *in_section(facts, (fact.page, fact.block), segment)]
            yield Draft(slots, answer, answer_format, [fact.page], ["Text"], cloze_proof(fact), anchors)
