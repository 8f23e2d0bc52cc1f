"""Family field_difference: how far apart two quantities of one field on two pages are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..text import parse_quantity
from .base import Draft, Family, Where, number_answer
from .proofs import combined, field_proof
from .repeated_field import once_a_page


class FieldDifference(Family):
    """The absolute difference of two values with one unit."""

    name = "field_difference"
    config = "reasoning"
    weight = 1.3
    wordings = (
        "By how much do the values of “{key}” on pages {a} and {b} differ{unit}?",
        "What is the absolute difference between “{key}” on page {a} and “{key}” on page {b}{unit}?",
        "Compare “{key}” on pages {a} and {b}: how large is the difference{unit}?",
        "How far apart are the values given for “{key}” on page {a} and on page {b}{unit}?",
        "Subtract the smaller from the larger of the two values of “{key}” on pages {a} and {b}. What is left{unit}?",
        "What is the gap between the entries “{key}” of page {a} and page {b}{unit}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Pairs of neighbouring and of outermost pages whose values differ."""
        for key, fields in once_a_page(facts, segment).items():
            pairs = list(pairwise(fields)) + ([(fields[0], fields[-1])] if len(fields) > 2 else [])
            for first, second in pairs:
                a, b = parse_quantity(first.value, facts.english), parse_quantity(second.value, facts.english)
                if a is None or b is None or a[1] != b[1] or a[0] == b[0]:
                    continue
                if (
                    not a[1]
                    and a[0] == a[0].to_integral_value()
                    and b[0] == b[0].to_integral_value()
                    and min(a[0], b[0]) > 999
                ):
                    continue  # bare large integers are numbers of things, years or codes
                answer, answer_format = number_answer(abs(a[0] - b[0]))
                slots = {
                    "key": key,
                    "a": str(first.page + 1),
                    "b": str(second.page + 1),
                    "unit": f" (in {a[1]})" if a[1] else "",
                }
                proof = combined("difference", [field_proof(first), field_proof(second)])
                anchors = [Where("", (first.page, second.page + 1))]
                yield Draft(slots, answer, answer_format, [first.page, second.page], ["Text"], proof, anchors)
