"""What a question must keep when it is put in other words: numbers, quotations, labels and names."""

from __future__ import annotations

import re
from collections import Counter

from ..text import fold

_QUOTED = re.compile(r"“[^”]+”|\"[^\"]+\"")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LEAST = 0.5
"""Of the letters that stand outside of quotations, so many must remain: a shorter question asks for less."""
_CONDITIONS = (
    r"\b(?:order|ascending|descending|first to last|sequence)\b",
    r"\b(?:without|leav\w+|omit\w*|exclud\w+|not (?:the|its)|no)\b",
    r"\bletters?\b",
    r"\b(?:directly|immediately)\b",
    r"\bany level\b|\ball levels\b|\bevery level\b",
    r"\b(?:both|each|every|all)\b",
)
"""What says how to answer, and which: a question that has words of a line must keep one of them."""
_NAME = re.compile(r"(?<=[\w,;:] )[A-ZÀ-Þ][\w'’-]*")


def what_is_lost(old: str, new: str) -> str:
    """The first thing that the new question lacks or adds; "" if none. Also if it is no other wording at all."""
    if re.findall(r"\w+", fold(old)) == re.findall(r"\w+", fold(new)):
        return "the same words"
    for quoted in _QUOTED.findall(old):
        if quoted[1:-1] not in new:
            return f"{quoted[:60]} is missing"
    # Page numbers above all: each as often as before, and no new ones.
    before, after = Counter(_NUMBER.findall(old)), Counter(_NUMBER.findall(new))
    if before != after:
        changed = sorted((before - after) + (after - before))
        return f"the number {changed[0]} is missing or new"
    asked, asks = _QUOTED.sub(" ", old).casefold(), _without(old, new).casefold()
    if len(re.findall(r"\w", asks)) < _LEAST * len(re.findall(r"\w", asked)):
        return "it asks for less"
    for words in _CONDITIONS:
        lost = re.search(words, asked)
        if lost and not re.search(words, asks):
            return f"the condition {lost[0]!r} is missing"
    folded = fold(new)
    for name in _NAME.findall(old):
        if fold(name) not in folded:
            return f"{name[:60]!r} is missing"
    return ""


def _without(old: str, new: str) -> str:
    """The new question without what the old one quotes, whatever marks stand around it there."""
    for quoted in _QUOTED.findall(old):
        new = new.replace(quoted[1:-1], " ")
    return new
