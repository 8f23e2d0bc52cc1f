"""The published rule scorers, written anew from what they do: MMLongBench-Doc, LongDocURL, MMLongBench (v1).

They differ from ours, and from one another, in ways that move a score by points: ``docs/evaluation.md`` has the table.
Where the published programs call ``eval`` on a prediction, a parser of lists stands here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from .text import anls, parse_list, word_f1

UNITS = ("kg", "mm", "m", "meters", "acres", "minutes", "mile", "miles", "million", "thousand", "billion")
"""Units that LongDocURL takes off the end, in its order."""
_V1_UNITS = ("kg", "meters", "acres", "minutes", "miles", "mile", "feet", "million", "thousand", "billion", "mm", "m")

_EXACT = re.compile(
    r"\d+(-\d+|\s\d+)?|\d{4}[-\s]\d{2}[-\s]\d{2}|\d{4}[-\s]\d{2}|[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"
)
_V1_EXACT = re.compile(
    r"https://|\.(py|ipynb)$|^page|^\d+(-\d+|\s\d+)?$|a\.m\.|p\.m\.|^\d{4}[-/\s]\d{1,2}[-/\s]\d{1,2}$"
    r"|^\d{1,2}[-/\s]\d{1,2}[-/\s]\d{2,4}$|^\d{4}[-/\s]\d{1,2}$|^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$"
)
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?|-?\.\d+")


def mmlb_doc(gold: str, prediction: str, answer_format: str) -> float:
    """MMLongBench-Doc: lists need equal lengths and take the least similar pair; floats 1 %, also x 100 and / 100."""
    if answer_format == "Integer":
        try:
            return float(int(gold) == int(float(prediction)))
        except (ValueError, OverflowError):
            return 0.0
    if answer_format == "Float":
        return _float_score(_clean(gold), _clean(prediction))
    if answer_format == "List":
        wanted = sorted(map(_clean, parse_list(gold) or [gold]))
        found = sorted(map(_clean, parse_list(prediction) or [prediction]))
        if len(wanted) != len(found):
            return 0.0
        if _number(wanted[0]) is not None or _exact(wanted[0]):
            return float(wanted == found)
        return min(anls(a, b) for a, b in zip(wanted, found, strict=True))
    return _string_score(_clean(gold), _clean(prediction))


def longdocurl(gold: str, prediction: str, answer_format: str) -> float:
    """LongDocURL: units and thousands separators come off; a list is forgiving, by the length of what is too much."""
    return _longdocurl(gold, prediction, answer_format, _without_unit)


def longdocurl_compat(gold: str, prediction: str, answer_format: str) -> float:
    """As published: units come off by ``rstrip``, which takes every character of the unit ("twomillion" -> "tw")."""
    return _longdocurl(gold, prediction, answer_format, lambda text, unit: text.rstrip(unit))


def mmlb_v1(gold: str, prediction: str, answer_format: str) -> float:
    """MMLongBench v1: any number in the reply may match; strings by F1 of words; lists are looked for item by item."""
    if answer_format == "Integer":
        wanted = _number(_v1_clean(gold))
        return float(wanted is not None and wanted in _v1_numbers(prediction))
    if answer_format == "Float":
        value = _number(_v1_clean(gold))
        return float(value is not None and any(_v1_close(value, n) for n in _v1_numbers(prediction)))
    if answer_format == "List":
        items = parse_list(gold) or [gold]
        kinds = [_v1_kind(item) for item in items]
        # Words of all plain strings are looked for together.
        plain = " ".join(item for item, kind in zip(items, kinds, strict=True) if kind == "plain").strip()
        rest = [(item, kind) for item, kind in zip(items, kinds, strict=True) if kind != "plain"]
        parts = ([(plain, "String")] if plain else []) + rest
        return sum(mmlb_v1(item, prediction, kind) for item, kind in parts) / len(parts) if parts else 0.0
    return float(gold in prediction) if _V1_EXACT.search(gold) else word_f1(gold, prediction)


def _longdocurl(gold: str, prediction: str, answer_format: str, strip: Callable[[str, str], str]) -> float:
    def clean(text: str) -> str:
        text = text.lower().strip().replace(",", "")
        for unit in UNITS:
            if text.endswith(unit):
                text = strip(text, unit).strip()
        return _bare(text).removeprefix("£").strip()

    if answer_format == "Integer":
        try:
            return float(int(clean(gold)) == int(clean(prediction)))
        except ValueError:
            return 0.0
    if answer_format == "Float":
        return _float_score(clean(gold), clean(prediction))
    if answer_format == "List":
        wanted = [clean(item) for item in parse_list(gold) or [gold]]
        found = [clean(item) for item in parse_list(prediction) or [prediction]]
        if _number(wanted[0]) is not None or _exact(wanted[0]):
            return float(wanted == found)
        best = sum(max(anls(item, other) for other in found) for item in wanted) / len(wanted)
        return best * math.sqrt(min(1.0, len(wanted) / len(found)))
    return _string_score(clean(gold), clean(prediction))


def _without_unit(text: str, unit: str) -> str:
    """The unit as a whole, and only behind a number or a space: "program" keeps its m."""
    shorter = text.removesuffix(unit)
    return shorter if not shorter or not shorter[-1].isalpha() else text


def _clean(text: str) -> str:
    return _bare(text.lower().strip())


def _bare(text: str) -> str:
    """Without parentheses, one quotation mark at either end, dollar signs before and per cent signs behind."""
    text = re.sub(r"\s*\([^)]*\)", "", text).strip()
    text = re.sub(r"^['\"]|['\"]$", "", text).strip()
    return text.lstrip("$").strip().rstrip("%").strip()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _float_score(gold: str, prediction: str) -> float:
    wanted, found = _number(gold), _number(prediction)
    if wanted is None or found is None:
        return 0.0
    for value in (wanted / 100, wanted, wanted * 100):
        digits = max(min(_digits(found), _digits(value)), 2)
        if math.isclose(value, found, rel_tol=0.01) or round(found, digits) == round(value, digits):
            return 1.0
    return 0.0


def _digits(value: float) -> int:
    return len(str(value).rpartition(".")[2]) if "." in str(value) else 3


def _string_score(gold: str, prediction: str) -> float:
    return float(gold == prediction) if _exact(gold) else anls(gold, prediction)


def _exact(text: str) -> bool:
    """Links, files, pages, phone numbers, times, dates and addresses are right or wrong, never nearly right."""
    return (
        "https://" in text
        or text.endswith((".py", "ipynb"))
        or text.startswith("page")
        or any(mark in text for mark in ("a.m.", "p.m."))
        or _EXACT.fullmatch(text) is not None
    )


def _v1_clean(text: str) -> str:
    text = text.lower().strip().replace(",", "")
    for unit in _V1_UNITS:
        text = text.removesuffix(unit).strip()
    text = re.sub(r"^['\"]|['\"]$", "", text).strip()
    for sign in "$£%":
        text = text.strip(sign).strip()
    return text


def _v1_numbers(text: str) -> Sequence[float]:
    numbers = (float(match) for match in _NUMBER.findall(_v1_clean(text)))
    return [number for number in numbers if math.isfinite(number)]


def _v1_close(gold: float, number: float) -> bool:
    return any(math.isclose(value, number, rel_tol=0.01) for value in (gold / 100, gold, gold * 100))


def _v1_kind(item: str) -> str:
    value = _number(_v1_clean(item))
    if value is not None:
        return "Integer" if value == int(value) and "%" not in item else "Float"
    return "String" if _V1_EXACT.search(item) else "plain"
