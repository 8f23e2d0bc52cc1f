"""Families two_numbers, number_sum and larger_number: the numbers of two sentences on different pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..places import NumberFact
from ..text import parse_number
from .base import Draft, Family, Where, inside, number_answer
from .proofs import cloze_proof, combined


def _gapped(fact: NumberFact) -> str:
    return f"“{fact.before}___{fact.after}”"


def _pairs(facts: FactIndex, segment: Segment) -> Iterator[tuple[NumberFact, NumberFact]]:
    """Sentences of up to 160 characters on different pages, without quotation marks, next to one another."""
    usable = [
        fact
        for fact in facts.numbers
        if inside(segment, fact.page)
        and len(fact.before) + len(fact.after) <= 160
        and not any(mark in fact.before + fact.after for mark in '“”"')
    ]
    for first, second in pairwise(usable):
        if first.page != second.page:
            yield first, second


def _unit(fact: NumberFact) -> str:
    """The word or sign after the number, if it may be what is counted; else something of its own."""
    match = re.match(r"\s?(%|[^\W\d_]{2,})", fact.after)
    return match[1].casefold() if match else f"{fact.page} {fact.block}"


def _computed(
    facts: FactIndex, segment: Segment, operation: str, compute: Callable[[Decimal, Decimal], Decimal | None]
) -> Iterator[Draft]:
    """One draft a pair of numbers that count the same; none where ``compute`` gives None."""
    for first, second in _pairs(facts, segment):
        a, b = parse_number(first.number, facts.english), parse_number(second.number, facts.english)
        if a is None or b is None or _unit(first) != _unit(second):
            continue  # apples and pears
        value = compute(a, b)
        if value is None:
            continue
        answer, answer_format = number_answer(value)
        pages = [first.page, second.page]
        proof = combined(operation, [cloze_proof(first), cloze_proof(second)])
        anchors = [Where("", (first.page, second.page + 1))]
        yield Draft(_slots(first, second), answer, answer_format, pages, ["Text"], proof, anchors)


def _larger(a: Decimal, b: Decimal) -> Decimal | None:
    return None if a == b or _year(a) or _year(b) else max(a, b)


def _year(value: Decimal) -> bool:
    return value == value.to_integral_value() and 1500 <= value <= 2100


def _slots(first: NumberFact, second: NumberFact) -> dict[str, str]:
    return {"a": str(first.page + 1), "b": str(second.page + 1), "x": _gapped(first), "y": _gapped(second)}


class TwoNumbers(Family):
    """Both numbers, as printed."""

    name = "two_numbers"
    config = "extract_multi"
    weight = 0.7
    wordings = (
        "Which numbers are missing in these sentences: {x} (page {a}) and {y} (page {b})? List both in this order.",
        "Fill the gaps with the printed numbers, and list them in order: page {a} says {x}, page {b} says {y}",
        "On page {a} stands {x}, on page {b} stands {y} Which two numbers belong in the gaps? List them in order.",
        "Give the two missing numbers as a list: {x} on page {a}; {y} on page {b}.",
        "Complete {x} on page {a} and {y} on page {b}. Answer with the list of the two numbers as printed.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a pair."""
        for first, second in _pairs(facts, segment):
            pages = [first.page, second.page]
            proof = combined("collect", [cloze_proof(first), cloze_proof(second)])
            answer = [first.number, second.number]
            anchors = [Where("", (first.page, second.page + 1))]
            yield Draft(_slots(first, second), answer, "List", pages, ["Text"], proof, anchors)


class NumberSum(Family):
    """The sum of both numbers."""

    name = "number_sum"
    config = "reasoning"
    weight = 0.4
    wordings = (
        "Add the number missing in {x} (page {a}) to the one missing in {y} (page {b}). What is the sum?",
        "Page {a} says {x}, page {b} says {y} What do the two missing numbers add up to?",
        "What is the sum of the numbers that belong in the gaps of {x} (page {a}) and {y} (page {b})?",
        "Look up the missing numbers of {x} on page {a} and of {y} on page {b}, and add them.",
        "Two numbers are left out: {x} on page {a} and {y} on page {b}. What is their sum?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a pair."""
        return _computed(facts, segment, "sum", lambda a, b: a + b)


class LargerNumber(Family):
    """The larger of both numbers."""

    name = "larger_number"
    config = "reasoning"
    weight = 0.4
    wordings = (
        "Compare the numbers missing in {x} (page {a}) and {y} (page {b}). What is the larger one?",
        "Page {a} says {x}, page {b} says {y} Which of the two missing numbers is larger? Give the number.",
        "Of the numbers that belong in the gaps of {x} (page {a}) and {y} (page {b}), give the larger one.",
        "Look up the missing numbers of {x} on page {a} and of {y} on page {b}. What is the larger value?",
        "Two numbers are left out: {x} on page {a} and {y} on page {b}. What is the greater of them?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a pair of different numbers."""
        return _computed(facts, segment, "largest", _larger)
