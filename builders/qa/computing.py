"""The answer that follows from a proof whose facts were checked: computed again from its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from .operations import FACTS
from .protocol import Answer
from .text import parse_date, parse_number, parse_quantity

Proof = Mapping[str, Any]


def _numbers(values: Sequence[str], english: bool) -> list[Decimal] | str:
    """The values as numbers of one unit, or why they are none."""
    parsed = [parse_quantity(value, english) for value in values]
    numbers = [quantity for quantity in parsed if quantity is not None]
    if len(numbers) < len(values):
        return "an operand is no number"
    if len({unit for _, unit in numbers}) > 1:
        return f"units differ: {sorted({unit for _, unit in numbers})}"
    return [value for value, _ in numbers]


def recompute(proof: Proof, english: bool) -> Answer | Decimal | None:
    """The answer that follows from a proof whose facts were checked; None if the proof does not give one.

    Raises:
        ValueError: saying why the computation cannot be done.
    """
    operation = proof["operation"]
    if operation in _OF_FACT:
        return _OF_FACT[operation](proof)
    if operation in FACTS:
        return None if operation == "cloze" and parse_number(proof["value"], english) is None else str(proof["value"])
    if operation in _OVER_PLACES:
        return _OVER_PLACES[operation](proof["operands"])
    if operation in _OVER_FACTS:
        return _OVER_FACTS[operation]([str(operand["value"]) for operand in proof["operands"]], english)
    if operation in _OVER_COLUMN:
        values = _numbers([row[proof["column"]] for row in proof["rows"]], english)
        if isinstance(values, str):
            raise ValueError(values)
        return _OVER_COLUMN[operation]([row[0] for row in proof["rows"]], values, proof)
    raise ValueError(f"unknown operation {operation!r}")


def _quantities(values: Sequence[str], english: bool) -> list[Decimal]:
    numbers = _numbers(values, english)
    if isinstance(numbers, str):
        raise ValueError(numbers)
    return numbers


def _days(values: Sequence[str]) -> Decimal:
    dates = [parse_date(value) for value in values]
    if len(dates) != 2 or dates[0] is None or dates[1] is None:
        raise ValueError("an operand is no date")
    return Decimal(abs((dates[0] - dates[1]).days))


def _two(values: Sequence[Decimal]) -> Decimal:
    if len(values) != 2:
        raise ValueError("a difference has two operands")
    return abs(values[0] - values[1])


_OVER_FACTS: dict[str, Callable[[Sequence[str], bool], Answer | Decimal]] = {
    "collect": lambda values, english: list(values),
    "count": lambda values, english: len(values),
    "sum": lambda values, english: sum(_quantities(values, english), Decimal(0)),
    "difference": lambda values, english: _two(_quantities(values, english)),
    "days": lambda values, english: _days(values),
    "largest": lambda values, english: max(_quantities(values, english)),
    "smallest": lambda values, english: min(_quantities(values, english)),
}


_OF_FACT: dict[str, Callable[[Proof], Answer]] = {
    "caption_label": lambda proof: str(proof["label"]),
    "heading": lambda proof: str(proof.get("number") or proof["value"]),
    "list_item": lambda proof: str(proof["items"][proof["index"]]),
    "list_length": lambda proof: len(proof["items"]),
    "place": lambda proof: int(proof["page"]) + 1,
    "term_pages": lambda proof: [str(page + 1) for page in proof["pages"]],
    "term_count": lambda proof: len(proof["pages"]),
}


def _in_order(operands: Sequence[Proof]) -> list[str]:
    ordered = sorted(operands, key=lambda operand: (operand["page"], operand["blocks"][0]))
    return [str(operand["value"]) for operand in ordered]


def _both(operands: Sequence[Proof]) -> list[str]:
    common = set.intersection(*(set(operand["pages"]) for operand in operands))
    return [str(page + 1) for page in sorted(common)]


def _most(operands: Sequence[Proof]) -> str:
    counts = [len(operand["pages"]) for operand in operands]
    if counts.count(max(counts)) != 1:
        raise ValueError("several terms stand on as many pages")
    return str(operands[counts.index(max(counts))]["term"])


def _letters(operands: Sequence[Proof]) -> list[str]:
    """``A`` for the first operand, ``B`` for the second ..., in the order of their pages."""
    places = [(operand["page"], chr(ord("A") + number)) for number, operand in enumerate(operands)]
    if len({page for page, _ in places}) < len(places):
        raise ValueError("two passages stand on one page")
    return [letter for _, letter in sorted(places)]


def _merged(operands: Sequence[Proof]) -> list[str]:
    return [str(item) for operand in operands for item in operand["items"]]


def _gap(operands: Sequence[Proof]) -> int:
    if len(operands) != 2:
        raise ValueError("a distance has two operands")
    return abs(int(operands[0]["page"]) - int(operands[1]["page"]))


_OVER_PLACES: dict[str, Callable[[Sequence[Proof]], Answer]] = {
    "order": _in_order,
    "page_gap": _gap,
    "page_numbers": lambda operands: [str(operand["page"] + 1) for operand in operands],
    "under": lambda operands: str(operands[0]["value"]),
    "sections": lambda operands: [str(operand["title"]) for operand in operands],
    "section_count": lambda operands: len(operands),
    "term_both": _both,
    "term_most": _most,
    "letters": _letters,
    "merge": _merged,
    "labels": lambda operands: [str(operand["label"]) for operand in operands],
}


def _arg(keys: Sequence[str], values: Sequence[Decimal], best: Decimal) -> str:
    if values.count(best) != 1:
        raise ValueError("more than one row has this value")
    return keys[values.index(best)]


def _share(values: Sequence[Decimal], index: int) -> Decimal:
    total = sum(values, Decimal(0))
    if total <= 0 or min(values) < 0:
        raise ValueError("shares of a total that is not positive")
    return (100 * values[index] / total).quantize(Decimal("0.1"), ROUND_HALF_UP)


_OVER_COLUMN: dict[str, Callable[[Sequence[str], Sequence[Decimal], Proof], Answer | Decimal]] = {
    "column_argmax": lambda keys, values, proof: _arg(keys, values, max(values)),
    "column_argmin": lambda keys, values, proof: _arg(keys, values, min(values)),
    "column_sum": lambda keys, values, proof: sum(values, Decimal(0)),
    "column_mean": lambda keys, values, proof: sum(values, Decimal(0)) / len(values),
    "column_range": lambda keys, values, proof: max(values) - min(values),
    "column_share": lambda keys, values, proof: _share(values, int(proof["index"])),
    "column_count": lambda keys, values, proof: sum(value > Decimal(str(proof["threshold"])) for value in values),
}
