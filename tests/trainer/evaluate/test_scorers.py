"""The scorers: published rules against the values measured with the published programs, and our own rules."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmprolong_trainer.evaluate.scorers import SCORERS, scorer_named
from mmprolong_trainer.evaluate.scorers.text import final_answer, parse_list
from mmprolong_trainer.evaluate.scorers.typed import items_of, typed, values_of

from mmprolong_data.errors import SettingsError

FRUIT = '["apple", "banana"]'


@pytest.mark.parametrize(
    ("gold", "answer_format", "prediction", "doc", "longdocurl", "v1", "ours"),
    [
        ("12", "Integer", "12 items", 0, 0, 1, 1),
        ("12", "Integer", "3, 7, 12 or 15", 0, 0, 1, 0),
        ("2019", "Integer", "2019.0", 1, 0, 1, 1),
        ("470.85", "Float", "$470.86 million", 0, 1, 1, 1),
        # The string form of the list: without spaces its words become one.
        (FRUIT, "List", '["apple","banana","kiwi"]', 0, 0.8165, 0, 0.8),
        (FRUIT, "List", "apple, banana", 0, 0, 1, 1),
        ('["10", "20"]', "List", '["20", "10"]', 1, 0, 1, 1),
    ],
)
def test_published_scorers_give_the_measured_values(
    gold: str, answer_format: str, prediction: str, doc: float, longdocurl: float, v1: float, ours: float
) -> None:
    scores = [
        SCORERS[name].score(gold, prediction, answer_format) for name in ("mmlb-doc", "longdocurl", "mmlb-v1", "typed")
    ]
    assert scores == pytest.approx([doc, longdocurl, v1, ours], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "gold", "prediction", "answer_format", "score"),
    [
        ("mmlb-doc", "0.47", "47%", "Float", 1),
        ("mmlb-doc", "100", "101.5", "Float", 0),
        ("mmlb-doc", "100", "100.9", "Float", 1),
        ("mmlb-doc", "Page 7", "page 8", "String", 0),
        ("mmlb-doc", "the pump house", "the pump houses", "String", 14 / 15),
        ("mmlb-doc", "abcd", "abxy", "String", 0),
        ("mmlb-doc", FRUIT, '["banana", "apples"]', "List", 5 / 6),
        ("mmlb-doc", "Not answerable", "Not answerable", "None", 1),
        ("mmlb-doc", "5", "__import__('os').getcwd()", "Integer", 0),
        ("longdocurl", "96,395", "96395", "Integer", 1),
        ("longdocurl", "twomillion", "two", "String", 0),
        ("longdocurl-compat", "twomillion", "tw", "String", 1),
        ("longdocurl", "a program", "a program", "String", 1),
        ("mmlb-v1", "1,234", "it was 1234 in all", "Integer", 1),
        ("mmlb-v1", "2020-01-05", "on 2020-01-05", "String", 1),
        ("sub-em", '["Paris", "Lutetia"]', "The city of Lutetia.", "String", 1),
        ("em", "The Alps", "alps.", "String", 1),
        ("bag-f1", "red blue", "blue", "String", 2 / 3),
        ("choice", "B", "(B) the second", "String", 1),
        ("choice", "B", "Answer: B", "String", 1),
        ("choice", "B", "Because I like it", "String", 0),
        ("choice", "C", "The best answer is (C).", "String", 1),
        ("choice", "A", "The answer is a dog", "String", 0),
        ("choice", "C", "Option C is right", "String", 1),
        ("yes-no", "no", "No, there is none", "String", 1),
        ("count-sum", "[1, 2]", "[2, 1]", "List", 1),
        ("positions", "[1, 2]", "[1, 3]", "List", 0.5),
        ("contains-all", '["4317", "8825"]', "it is 8825", "List", 0.5),
        ("class-number", "17", "label: 17", "Integer", 1),
        ("class-number", "17", "Of 20 classes it is 17.", "Integer", 1),
        ("class-number", "17", "label: 3, not 17", "Integer", 0),
        ("class-number", "17", "none", "Integer", 0),
        ("class-number", "17", "9" * 5000, "Integer", 0),
        ("rouge-lsum", "the cats sat on the mat.\nThey slept.", "a cat sat on a mat", "String", 4 / 7),
        ("rouge-lsum", "same words", "same words", "String", 1),
        ("transcription", "Annual  Report\n2024", "annual report 2024", "String", 1),
    ],
)
def test_rules(name: str, gold: str, prediction: str, answer_format: str, score: float) -> None:
    assert SCORERS[name].score(gold, prediction, answer_format) == pytest.approx(score)


@pytest.mark.parametrize(
    ("gold", "prediction", "answer_format", "score"),
    [
        ("12", "12 items", "Integer", 1),
        ("12", "3, 7, 12 or 15", "Integer", 0),
        ("12", "12, in words 12", "Integer", 1),
        ("12", "twelve", "Integer", 1),
        ("12", "12.04", "Integer", 0),
        ("2019", "2019.0", "Integer", 1),
        ("1234567", "1,234,567", "Integer", 1),
        ("1200000", "$1.2 million", "Float", 1),
        ("470.85", "$470.86 million", "Float", 1),
        ("0.12", "12 %", "Float", 1),
        ("12", "12%", "Float", 1),
        ("100", "101", "Float", 1),
        ("100", "101.1", "Float", 0),
        ("-3.5", "\u22123.5", "Float", 1),
        ("3.5", "between 3.5 and 4", "Float", 0),
        ("18.29%", "18.3 %", "Float", 1),
        ("18.29%", "0.183", "Float", 1),
        ("1,234", "1234", "Integer", 1),
        ("unknown", "unknown", "Integer", 1),
        (FRUIT, "apple, banana", "List", 1),
        (FRUIT, "- banana\n- apple", "List", 1),
        (FRUIT, "banana, apple and kiwi", "List", 0.8),
        (FRUIT, '["apple", "apple", "apple", "banana"]', "List", 2 * 2 / 6),
        ('["10", "20"]', "20, 10", "List", 1),
        ("Ines Okafor", "Answer: **Ines Okafor**.", "String", 1),
        ("2024-03-01", "2024-03-02", "String", 0),
        ("Not answerable", "The question cannot be answered.", "None", 1),
        ("Not answerable", "42", "None", 0),
        ("Ines Okafor", "Not answerable", "String", 0),
        ("Ines Okafor", "", "String", 0),
    ],
)
def test_typed(gold: str, prediction: str, answer_format: str, score: float) -> None:
    assert typed(gold, prediction, answer_format) == pytest.approx(score)


def test_lists_are_parsed_and_never_evaluated() -> None:
    assert parse_list("['it\\'s', \"b\", 3]") == ["it's", "b", "3"]
    assert parse_list('[{"a": 1, "b": "x"}]') == ["1-x"]
    assert parse_list("[print(1)]") == ["print(1)"]
    assert parse_list("['unclosed]") is None
    assert items_of("1,200, 3,400") == ["1,200", "3,400"]


def test_numbers_have_one_reading_or_none() -> None:
    assert values_of("about 3 k") == [3.0, 3000.0]
    assert values_of("3 or 4") == []
    assert values_of("no number") == []


def test_final_answer() -> None:
    assert final_answer("I think so.\nAnswer: '42'.") == "'42'"
    assert final_answer('Answer: "42"') == "42"


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["String", "Integer", "Float", "List", "None"]))
def test_every_scorer_gives_a_share_for_any_reply(gold: str, prediction: str, answer_format: str) -> None:
    golds = {"Integer": "7", "Float": "7.5", "List": json.dumps([gold or "x"])}
    for scorer in SCORERS.values():
        value = scorer.score(golds.get(answer_format, gold or "x"), prediction, answer_format)
        assert 0.0 <= value <= 1.0, scorer.name


@given(
    st.integers(-(10**9), 10**9),
    st.floats(0.001, 1e9),
    st.lists(st.text("abcdefg hij", min_size=3), min_size=1, max_size=6),
)
def test_the_right_answer_scores_one(integer: int, number: float, items: list[str]) -> None:
    items = [item for item in (i.strip() for i in items) if item] or ["abc"]
    assert typed(str(integer), str(integer), "Integer") == 1
    assert typed(f"{number:.4f}", f"{number:.4f}", "Float") == 1
    assert typed(json.dumps(items), json.dumps(items), "List") == pytest.approx(1)


def test_an_unknown_scorer_is_named() -> None:
    with pytest.raises(SettingsError, match="must be one of typed"):
        scorer_named("exact")
