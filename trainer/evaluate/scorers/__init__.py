"""Scorers by name and version. A scorer is a pure function of the right answer, the reply and the answer's format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mmprolong_data.errors import SettingsError

from .benchmarks import (
    bag_f1,
    choice,
    class_number,
    contains_all,
    count_sum,
    exact_match,
    positions,
    rouge_lsum,
    sub_em,
    yes_no,
)
from .published import longdocurl, longdocurl_compat, mmlb_doc, mmlb_v1
from .typed import transcription, typed

Score = Callable[[str, str, str], float]
"""(right answer, reply, answer format) -> score in [0, 1]. A right answer that is a list is JSON."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A named rule. Any change that can change a score raises ``version``."""

    name: str
    version: int
    score: Score

    @property
    def label(self) -> str:
        """``typed/1``: what a report prints."""
        return f"{self.name}/{self.version}"


SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer("typed", 1, typed),
        Scorer("transcription", 1, transcription),
        Scorer("mmlb-doc", 1, mmlb_doc),
        Scorer("longdocurl", 1, longdocurl),
        Scorer("longdocurl-compat", 1, longdocurl_compat),
        Scorer("mmlb-v1", 1, mmlb_v1),
        Scorer("sub-em", 1, sub_em),
        Scorer("em", 1, exact_match),
        Scorer("bag-f1", 1, bag_f1),
        Scorer("choice", 2, choice),
        Scorer("yes-no", 1, yes_no),
        Scorer("count-sum", 1, count_sum),
        Scorer("positions", 1, positions),
        Scorer("contains-all", 1, contains_all),
        Scorer("class-number", 1, class_number),
        Scorer("rouge-lsum", 1, rouge_lsum),
    )
}


def scorer_named(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in SCORERS:
        raise SettingsError(f"--scorer {name}: must be one of {', '.join(SCORERS)}")
    return SCORERS[name]
