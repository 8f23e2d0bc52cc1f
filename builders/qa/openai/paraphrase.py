"""What a question must keep when it is put in other words: numbers, quotations, labels and names."""

from __future__ import annotations

import re
from collections import Counter

from ..text import fold

_QUOTED = re.compile(r"“[^”]+”|\"[^\"]+\"")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<=[\w,;:] )[A-ZÀ-Þ][\w'’-]*")


def what_is_lost(old: str, new: str) -> str:
    """The first thing that the new question lacks or adds; "" if none. Also if it is no other wording at all."""
    if fold(old) == fold(new):
        return "the same words"
    for quoted in _QUOTED.findall(old):
        if quoted[1:-1] not in new:
            return f"{quoted[:60]} is missing"
    # Page numbers above all: each as often as before, and no new ones.
    before, after = Counter(_NUMBER.findall(old)), Counter(_NUMBER.findall(new))
    if before != after:
        changed = sorted((before - after) + (after - before))
        return f"the number {changed[0]} is missing or new"
    folded = fold(new)
    for name in _NAME.findall(old):
        if fold(name) not in folded:
            return f"{name[:60]!r} is missing"
    return ""
