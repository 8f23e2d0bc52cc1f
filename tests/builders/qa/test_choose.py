"""Quotas and the refusal of questions that were asked before."""

from __future__ import annotations

from mmprolong_builders.qa.choose import Chooser
from mmprolong_builders.qa.protocol import Candidate


def candidate(question: str, family: str = "cloze_number") -> Candidate:
    return Candidate("extract_single", family, question, 3, "Integer", [0], ["Text"], (0, 8), (0, 1))


def test_a_family_gives_its_share_and_at_least_one() -> None:
    chooser = Chooser(20)
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    taken = 0
    for word in words:
        question = candidate(f"{word} {word}s: how many {word} on {word} page?")
        if not chooser.refuse(question):
            chooser.take(question)
            taken += 1
    assert taken == 3
    assert chooser.refuse(candidate("Something else entirely?")) == "quota"
    assert chooser.refuse(candidate("Something else entirely?", "key_value")) == ""
    one = Chooser(1)
    one.take(candidate("The only question here?"))
    assert one.full


def test_the_same_question_with_another_name_in_it_is_refused() -> None:
    chooser = Chooser(100)
    chooser.take(candidate("On which of the pages 3-9 does the word “granite” occur? List them in ascending order."))
    near = candidate("On which of the pages 3-9 does the word “copper” occur? List them in ascending order.", "other")
    assert chooser.refuse(near) == "duplicate"
    far = candidate("List all pages among pages 3-9 that mention the word “granite”, in ascending order.", "other")
    assert chooser.refuse(far) == ""
