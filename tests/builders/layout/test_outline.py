"""Headings that the outline lists: found on their pages whatever number, label or note stands with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmprolong_builders.layout.headings import outline_headings
from mmprolong_builders.layout.lines import Fragment, Line
from support.typeset import column, headings, parsed, typeset


def line(text: str, y: float = 0.0, size: float = 10.0) -> Line:
    fragment = Fragment(72, y - size, 300, y, y, size, text, 0, "F", 0, 0, 0)
    return Line(72, y - size, 300, y, y, size, text, 0, "F", 0, [fragment])


def found(title: str, *texts: str) -> list[str]:
    """The lines that are taken for a title among others that the outline lists as well."""
    fillers = [line(f"Filler number {i} of the page", 500 + 20 * i) for i in range(3)]
    lines = [line(text, 20.0 * i) for i, text in enumerate(texts)] + fillers
    outline = [(1, title, 0, None)] + [(1, filler.text, 0, None) for filler in fillers]
    marked = outline_headings(outline, [[lines]])
    return [
        other.text
        for i, start in enumerate(lines)
        if id(start) in marked and start not in fillers
        for other in lines[i : i + marked[id(start)].lines]
    ]


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Results", ["Results"]),
        ("Results", ["2.1 Results"]),
        ("2.1 Results", ["Results"]),
        ("Results", ["II.1. Results"]),
        ("Results", ["A.3 RESULTS"]),
        ("Results", ["Appendix B – Results"]),
        ("Colours", ["Exercise 5.1: Colours"]),
        ("Results", ["Results [10, 11]"]),
        ("I Usage", ["Part I", "Usage"]),
        ("One title that is so long that it needs lines", ["3 One title that is", "so long that it", "needs lines"]),
        ("XeLaTeX templates in short", ["1 X LATEX templates in short"]),
        ("第一章绪论与背景", ["第一章 绪论与背景"]),
        ("مقدمه", ["مقدمه ۱.۱"]),
    ],
)
def test_titles_are_found_with_what_stands_around_them(title: str, texts: list[str]) -> None:
    assert found(title, "Some text before it", *texts, "and some text after it") == texts


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Results", ["The results were good"]),
        ("Results", ["Results . . . . . . . . . . 12"]),
        ("Weather in spring", ["Weather in winter"]),
        ("First table", ["Table 3: First table"]),
    ],
)
def test_other_lines_are_not_taken_for_titles(title: str, texts: list[str]) -> None:
    assert found(title, *texts) == []


def test_headings_right_below_each_other_stay_apart(tmp_path: Path) -> None:
    heads = [(72, 200 + 13 * i, 11, True, f"{3}.{i + 1} {name}") for i, name in enumerate(("Aims", "Risks", "Costs"))]
    path = typeset(
        tmp_path / "a.pdf",
        [column((14, True, "3 Plan"), 1) + heads + column(2, top=260)],
        [(1, 0, "Plan"), (2, 0, "Aims"), (2, 0, "Risks"), (2, 0, "Costs")],
    )
    assert [text for _, text in headings(parsed(path))] == ["3 Plan", "3.1 Aims", "3.2 Risks", "3.3 Costs"]


def test_a_table_does_not_swallow_headings(tmp_path: Path) -> None:
    rows = [(72 + 150 * j, 300 + 14 * i, 10, False, f"cell {i}{j}") for i in range(2) for j in range(2)]
    heads = [
        (72, 328, 10, True, "4.1"),
        (222, 328, 10, True, "Aims"),
        (72, 342, 10, True, "4.2"),
        (222, 342, 10, True, "Risks"),
    ]
    caption = [(72.0, 285.0, 10.0, False, "Table 1: Cells")]
    path = typeset(
        tmp_path / "a.pdf",
        [column((14, True, "4 Plan"), 1, 2) + caption + rows + heads],
        [(1, 0, "Plan"), (2, 0, "Aims"), (2, 0, "Risks")],
    )
    assert [text for _, text in headings(parsed(path))] == ["4 Plan", "4.1 Aims", "4.2 Risks"]
