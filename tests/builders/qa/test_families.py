"""Families on documents of which every word is known: the answer is right, and a change of the page is noticed."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from mmprolong_builders.qa.facts import FactIndex
from mmprolong_builders.qa.page_text import PageText, page_text_of
from mmprolong_builders.qa.programmatic.registry import FAMILIES
from mmprolong_builders.qa.verify import verify_candidate
from support.questions import block, candidates, document, failed

SENTENCES = (
    "The northern reservoir supplies water to every village along the old coastal road",
    "Engineers inspected the eastern tunnel before the heavy rains of the late autumn season",
    "A wooden bridge crosses the narrow canal close to the abandoned paper factory",
    "Several volunteers planted young trees around the restored market square last spring",
)


def prose(*numbers: int) -> str:
    return " ".join(f"{SENTENCES[number]}." for number in numbers)


def paragraphs(*texts: str) -> list[object]:
    return [block("paragraph", text) for text in texts]


def test_every_config_has_at_least_eight_families() -> None:
    for config in ("extract_single", "extract_multi", "reasoning"):
        assert sum(family.config == config for family in FAMILIES) >= 8


def test_passages_are_found_on_their_pages_and_a_second_place_is_a_rival() -> None:
    made = document([[block("heading", f"Part {n}"), *paragraphs(prose(n))] for n in range(4)])
    single = candidates(made, "quote_page", "extract_single")
    assert {(c.answer, c.evidence_pages[0] + 1) for c in single} == {(n, n) for n in (1, 2, 3, 4)}
    texts = [prose(n) for n in range(4)]
    for candidate in single:
        assert failed(candidate, made, texts) == []
        page = candidate.evidence_pages[0]
        other = (page + 1) % 4
        assert "rival" in failed(candidate, made, [t + texts[page] * (n == other) for n, t in enumerate(texts)])
        assert "answer" in failed(candidate, made, ["nothing"] * 4)
    for candidate in candidates(made, "quote_pages", "extract_multi"):
        assert len(candidate.evidence_pages) >= 2
        assert failed(candidate, made, texts) == []
        assert "recompute" in failed(replace(candidate, answer=candidate.answer[::-1]), made, texts)
    for candidate in candidates(made, "quote_order", "reasoning"):
        letters = {letter: candidate.question.index(f"({letter})") for letter in "ABC"}
        pages = []
        for letter in candidate.answer:
            quoted = candidate.question[letters[letter] :].split("“")[1].split("”")[0]
            pages.append(next(n for n, t in enumerate(texts) if quoted in t))
        assert pages == sorted(pages)
        assert failed(candidate, made, texts) == []
    gaps = candidates(made, "quote_gap", "reasoning")
    assert all(c.answer == c.evidence_pages[1] - c.evidence_pages[0] for c in gaps)
    assert gaps


def test_a_sentence_that_turns_a_page_is_asked_for_its_end() -> None:
    first = f"{prose(0)} The committee decided to repair the oldest pumps before"
    second = f"the beginning of the coming winter. {prose(1)}"
    made = document([paragraphs(first), paragraphs(second), paragraphs(prose(2))])
    [candidate] = candidates(made, "page_break", "extract_multi")
    assert candidate.answer == "the beginning of the coming winter"
    assert candidate.evidence_pages == [0, 1]
    assert failed(candidate, made) == []
    far = f"{'Another long paragraph stands above it. ' * 30}{second}"
    assert "answer" in failed(candidate, made, [first, far, prose(2)])


def numbered(*titles: str) -> list[object]:
    return [block("heading", title, level=1) for title in titles]


def test_runs_of_numbered_headings_are_whole_or_not_asked_for() -> None:
    titles = ["1 Aims", "2 Methods", "3 Results", "4 Costs", "5 Outlook"]
    pages = [[*numbered(title), *paragraphs(prose(n % 4))] for n, title in enumerate(titles)]
    made = document(pages, [(title, n, n) for n, title in enumerate(titles)])
    whole = [c for c in candidates(made, "sections_of_range", "extract_multi") if c.evidence_pages == [1, 2, 3]]
    assert whole[0].answer == ["Methods", "Results", "Costs"]
    assert failed(whole[0], made) == []
    texts = [f"{title}\n{prose(n % 4)}" for n, title in enumerate(titles)]
    # A sub-section that the parser missed: the numbers of the others still follow one another.
    texts[2] += "\n3.1 Tables of all measurements\nmore"
    assert "rival" in failed(whole[0], made, texts)
    [count, *_] = [c for c in candidates(made, "count_sections", "reasoning") if c.evidence_pages == [1, 2, 3]]
    assert count.answer == 3
    assert "rival" in failed(count, made, texts)


def test_a_passage_belongs_to_the_heading_above_it() -> None:
    pages = [
        [*numbered("1 Aims"), *paragraphs(prose(0))],
        paragraphs(prose(1)),
        [*numbered("2 Methods"), *paragraphs(prose(2))],
    ]
    made = document(pages, [("1 Aims", 0, 1), ("2 Methods", 2, 2)])
    [single] = [c for c in candidates(made, "under_heading", "extract_single") if c.answer == "Aims"]
    [multi] = candidates(made, "under_heading_across", "extract_multi")
    assert (single.evidence_pages, multi.evidence_pages, multi.answer) == ([0], [0, 1], "Aims")
    assert failed(multi, made) == []
    texts = [f"1 Aims\n{prose(0)}", f"1.1 A missed heading\n{prose(1)}", f"2 Methods\n{prose(2)}"]
    assert "rival" in failed(multi, made, texts)


def test_words_in_common() -> None:
    kinds = "granite+copper granite+copper timber+mortar granite+plaster brick+mortar sand+clay chalk+flint iron+steel"
    pairs = [pair.split("+") for pair in kinds.split()]
    made = document([paragraphs(f"The {a}works and the {b}works stand side by side.") for a, b in pairs])
    both = [c for c in candidates(made, "term_both", "extract_multi") if c.scope == (0, 8)]
    assert [(set(re.findall(r"“(\w+)”", c.question)), c.answer) for c in both] == [
        ({"graniteworks", "copperworks"}, ["1", "2"])
    ]
    most = [c for c in candidates(made, "term_most", "reasoning") if c.scope == (0, 8)]
    assert {c.answer for c in most} == {"graniteworks"}
    assert all(failed(c, made) == [] for c in [*both, *most])
    texts = [page_text_of(one)._text for one in made.pages]
    texts[5] += "\nOver the copperworks"
    assert "rival" in failed(both[0], made, texts)


def test_letters_after_an_accent_that_stands_apart_are_no_word() -> None:
    made = document([paragraphs(f"La m´ecanique et la g´eom´etrie {mark}.") for mark in ("utile", "vieille")])
    assert FactIndex(made).word_pages == {}
    plain = document([paragraphs(f"La mécanique {mark}.") for mark in ("utile", "vieille")])
    assert list(FactIndex(plain).word_pages) == ["mécanique"]


def test_a_passage_is_not_quoted_with_the_mark_of_its_footnote() -> None:
    marked = prose(0).replace("every village", "every village¹")
    made = document([[block("heading", "Part"), *paragraphs(f"{marked} {prose(1)}")], paragraphs(prose(0))])
    assert all("¹" not in quote.text for quotes in FactIndex(made).quotes.values() for quote in quotes)
    assert FactIndex(made).quotes[0]


def test_two_lists_are_merged_in_order() -> None:
    first = block("list", "• copper wire\n• rubber seals\n• brass valves")
    second = block("list", "1. close the gate\n2. drain the basin\n3. call the office")
    pages = [
        [*paragraphs("The following parts are kept in the store:"), first, *paragraphs(prose(0))],
        [*paragraphs("In an emergency the keeper has to do this:"), second, *paragraphs(prose(1))],
    ]
    made = document(pages)
    [candidate] = candidates(made, "list_merge", "extract_multi")
    assert candidate.answer == [
        "copper wire", "rubber seals", "brass valves", "close the gate", "drain the basin", "call the office",
    ]  # fmt: skip
    assert failed(candidate, made) == []
    assert "recompute" in failed(replace(candidate, answer=candidate.answer[:-1]), made)
    items = candidates(made, "list_item", "extract_single")
    assert {"copper wire", "call the office"} <= {c.answer for c in items}


def test_lists_with_numbers_out_of_step_or_mixed_bullets_are_no_lists() -> None:
    for text in ("1. copper wire\n3. rubber seals\n4. brass valves", "• copper wire\n– rubber seals\n• brass valves"):
        made = document([[*paragraphs("The following parts are kept in the store:"), block("list", text)]])
        assert candidates(made, "list_item", "extract_single") == []


def test_items_side_by_side_may_be_two_lists() -> None:
    made = document(
        [[*paragraphs("Works Need improvement:"), block("list", "• smooth wheels\n• good bearings\n• weak frame")]]
    )
    [candidate, *_] = candidates(made, "list_length", "reasoning") or candidates(made, "list_item", "extract_single")
    assert failed(candidate, made) == []
    page = PageText(
        "Works Need improvement:\n• smooth wheels\n• good bearings\n• weak frame",
        "Works Need improvement:\n• smooth wheels • weak frame\n• good bearings",
    )
    assert "rival" in [v.check for v in verify_candidate(candidate, made, [page]) if not v.ok]


@pytest.mark.parametrize(
    "title",
    [
        "129 3. Floats",
        "3 • Floats",
        "3 F L O A T S",
        "3.2. Floats 3.2.1. Tables",
        "6. Floats；",
        "3 Floats:",
        "14 February 2003",
    ],
)
def test_what_a_reader_would_not_quote_is_no_section(title: str) -> None:
    pages = [[*numbered(title), *paragraphs(prose(0))], paragraphs(prose(1))]
    assert FactIndex(document(pages, [(title, 0, 1)])).sections == []
    good = [[*numbered("3.2 Floats"), *paragraphs(prose(0))], paragraphs(prose(1))]
    assert len(FactIndex(document(good, [("3.2 Floats", 0, 1)])).sections) == 1


def test_maps_are_not_counted_as_figures() -> None:
    labels = ("Figure 1", "Map 1", "Figure 2")
    pages = [[block("caption", f"{label}: View of the valley", label=label)] for label in labels]
    assert all(c.answer != 3 for c in candidates(document(pages), "count_captions", "reasoning"))


def test_keys_side_by_side_are_no_fields() -> None:
    lines = "Grey1: gray 80 % Grey2 : gray 60 %\nOwner: the board\nKeeper: Ines Okafor"
    made = document([paragraphs(lines)])
    assert {c.answer for c in candidates(made, "key_value", "extract_single")} <= {"the board", "Ines Okafor"}
    assert candidates(made, "key_value", "extract_single")


def test_shares_are_of_columns_that_add_up() -> None:
    def table(name: str) -> object:
        rows = [
            ["Town", "Keeper", name],
            ["Aldermoor", "Ines", "20"],
            ["Brackwell", "Tomas", "30"],
            ["Cressing", "Lena", "50"],
        ]
        lines = [" ".join(row) for row in rows]
        return block("table", "\n".join(" | ".join(row) for row in rows), rows=rows, lines=lines)

    made = document([[table("Wells")]])
    shares = {c.proof["index"]: c.answer for c in candidates(made, "column_share", "reasoning")}
    assert shares == {0: 20.0, 1: 30.0, 2: 50.0}
    assert all(failed(c, made) == [] for c in candidates(made, "column_share", "reasoning"))
    for name in ("Rate", "Accuracy", "Share in %"):
        assert candidates(document([[table(name)]]), "column_share", "reasoning") == []


def test_a_first_row_of_data_is_no_header() -> None:
    rows = [["main.tex", "the text"], ["style.sty", "the style"], ["logo.pdf", "a picture"]]
    made = document([[block("table", "x", rows=rows, lines=[" ".join(row) for row in rows])]])
    assert candidates(made, "table_cell", "extract_single") == []


def test_sentences_with_several_numbers_keep_the_others_in_the_question() -> None:
    text = "Intro words. The station has 14 pumps, 3 of which were replaced by the board after the flood."
    made = document([paragraphs(text)])
    made.pages[0].blocks.insert(0, block("heading", "Pumps"))
    found = candidates(made, "cloze_number", "extract_single")
    assert {c.answer for c in found} == {14, 3}
    for candidate in found:
        assert failed(candidate, made) == []
        assert "recompute" in failed(replace(candidate, answer=candidate.answer + 1), made)


def test_a_code_with_leading_zeros_is_no_number_to_fill_in() -> None:
    text = "Intro words. The experiments were covered by certificate number 007, issued by the board in the autumn."
    assert candidates(document([paragraphs(text)]), "cloze_number", "extract_single") == []
    text = text.replace("007", "107")
    made = document([[block("heading", "Board"), *paragraphs(text)]])
    assert [c.answer for c in candidates(made, "cloze_number", "extract_single")] == [107]


def test_a_page_that_another_page_shows_as_a_picture_is_too_small_to_ask_about() -> None:
    made = document([[block("heading", f"Part {n}"), *paragraphs(prose(n))] for n in range(4)])
    made.pages[2].blocks[1].box = (50.0, 50.0, 90.0, 53.0)
    assert {c.answer for c in candidates(made, "quote_page", "extract_single")} == {1, 2, 4}


def test_captions_on_pages() -> None:
    def page(number: int) -> list[object]:
        text = f"Figure {number}: View of the valley number {number}"
        return [block("caption", text, label=f"Figure {number}"), *paragraphs(prose(number - 1))]

    made = document([page(n) for n in (1, 2, 3)])
    places = candidates(made, "caption_pages", "extract_multi")
    assert places
    for candidate in places:
        labels = re.findall(r"Figure (\d)", candidate.question)
        assert candidate.answer == labels
        assert failed(candidate, made) == []
    gaps = candidates(made, "caption_gap", "reasoning")
    assert {c.answer for c in gaps} == {1, 2}
    texts = [page_text_of(one)._text for one in made.pages]
    texts[2] += "\nFigure 1: Another picture of that number"
    assert any("rival" in failed(candidate, made, texts) for candidate in places)


def test_footnotes_of_two_pages() -> None:
    notes = ["1 The board met in the old town hall.", "2 The minutes are kept in the archive."]
    made = document([[*paragraphs(prose(n)), block("footnote", notes[n])] for n in range(2)])
    [candidate] = candidates(made, "several_footnotes", "extract_multi")
    assert candidate.answer == ["The board met in the old town hall.", "The minutes are kept in the archive."]
    assert failed(candidate, made) == []


def test_definitions_name_a_kind_not_a_thing_of_the_text() -> None:
    good = "A weir is a low barrier across a river that raises the water level."
    bad = (
        "Of course this solution is a patch that nobody should trust.",
        "The result is a bit of a problem for all of us here.",
    )
    made = document([paragraphs(f"Intro words. {good}"), *(paragraphs(f"Intro words. {text}") for text in bad)])
    found = candidates(made, "definition", "extract_single")
    assert [c.answer for c in found] == ["a low barrier across a river that raises the water level"]
    assert failed(found[0], made) == []


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_wordings_are_anchored(family: str) -> None:
    [own] = [one for one in FAMILIES if one.name == family]
    for wording in own.wordings:
        slots = ("{where", "{Where}", "{range}", "{pages}", "{a}", "{tables}", "page {a}")
        assert any(slot in wording for slot in slots), wording
        assert "document" not in wording.replace("“{", "").lower()
    assert all(a != b for a, b in pairwise(sorted(own.wordings)))
