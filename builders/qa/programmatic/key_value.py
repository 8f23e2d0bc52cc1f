"""Family key_value: the value of a field ``Key: value``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, in_section, inside, on_page
from .proofs import field_proof


class KeyValue(Family):
    """One field of a form-like block."""

    name = "key_value"
    config = "extract_single"
    weight = 1.5
    wordings = (
        "What is given as “{key}” {where}?",
        "{Where}, what is stated for “{key}”?",
        "What does the entry “{key}” {where} say?",
        "Look for the field “{key}” {where}. What is its value?",
        "{Where}, which value is listed after “{key}”?",
        "Give the value of the field “{key}” {where}, as printed.",
        "Which value stands next to “{key}” {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each field whose key is unique on its page."""
        on = [fact for fact in facts.fields if inside(segment, fact.page)]
        per_page = Counter((fact.page, fact.key) for fact in on)
        for fact in on:
            if per_page[fact.page, fact.key] > 1:
                continue
            sections = in_section(facts, (fact.page, fact.block), segment)
            alone = [w for w in sections if sum(per_page[page, fact.key] for page in range(*w.scope)) == 1]
            anchors = [on_page(fact.page), *alone]
            yield Draft({"key": fact.key}, fact.value, "String", [fact.page], ["Text"], field_proof(fact), anchors)
