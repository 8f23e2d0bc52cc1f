"""Wordings in other languages: the slots of the English ones, an anchor, and the verifier reads them."""

from __future__ import annotations

from string import Formatter

import pytest
from mmprolong_builders.qa.programmatic.base import Where, name_list, on_page, on_pages
from mmprolong_builders.qa.programmatic.registry import FAMILIES
from mmprolong_builders.qa.programmatic.wordings import language_of
from support.questions import block, candidates, document, failed

LANGUAGES = ("de", "fr", "zh")


def slots(wording: str) -> set[str]:
    return {name.lower() for _, name, _, _ in Formatter().parse(wording) if name}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_wording_has_the_slots_of_the_english_ones(code: str) -> None:
    language = language_of(code)
    assert language is not None
    english = {family.name: set().union(*map(slots, family.wordings)) - {"where2"} for family in FAMILIES}
    assert len(language.wordings) >= 20
    for family, wordings in language.wordings.items():
        assert 5 <= len(set(wordings)) <= 8, family
        for wording in wordings:
            assert slots(wording) == english[family], wording


def test_there_are_none_for_english_and_unknown_languages() -> None:
    assert language_of("en") is None
    assert language_of("und") is None


def test_anchors_and_enumerations_are_spoken() -> None:
    names = name_list(["A", "B", "C"])
    assert str(names) == "A, B and C"
    assert names.spoken(None) == "A, B and C"
    assert names.spoken(language_of("de")) == "A, B und C"
    assert names.spoken(language_of("zh")) == "A、B、C"
    assert on_page(4).spoken(language_of("fr")) == "à la page 5"
    assert on_pages(4, 9).spoken(language_of("zh")) == "在第5-9页"
    assert Where("in the appendix", (0, 2)).spoken(language_of("fr")) is None


GERMAN = "Vorwort. Die Anlage hat 14 Pumpen, die der Verband nach dem Hochwasser des Frühjahrs ersetzte."
FRENCH = "Avant. La station possède 14 pompes que le conseil a remplacées après la crue du printemps."


@pytest.mark.parametrize(("code", "text", "word"), [("de", GERMAN, "Seite 1"), ("fr", FRENCH, "page 1")])
def test_questions_are_asked_in_the_language_of_the_document(code: str, text: str, word: str) -> None:
    made = document([[block("heading", "Pumpen"), block("paragraph", text)]], language=code)
    [candidate] = candidates(made, "cloze_number", "extract_single")
    assert candidate.answer == 14
    assert word in candidate.question
    assert candidate.notes["question_language"] == code
    assert failed(candidate, made) == []


def test_chinese_passages() -> None:
    texts = [
        f"水库向沿海旧路上的每一个村庄供应饮用水{mark}。工程师在雨季之前检查了东侧隧道{mark}。" for mark in "甲乙丙丁"
    ]
    pages = [[block("heading", f"部分{n}"), block("paragraph", text)] for n, text in enumerate(texts)]
    made = document(pages, language="zh")
    found = candidates(made, "quote_pages", "extract_multi")
    assert found
    for candidate in found:
        assert "第1-4页" in candidate.question
        assert failed(candidate, made, [f"部分{n}\n{text}" for n, text in enumerate(texts)]) == []


def test_a_language_without_wordings_is_asked_in_english_and_says_so() -> None:
    text = "Prima. La stazione possiede 14 pompe che il consorzio ha sostituito dopo la piena della primavera."
    made = document([[block("heading", "Pompe"), block("paragraph", text)]], language="it")
    [candidate] = candidates(made, "cloze_number", "extract_single")
    assert "page 1" in candidate.question
    assert candidate.notes["question_language"] == "en"
