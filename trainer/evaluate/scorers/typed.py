"""Our own scorer: typed, strict where guessing would pay, lenient where only the notation differs."""

from __future__ import annotations

import math
import re

from .text import anls, final_answer, folded, parse_list, similarity

_MULTIPLIERS = {
    "thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9,
    "trillion": 1e12, "%": 1e-2, "percent": 1e-2, "per cent": 1e-2,
}  # fmt: skip
_WORDS = dict(
    zip(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        map(float, range(13)),
        strict=True,
    )
)
_NUMBER = re.compile(
    r"(?<![\w.])([-+]?)[$€£¥]?\s?"
    r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:e([-+]?\d{1,3}))?\s?(thousand|million|billion|trillion|mn|bn|per cent|percent|%|[kmb]\b)?"
)
_EXACT = re.compile(r"https?://|www\.|@|\.(py|ipynb|pdf|csv)$|^pages? \d|^[\d\s()+./:-]*\d[\d\s()+./:-]*$")
_UNANSWERABLE = re.compile(r"\b(not answerable|unanswerable|cannot be answered|can't be answered|no answer)\b")
RELATIVE = 0.01


def typed(gold: str, prediction: str, answer_format: str) -> float:
    """Score a reply by the type of the right answer.

    Integer: the reply holds exactly one number, and it is that one. Float: the same within 1 % of it. A number counts
    as it stands and, if a unit follows, multiplied by it ("1.2 million" is 1.2 and 1,200,000; "12 %" is 12 and 0.12).
    List: F1 of the best one-to-one matching of items; items that are numbers match within 1 %, others by ANLS.
    String: exact for links, addresses, files, pages, dates and bare numbers, else ANLS (0 unless above 0.5).
    None (nothing in the document answers): the reply says so.

    Returns:
        A score in [0, 1].
    """
    reply = final_answer(prediction)
    if not reply.strip():
        return 0.0
    wanted = values_of(gold) if answer_format in ("Integer", "Float") else []
    if wanted:  # a benchmark's "Float" may be "18.29%", or no number at all
        tolerance = RELATIVE if answer_format == "Float" else 0.0
        return float(any(_close(a, b, tolerance) for a in wanted for b in values_of(reply)))
    if answer_format == "List":
        return _list_f1(parse_list(gold) or [gold], items_of(reply))
    refused = _UNANSWERABLE.search(folded(reply)) is not None
    if answer_format == "None":
        return float(refused)
    return 0.0 if refused and not _UNANSWERABLE.search(folded(gold)) else _string(gold, reply)


def transcription(gold: str, prediction: str, answer_format: str) -> float:
    """Similarity of two texts: 1 - edit distance / the longer length, white space and case folded (NFKC)."""
    return similarity(folded(gold), folded(prediction))


def values_of(text: str) -> list[float]:
    """The readings of the one number in a text; none if it holds no number or several different ones."""
    text = folded(text).replace("\u2212", "-")
    readings: set[tuple[float, ...]] = set()
    for sign, digits, exponent, unit in _NUMBER.findall(text):
        value = float(re.sub(r"[, \u00a0\u202f]", "", digits)) * (-1.0 if sign == "-" else 1.0)
        value *= 10.0 ** int(exponent or 0)
        readings.add((value, value * _MULTIPLIERS[unit]) if unit else (value,))
    if not readings and text.strip(" .") in _WORDS:
        return [_WORDS[text.strip(" .")]]
    return list(readings.pop()) if len(readings) == 1 else []


def items_of(text: str) -> list[str]:
    """The items of a reply: a list in brackets, lines (with or without bullets), or parts between commas."""
    found = re.search(r"\[.*\]", text, re.DOTALL)
    items = parse_list(found.group()) if found else None
    if items is None:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1:
            items = [re.sub(r"^\s*(?:[-*\u2022]|\d+[.)])\s+", "", line) for line in lines]
        else:
            items = re.split(r";" if ";" in text else r",(?!\d{3}\b)|\band\b", text)
    return [item.strip() for item in items if item.strip()]


def _string(gold: str, prediction: str) -> float:
    wanted, found = folded(gold).strip(" ."), folded(prediction).strip(" .")
    if _EXACT.search(wanted):
        return float(wanted == found)
    return anls(wanted, found)


def _item(gold: str, prediction: str) -> float:
    wanted = values_of(gold) if _EXACT.search(folded(gold)) else []
    if wanted and any(_close(wanted[0], value) for value in values_of(prediction)):
        return 1.0
    return _string(gold, prediction)


def _close(gold: float, value: float, tolerance: float = RELATIVE) -> bool:
    return math.isclose(gold, value, rel_tol=0.0, abs_tol=tolerance * abs(gold))


def _list_f1(gold: list[str], found: list[str]) -> float:
    """2 x the similarity of matched pairs / items in both; pairs are taken from the most similar downwards."""
    pairs = sorted(
        ((_item(a, b), -i, -j) for i, a in enumerate(gold) for j, b in enumerate(found[: 4 * len(gold) + 16])),
        reverse=True,
    )
    used_gold: set[int] = set()
    used_found: set[int] = set()
    total = 0.0
    for value, i, j in pairs:
        if value > 0 and i not in used_gold and j not in used_found:
            used_gold.add(i)
            used_found.add(j)
            total += value
    return 2 * total / (len(gold) + len(found)) if found else 0.0
