"""What the report says of a model's verdicts, whatever a foreign dataset holds in their place."""

from __future__ import annotations

from typing import Any

import pytest
from mmprolong_builders.report.models import verdicts


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"paraphrase": {"model": "m", "original": "Who?"}}, "paraphrase (m): reworded from “Who?”"),
        (
            {"paraphrase": {"model": "m", "kept": "the same words"}},
            "paraphrase (m): keeps its own words: the same words",
        ),
        ({"evidence": {"model": "m", "votes": [True, False, True]}}, "2 of 3 answers"),
        ({"rivals": {"model": "m", "windows": [{}, {}]}}, "rivals (m): no other answer in 2 windows"),
        ({"judge": {"model": "big", "reason": "Fine."}}, "judge (big): Fine."),
        ({"closed_book": {"model": "m", "answer": ""}}, "closed_book (m): no answer"),
        ({"closed_book": {"model": "m", "answer": "Kim"}}, "closed_book (m): “Kim”"),
        ({"closed_book": {}}, "closed_book (?): no answer"),
    ],
)
def test_verdicts_in_words(said: dict[str, Any], words: str) -> None:
    (line,) = verdicts(said)
    assert words in line


@pytest.mark.parametrize("said", [None, [], "text", {"judge": "yes"}, {"judge": None}])
def test_what_is_no_verdict_is_left_out(said: object) -> None:
    assert verdicts(said) == []


def test_long_ones_are_cut() -> None:
    assert len(verdicts({"judge": {"reason": "x" * 10_000}})[0]) <= 400
