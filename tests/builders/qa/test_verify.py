"""Verification of candidates of any generator: every check refuses what it is there for, and says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mmprolong_builders.qa.protocol import Candidate
from mmprolong_builders.qa.verify import CHECKS, verify_candidate
from support.questions import block, document

TEXTS = ["Depth: 40 m\nKeeper: Ines Okafor", "Depth: 25 m\nNothing else", "Closing words."]
MADE = document(
    [
        [block("heading", "Wells"), block("paragraph", TEXTS[0])],
        [block("paragraph", TEXTS[1])],
        [block("paragraph", "x")],
    ],
    [("Wells", 0, 1)],
)


def field(page: int, value: str) -> dict[str, Any]:
    return {"operation": "field", "key": "Depth", "value": value, "page": page, "blocks": [[page, 0]]}


GOOD = Candidate(
    "extract_single", "key_value", "What is given as “Depth” on page 1?", "40 m", "String", [0], ["Text"], (0, 3),
    (0, 1), field(0, "40 m"),
)  # fmt: skip
SUM = Candidate(
    "reasoning", "field_sum", "What is the sum of “Depth” on pages 1 and 2?", 65, "Integer", [0, 1], ["Text"], (0, 3),
    (0, 2), {"operation": "sum", "operands": [field(0, "40 m"), field(1, "25 m")], "blocks": []},
)  # fmt: skip


def verdicts(candidate: Candidate, texts: list[str] | None = None) -> dict[str, str]:
    """Failed check -> reason."""
    return {v.check: v.reason for v in verify_candidate(candidate, MADE, texts or TEXTS) if not v.ok}


@pytest.mark.parametrize("candidate", [GOOD, SUM])
def test_a_good_candidate_passes_every_check(candidate: Candidate) -> None:
    found = verify_candidate(candidate, MADE, TEXTS)
    assert [verdict.check for verdict in found] == list(CHECKS)
    assert all(verdict.ok and not verdict.reason for verdict in found)


@pytest.mark.parametrize(
    ("candidate", "check", "words"),
    [
        (replace(GOOD, answer="41 m"), "recompute", "40 m"),
        (replace(GOOD, answer="41 m", proof=field(0, "41 m")), "rival", "40 m"),
        (replace(GOOD, proof=field(1, "40 m"), evidence_pages=[1]), "anchor", "not named"),
        (replace(GOOD, question="What is the “Depth” in the document?"), "anchor", "whole document"),
        (replace(GOOD, question="What is the value of “Depth”, please?"), "anchor", "no page"),
        (replace(GOOD, question="What is given as “Keeper” on page 1?"), "question", "Depth"),
        (replace(GOOD, question="What is given as “Depth” on page 1? Is it 40 m?"), "leak", "40 m"),
        (replace(GOOD, segment=(1, 3)), "evidence", "segment"),
        (replace(GOOD, answer_format="Integer"), "format", "Integer"),
        (replace(GOOD, answer=float("nan"), answer_format="Float"), "format", "Float"),
        (replace(GOOD, evidence_pages=[7]), "format", "pages"),
        (replace(GOOD, evidence_sources=["Rumour"]), "format", "sources"),
        (replace(GOOD, config="extract_multi"), "evidence", "two"),
        (replace(SUM, answer=64), "recompute", "65"),
        (replace(SUM, proof=SUM.proof | {"operation": "nonsense"}), "recompute", "nonsense"),
        (replace(SUM, config="extract_single"), "evidence", "one evidence page"),
    ],
)
def test_a_fault_is_named(candidate: Candidate, check: str, words: str) -> None:
    found = verdicts(candidate)
    assert check in found
    assert words in found[check]


def test_units_must_agree() -> None:
    texts = [TEXTS[0], "Depth: 25 ft", TEXTS[2]]
    proof = {"operation": "sum", "operands": [field(0, "40 m"), field(1, "25 ft")], "blocks": []}
    assert "units differ" in verdicts(replace(SUM, proof=proof), texts)["recompute"]


def test_a_key_whose_value_stands_below_it_is_a_rival() -> None:
    texts = ["Depth: 40 m\nDepth:\ntop 3 m", *TEXTS[1:]]
    assert "Depth" in verdicts(GOOD, texts)["rival"]


def test_a_fact_that_only_the_parser_saw_is_refused() -> None:
    assert "no 'Depth'" in verdicts(GOOD, ["Keeper: Ines Okafor", *TEXTS[1:]])["answer"]


def test_a_candidate_without_a_proof_needs_its_answer_on_the_evidence_pages() -> None:
    bare = replace(GOOD, proof={}, question="Who keeps the well, according to page 1?", answer="Ines Okafor")
    assert verdicts(bare) == {}
    assert "answer" in verdicts(replace(bare, answer="Tomas Lind"))
    assert "answer" in verdicts(
        replace(bare, question="Who keeps the well, says page 2?", evidence_pages=[1], scope=(1, 2))
    )


@pytest.mark.parametrize(
    "question",
    [
        "Was steht als “Depth” auf Seite 1?",
        "Que dit “Depth” à la page 1 ?",
        "在第1页，“Depth”是什么？",
        "What stands as “Depth” in the section “Wells”?",
    ],
)
def test_anchors_are_read_in_every_language_with_wordings(question: str) -> None:
    scope = (0, 2) if "section" in question else (0, 1)
    texts = [TEXTS[0], "Nothing", TEXTS[2]]
    assert verdicts(replace(GOOD, question=question, scope=scope), texts) == {}


@pytest.mark.parametrize("words", ["整个文档中", "dans le document", "im ganzen Dokument", "in this PDF"])
def test_nothing_is_asked_about_the_whole_document(words: str) -> None:
    assert "anchor" in verdicts(replace(GOOD, question=f"“Depth” {words}, page 1, what is it?"))


def test_a_word_that_was_broken_at_the_end_of_a_line_is_noticed() -> None:
    proof = {"operation": "phrase", "before": "", "value": "users can ex-plore it", "page": 0, "blocks": [[0, 0]]}
    broken = replace(GOOD, question="What can users do, says page 1?", answer="users can ex-plore it", proof=proof)
    assert "ex-plore" in verdicts(broken, ["Users can explore it.", *TEXTS[1:]])["answer"]
    assert verdicts(broken, ["Users can ex-plore it.", *TEXTS[1:]]) == {}


def _captions(sign: str) -> tuple[list[str], Candidate]:
    texts = [
        f"Intro\nFigure 1{sign}View of the valley",
        f"Figure 2{sign}View of the hills",
        "As we saw in\nFigure 1 nobody",
    ]
    proof = {"operation": "caption", "label": "Figure 1", "value": "View of the valley", "page": 0, "blocks": [[0, 0]]}
    question = "What is the caption of Figure 1 on pages 1-3?"
    single = replace(GOOD, question=question, answer="View of the valley", proof=proof, scope=(0, 3), segment=(0, 3))
    return texts, replace(single, evidence_sources=["Figure"])


@pytest.mark.parametrize("sign", [": ", ". ", " ", " – ", " | "])
def test_another_caption_of_the_same_label_is_a_rival_whatever_sign_it_has(sign: str) -> None:
    texts, candidate = _captions(sign)
    assert verdicts(replace(candidate, question="What is the caption of Figure 1? See pages 1-3."), texts) == {}
    for other in (sign, ": ", " | "):
        for page in range(3):
            planted = [text + f"\nFigure 1{other}Another caption" * (n == page) for n, text in enumerate(texts)]
            assert "Another" in verdicts(candidate, planted)["rival"], (other, page)
    sentence = [texts[0], texts[1], "It is shown in\nFigure 1 and in\nFigure 12: A lake\nFigure 1.2: A pond"]
    assert verdicts(candidate, sentence) == {}


def test_another_label_with_the_same_caption_is_a_rival_of_a_label() -> None:
    texts, caption = _captions(": ")
    question = "Which figure on pages 1-3 is captioned “View of the valley”?"
    proof = caption.proof | {"operation": "caption_label"}
    label = replace(caption, question=question, answer="Figure 1", proof=proof)
    assert verdicts(label, texts) == {}
    assert "rival" in verdicts(label, [texts[0], texts[1] + "\nFigure 7: View of the valley", texts[2]])
    assert verdicts(caption, [texts[0], texts[1] + "\nFigure 7: View of the valley", texts[2]]) == {}


def test_a_caption_that_stands_twice_has_no_page() -> None:
    texts, caption = _captions(": ")
    second = caption.proof | {"label": "Figure 2", "value": "View of the hills", "page": 1, "blocks": [[1, 0]]}
    proof = {"operation": "page_gap", "operands": [caption.proof, second], "blocks": []}
    question = "How many pages are Figure 1 and Figure 2 apart, on pages 1-3?"
    gap = replace(
        caption,
        config="reasoning",
        question=question,
        answer=1,
        answer_format="Integer",
        proof=proof,
        evidence_pages=[0, 1],
    )
    assert verdicts(gap, texts) == {}
    assert "too" in verdicts(gap, [*texts[:2], "Figure 1: View of the valley"])["rival"]


def test_a_caption_that_was_not_counted_is_a_rival_of_the_count() -> None:
    texts, caption = _captions(": ")
    second = caption.proof | {"label": "Figure 2", "value": "View of the hills", "page": 1, "blocks": [[1, 0]]}
    proof = {"operation": "count", "kind": "figure", "operands": [caption.proof, second], "blocks": []}
    count = replace(
        caption, config="reasoning", question="How many figures with captions are there on pages 1-3?", answer=2,
        answer_format="Integer", proof=proof, evidence_pages=[0, 1],
    )  # fmt: skip
    assert verdicts(count, texts) == {}
    assert "not counted" in verdicts(count, [*texts[:2], "Figure 3: A view that the parser missed"])["rival"]
    assert verdicts(count, [*texts[:2], "In this case\nFigure 3 shows nothing\nTable 1: Wells"]) == {}
