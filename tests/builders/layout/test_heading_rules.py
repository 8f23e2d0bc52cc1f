"""Headings of documents without an outline."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmprolong_builders.layout.contents import read_contents
from mmprolong_builders.layout.heading_rules import WEIGHTS
from mmprolong_builders.layout.patterns import heading_number
from support.typeset import column, headings, parsed, typeset


def test_size_weight_and_numbers_tell_headings_from_text(tmp_path: Path) -> None:
    pages = [
        column((16, True, "1 Water"), 1, 2, (11, True, "1.1 Pumps"), 3, (11, True, "1.2 Valves"), 4),
        column((16, True, "2 Air"), 5, (11, True, "2.1 Fans"), 6, (10, False, "See section 1.2 for more."), 7),
        column((16, True, "References"), 8, 9),
    ]
    found = headings(parsed(typeset(tmp_path / "a.pdf", pages)))
    assert found == [
        (0, "1 Water"), (0, "1.1 Pumps"), (0, "1.2 Valves"), (1, "2 Air"), (1, "2.1 Fans"), (2, "References"),
    ]  # fmt: skip


def test_a_number_alone_and_the_title_below_it_are_one_heading(tmp_path: Path) -> None:
    pages = [
        column((18, True, f"Chapter {i + 1}"), (22, True, title), i, i + 5)
        for i, title in enumerate(("Water", "Air", "Fire"))
    ]
    found = headings(parsed(typeset(tmp_path / "a.pdf", [column(20, 21), *pages])))
    assert [text for _, text in found] == ["Chapter 1 Water", "Chapter 2 Air", "Chapter 3 Fire"]


def test_what_comes_back_on_every_page_is_no_heading(tmp_path: Path) -> None:
    pages = [column((14, True, f"{i + 1} Part of {i}"), i, (12, True, "Inspector's remarks"), i + 3) for i in range(12)]
    texts = [text for _, text in headings(parsed(typeset(tmp_path / "a.pdf", pages)))]
    assert texts == [f"{i + 1} Part of {i}" for i in range(12)]


@pytest.mark.parametrize("dots", [" . . . . . . . . . ", " "])
def test_the_printed_contents_vouch_for_plain_titles_and_are_none_themselves(tmp_path: Path, dots: str) -> None:
    titles = ["Pumps", "Valves", "Basins", "Pipes", "Meters"]
    contents = [(12.0, True, "Contents"), *((10.0, False, f"{t} and more{dots}{i + 2}") for i, t in enumerate(titles))]
    pages = [column(*contents)] + [column(1, (10, True, f"{title} and more"), 2) for title in titles]
    found = [entry for entry in headings(parsed(typeset(tmp_path / "a.pdf", pages))) if entry[1] != "Contents"]
    assert found == [(i + 1, f"{title} and more") for i, title in enumerate(titles)]


def test_numbers_of_headings() -> None:
    assert heading_number("2.1 Pumps") == (2, 1)
    assert heading_number("A.2 Pumps") == (1001, 2)
    assert heading_number("Chapter IV") == (0,)
    assert heading_number("Pumps") == ()


def test_every_sign_has_a_weight_and_no_contents_list_nothing() -> None:
    assert all(abs(weight) < 10 for weight in WEIGHTS.values())
    assert not read_contents([[]]).lists("Pumps")
