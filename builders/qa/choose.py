"""Which of the good candidates of a document become samples: quotas a family, no question asked twice."""

from __future__ import annotations

import re
from collections import Counter

from .protocol import Candidate
from .text import fold

FAMILY_SHARE = 0.15
"""Most of a document's samples of one config that one family may give (one is always allowed)."""
NEAR = 0.8
"""Questions that share this part of their words are the same question with another name in it."""
_WORD = re.compile(r"\w+")


class Chooser:
    """Decides about the candidates of one document and config, in the order in which they come.

    Args:
        wanted: Samples to choose.
        family_share: Most of them that one family may give.
    """

    def __init__(self, wanted: int, family_share: float = FAMILY_SHARE) -> None:
        self.wanted = wanted
        self.chosen: list[Candidate] = []
        self._families: Counter[str] = Counter()
        self._words: list[frozenset[str]] = []
        self._quota = max(1, int(wanted * family_share))

    @property
    def full(self) -> bool:
        """Whether there are enough."""
        return len(self.chosen) >= self.wanted

    def refuse(self, candidate: Candidate) -> str:
        """Why a candidate is not wanted (``quota``, ``duplicate``), before it is verified; "" if it is."""
        if self._families[candidate.family] >= self._quota:
            return "quota"
        words = _words(candidate.question)
        if any(len(words & other) >= NEAR * len(words | other) for other in self._words):
            return "duplicate"
        return ""

    def take(self, candidate: Candidate) -> None:
        """Choose a candidate that passed verification."""
        self.chosen.append(candidate)
        self._families[candidate.family] += 1
        self._words.append(_words(candidate.question))


def _words(question: str) -> frozenset[str]:
    return frozenset(_WORD.findall(fold(question)))
