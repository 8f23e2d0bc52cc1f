"""Headings of documents without an outline."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmprolong_builders.layout.contents import read_contents
from mmprolong_builders.layout.group import group_lines
from mmprolong_builders.layout.heading_rules import WEIGHTS
from mmprolong_builders.layout.lines import BOLD, Fragment, Line
from mmprolong_builders.layout.metrics import Metrics
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


def test_a_heading_stays_apart_from_a_paragraph_with_a_sign_of_a_mathematical_font() -> None:
    def line(text: str, base: float, size: float, style: int, math: int) -> Line:
        fragment = Fragment(72, base - size, 500, base, base, size, text, style, "F", math, 0, 0)
        return Line(72, base - size, 500, base, base, size, text, style, "F", math, [fragment])

    lines = [
        line("10.1 Patent Sections", 100, 12, BOLD, 0),
        line("Sections of the patent are delimited by the \\section macro in the source of a document", 114, 10, 0, 1),
        line("x + y", 126, 8, 0, 5),
        line("is what a formula between two lines looks like, which is no reason to begin a block", 138, 10, 0, 0),
    ]
    assert [len(group.lines) for group in group_lines(lines, Metrics(), {})] == [1, 3]


def test_running_titles_that_change_from_page_to_page_are_headers(tmp_path: Path) -> None:
    """As in books: the title of the section on each page, the same one on two pages at most."""
    titles = ["Pumps", "Valves", "Basins", "Pipes", "Meters", "Drains"]
    pages = [
        [(72.0, 40.0, 10.0, False, title), *column((14, True, f"{i + 1} {title}"), i, i + 7, top=90)]
        for i, title in enumerate(titles)
    ]
    document = parsed(typeset(tmp_path / "a.pdf", pages))
    assert [text for _, text in headings(document)] == [f"{i + 1} {title}" for i, title in enumerate(titles)]
    assert [page.blocks[0].kind for page in document.pages] == ["header"] * len(titles)


def test_plain_text_at_the_top_of_every_page_is_no_header(tmp_path: Path) -> None:
    pages = [column(i, i + 7, top=60) for i in range(6)]
    document = parsed(typeset(tmp_path / "a.pdf", pages))
    assert {block.kind for page in document.pages for block in page.blocks} == {"paragraph"}
