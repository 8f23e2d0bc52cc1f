"""Numbers of sections: which one comes next, so that a gap shows that a heading was missed."""

from __future__ import annotations

import re
from collections.abc import Sequence

NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,4})\.?\s+(\S.*)\Z")


def number_of(title: str) -> tuple[int, ...]:
    """``(6, 3, 2)`` of ``6.3.2 Title block``; empty without such a number."""
    match = NUMBERED.match(title)
    return tuple(map(int, match[1].split("."))) if match else ()


def follows(first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether a heading numbered ``second`` may come right after one numbered ``first``: 3.2 -> 3.2.1, 3.3 or 4."""
    if not first or not second:
        return False
    if len(second) == len(first) + 1:
        return list(second) == [*first, 1]
    if len(second) > len(first):
        return False
    level = len(second) - 1
    return list(second) == [*first[:level], first[level] + 1]
