"""Whether two answers say the same: by format, forgiving about notation and about nothing else."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation

from ..protocol import Answer
from ..text import fold, parse_date, parse_number, squash

CLOSE = Decimal("0.01")
"""Relative difference of two Floats that counts as rounding."""

_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)*")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+")


def same_answer(given: str, gold: Answer, answer_format: str, english: bool = True) -> bool:
    """Whether a model's text gives the right answer.

    Numbers are compared as numbers (a unit beside them is allowed, a second number is not), Floats within 1 %; lists
    entry by entry, in any order; texts without regard to case, punctuation at their ends, articles and spaces.
    """
    given = given.strip()
    if answer_format in ("Integer", "Float") and isinstance(gold, (int, float)):
        value = _number(given, english)
        target = Decimal(str(gold))
        if value is None:
            return False
        allowed = CLOSE * abs(target) if answer_format == "Float" else Decimal(0)
        return abs(value - target) <= allowed
    if answer_format == "List" and isinstance(gold, list):
        entries = sorted(_bare(entry) for entry in split_list(given))
        return entries == sorted(_bare(entry) for entry in gold)
    return _same_text(given, str(gold), english)


def split_list(text: str) -> list[str]:
    """The entries of a list as models write them: JSON, or separated by semicolons, line ends or commas."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list):
        return [str(entry) for entry in value]
    for separator in (";", "\n", ", "):
        if separator in text:
            return [entry for part in text.split(separator) if (entry := part.strip().lstrip("-•* ").strip())]
    return [text] if text.strip() else []


def _same_text(given: str, gold: str, english: bool) -> bool:
    if _bare(given) == _bare(gold):
        return True
    first, second = parse_number(given.strip(), english), parse_number(gold.strip(), english)
    if first is not None and second is not None:
        return first == second
    days = parse_date(given), parse_date(gold)
    return days[0] is not None and days[0] == days[1]


def _bare(text: str) -> str:
    return squash(_ARTICLE.sub("", fold(text).strip(" .,;:!\"'()[]")))


def _number(text: str, english: bool) -> Decimal | None:
    """The one number of a text; None if there is none, or several."""
    found = _NUMBER.findall(text)
    if len(found) != 1:
        return None
    value = parse_number(found[0], english)
    if value is None:
        try:
            value = Decimal(found[0].replace("−", "-").replace(",", ""))
        except InvalidOperation:
            return None
    return value
