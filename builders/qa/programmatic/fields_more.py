"""Families field_sum, field_extreme and days_between: computing with one field of several pages."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..text import parse_date, parse_quantity
from .base import Draft, Family, Where, number_answer, page_list
from .proofs import combined, field_proof
from .repeated_field import once_a_page


class FieldSum(Family):
    """The sum of a quantity over two or three pages."""

    name = "field_sum"
    config = "reasoning"
    weight = 1.3
    wordings = (
        "What is the sum of the values of “{key}” on pages {pages}{unit}?",
        "Add up “{key}” over pages {pages}. What is the total{unit}?",
        "What do the entries “{key}” of pages {pages} add up to{unit}?",
        "Taking pages {pages} together, what is the total of “{key}”{unit}?",
        "Find “{key}” on pages {pages} and add the values. What is the result{unit}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbours, two or three at a time; units that cannot be added (temperatures, percentages) are left out."""
        for key, fields in once_a_page(facts, segment).items():
            for size in (2, 3):
                for start in range(len(fields) - size + 1):
                    chosen = fields[start : start + size]
                    parsed = [parse_quantity(fact.value, facts.english) for fact in chosen]
                    numbers = [quantity for quantity in parsed if quantity is not None]
                    units = {unit for _, unit in numbers}
                    if len(numbers) < size or len(units) != 1 or units & {"%", "°", "°C", "°F"}:
                        continue
                    unit = units.pop()
                    if not unit and any(value > 999 for value, _ in numbers):
                        continue  # a year or a code
                    answer, answer_format = number_answer(sum((value for value, _ in numbers), Decimal(0)))
                    pages = [fact.page for fact in chosen]
                    slots = {"key": key, "pages": page_list(pages), "unit": f" (in {unit})" if unit else ""}
                    proof = combined("sum", [field_proof(fact) for fact in chosen])
                    anchors = [Where("", (pages[0], pages[-1] + 1))]
                    yield Draft(slots, answer, answer_format, pages, ["Text"], proof, anchors)


class FieldExtreme(Family):
    """The largest or smallest quantity of a field over three or more pages."""

    name = "field_extreme"
    config = "reasoning"
    weight = 1.3
    wordings = (
        "Which is the {extreme} value of “{key}” on pages {pages}{unit}?",
        "Compare “{key}” on pages {pages}. What is the {extreme} value{unit}?",
        "What is the {extreme} number given for “{key}” on pages {pages}{unit}?",
        "Among pages {pages}, what is the {extreme} entry for “{key}”{unit}?",
        "Look up “{key}” on pages {pages}. Which value is the {extreme}{unit}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Runs of three to five pages."""
        for key, fields in once_a_page(facts, segment).items():
            for size in (3, 4, 5):
                for start in range(len(fields) - size + 1):
                    chosen = fields[start : start + size]
                    parsed = [parse_quantity(fact.value, facts.english) for fact in chosen]
                    numbers = [quantity for quantity in parsed if quantity is not None]
                    units = {unit for _, unit in numbers}
                    values = [value for value, _ in numbers]
                    if len(numbers) < size or len(units) != 1 or len(set(values)) < 2:
                        continue
                    unit = units.pop()
                    largest = start % 2 == 0
                    answer, answer_format = number_answer(max(values) if largest else min(values))
                    pages = [fact.page for fact in chosen]
                    slots = {
                        "key": key,
                        "pages": page_list(pages),
                        "unit": f" (in {unit})" if unit else "",
                        "extreme": "highest" if largest else "lowest",
                    }
                    proof = combined("largest" if largest else "smallest", [field_proof(fact) for fact in chosen])
                    anchors = [Where("", (pages[0], pages[-1] + 1))]
                    yield Draft(slots, answer, answer_format, pages, ["Text"], proof, anchors)


class DaysBetween(Family):
    """Days between the dates that one field has on two pages."""

    name = "days_between"
    config = "reasoning"
    weight = 1.5
    wordings = (
        "How many days lie between the dates given for “{key}” on page {a} and on page {b}?",
        "“{key}” has a date on page {a} and another on page {b}. How many days are they apart?",
        "Count the days from the earlier to the later of the two dates of “{key}” on pages {a} and {b}.",
        "By how many days do the dates of “{key}” on pages {a} and {b} differ?",
        "What is the number of days between “{key}” on page {a} and “{key}” on page {b}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbours."""
        for key, fields in once_a_page(facts, segment).items():
            for first, second in pairwise(fields):
                a, b = parse_date(first.value), parse_date(second.value)
                if a is None or b is None or a == b:
                    continue
                slots = {"key": key, "a": str(first.page + 1), "b": str(second.page + 1)}
                proof = combined("days", [field_proof(first), field_proof(second)])
                anchors = [Where("", (first.page, second.page + 1))]
                pages = [first.page, second.page]
                yield Draft(slots, abs((a - b).days), "Integer", pages, ["Text"], proof, anchors)
