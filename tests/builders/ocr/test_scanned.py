"""Records of an OCR engine as pages: sizes, columns, tables, headings and boxes, without any engine."""

from __future__ import annotations

from typing import Any

import pytest
from mmprolong_builders.layout.contents import Contents
from mmprolong_builders.layout.furniture import Furniture
from mmprolong_builders.layout.group import Group
from mmprolong_builders.layout.heading_rules import find_headings
from mmprolong_builders.layout.lines import make_lines
from mmprolong_builders.layout.metrics import Metrics
from mmprolong_builders.layout.order import reading_order
from mmprolong_builders.layout.scanned import add_furniture, floats, region_of, scanned_page, set_styles, unskewed_box
from mmprolong_builders.layout.tables import find_tables, table_rows

WORDS = "The gauge was read twice a day and the flow"


def line(x: float, base: float, text: str, size: float = 10.0, stroke: float = 0.1) -> list[Any]:
    width = 0.5 * size * len(text)
    return [x, base - 0.7 * size, x + width, base + 0.2 * size, base, size, stroke, 0.99, text]


def page(lines: list[list[Any]], regions: list[list[Any]] | None = None, turn: int = 0, skew: float = 0.0) -> Any:
    record = {"turn": turn, "skew": skew, "lines": lines, "regions": regions or []}
    raw = scanned_page(0, 595.0, 842.0, record)
    set_styles([raw])
    return raw


def test_sizes_that_scatter_by_a_pixel_become_one() -> None:
    sizes = [9.3, 10.0, 10.7, 10.0, 9.3, 16.1, 15.2, 7.0]
    raw = page([line(50, 100 + 20 * i, WORDS, size) for i, size in enumerate(sizes)])
    found = [f.size for f in raw.fragments]
    assert found[:5] == [10.0] * 5
    assert found[5] == found[6] > 15
    assert found[7] == 7.0


def test_wide_strokes_are_bold() -> None:
    raw = page([line(50, 100 + 14 * i, WORDS, stroke=0.1 if i != 3 else 0.14) for i in range(8)])
    assert [bool(f.style & 1) for f in raw.fragments] == [i == 3 for i in range(8)]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_columns_are_told_apart_though_lines_come_row_by_row(columns: int) -> None:
    rows = [
        line(40 + 180 * c, 100 + 12 * r, f"column {c} row {r:02d} of the page at hand", 9.0)
        for r in range(12)
        for c in range(columns)
    ]
    regions = reading_order(page(rows).fragments, ordered=False)
    texts = [found.text for region in regions for found in make_lines(region)]
    assert texts == [f"column {c} row {r:02d} of the page at hand" for c in range(columns) for r in range(12)]


def in_order(raw: Any) -> list[str]:
    regions = reading_order(raw.fragments, ordered=False, floats=floats(raw))
    return [found.text for region in regions for found in make_lines(region)]


def column(x: float, first: float, count: int) -> list[list[Any]]:
    return [line(x, first + 12 * r, f"{x:.0f} row {r:02d} {WORDS}", 9.0) for r in range(count)]


def test_labels_of_a_figure_say_nothing_of_the_column_that_holds_it() -> None:
    ticks = [line(80 + 40 * c, 160 + 12 * r, str(10 * c), 7.0) for r in range(10) for c in range(5)]
    left, right = column(40, 100, 4) + column(41, 300, 2), column(320, 100, 19)
    raw = page([*left, *ticks, *right], [["figure", 0.9, 60.0, 145.0, 290.0, 280.0]])
    texts = in_order(raw)
    assert [text for text in texts if "row" in text] == [row[8] for row in [*left, *right]]
    assert texts.index(left[3][8]) < texts.index("0 10 20 30 40") < texts.index(left[4][8])
    # What spans both columns belongs to neither, and is cut as text is.
    across = page([*left, *ticks, *right], [["table", 0.9, 60.0, 145.0, 560.0, 280.0]])
    assert [text for text in in_order(across) if "row" in text] != [row[8] for row in [*left, *right]]


def test_columns_whose_right_one_begins_with_short_lines() -> None:
    title = line(150, 60, "On the gauges of the harbour and those who read them")
    labels = [line(320, 100 + 12 * r, f"Label {r:02d}", 9.0) for r in range(11)]
    left, right = column(40, 100, 24), column(320, 232, 10)
    assert in_order(page([title, *left, *labels, *right])) == [row[8] for row in [title, *left, *labels, *right]]


def test_a_table_of_long_cells_is_read_across() -> None:
    rows = [[f"\\command{r:02d}{{argument}}", f"{r:02d} {WORDS}"] for r in range(12)]
    lines = [
        line(x, 100 + 12 * r, cell, 9.0) for r, row in enumerate(rows) for x, cell in zip((40, 300), row, strict=True)
    ]
    table = [["figure", 0.7, 32.0, 85.0, 560.0, 240.0], ["table", 0.8, 35.0, 85.0, 560.0, 240.0]]
    assert in_order(page(lines, table)) == [" ".join(row) for row in rows]
    assert in_order(page(lines)) == [row[0] for row in rows] + [row[1] for row in rows]  # as columns look


def test_short_headings_do_not_make_a_column_a_table() -> None:
    heads = [line(320, 100 + 60 * r, f"Part {r}", 9.0) for r in range(6)]
    texts = [found for r in range(6) for found in column(320, 124 + 60 * r, 1)]
    left = column(40, 100, 28)
    right = [row for pair in zip(heads, texts, strict=True) for row in pair]
    assert in_order(page([*left, *right])) == [row[8] for row in [*left, *right]]


def test_a_table_is_not_cut_into_columns_and_its_region_vouches_for_it() -> None:
    cells = [("Vessel", "Voyages", "Pounds"), ("Kittiwake", "6", "12"), ("Nimble", "3", "34"), ("Total", "9", "46")]
    rows = [line(60 + 150 * c, 200 + 16 * r, cell) for r, row in enumerate(cells) for c, cell in enumerate(row)]
    for regions in ([], [["table", 0.9, 55.0, 190.0, 460.0, 255.0]]):
        raw = page(rows, regions)
        (region,) = reading_order(raw.fragments, ordered=False)
        lines = make_lines(region)
        tables = find_tables(lines, raw.rules, [])
        assert tables == ([(0, 4)] if regions else [])
    assert table_rows(lines) == [list(row) for row in cells]


def test_regions_in_the_margins_are_running_lines_elsewhere_they_are_not() -> None:
    lines = [line(60, 40, "Harb0ur Board"), line(60, 300, "Harbour Board"), line(60, 810, "seven")]
    regions = [
        ["header", 0.5, 50.0, 30.0, 200.0, 50.0],
        ["header", 0.5, 50.0, 290.0, 200.0, 310.0],
        ["footer", 0.5, 50.0, 800.0, 200.0, 820.0],
    ]
    found = [Furniture()]
    add_furniture([page(lines, regions)], found)
    assert (found[0].headers, found[0].footers) == ({0}, {2})


def test_the_smallest_region_that_covers_a_line_counts() -> None:
    raw = page(
        [line(60, 100, WORDS)], [["text", 0.9, 0.0, 0.0, 500.0, 500.0], ["title", 0.5, 55.0, 90.0, 300.0, 105.0]]
    )
    assert region_of(raw, (60.0, 93.0, 275.0, 102.0)) == "title"
    assert region_of(raw, (60.0, 300.0, 275.0, 310.0)) == "text"
    assert region_of(raw, (60.0, 600.0, 275.0, 610.0)) == ""


@pytest.mark.parametrize(
    ("text", "titled", "size", "wanted"),
    [
        ("2.3 Field sampling", True, 10.0, True),
        ("Field sampling", True, 13.0, True),
        ("Field sampling", False, 13.0, True),
        ("Field sampling", True, 10.0, False),  # as the body in all else
        ("Field sampling", False, 10.0, False),
        ("that runs on below", False, 13.0, False),
        ("\\newpage {Revisions}", True, 10.0, False),
        ("第二章 方法", True, 13.0, True),
        ("A sentence that ends.", True, 10.0, False),
        ("2.3 Field sampling. The gauge was read twice a day, and what it showed was noted", False, 10.0, False),
    ],
)
def test_headings_of_scans_weigh_what_the_layout_model_says(text: str, titled: bool, size: float, wanted: bool) -> None:
    def body(first: float) -> list[list[Any]]:
        return [line(60, first + 14 * r, f"{WORDS} {r} of the gauges {first:.0f}") for r in range(6)]

    lines = make_lines(page([*body(100), line(60, 205, text, size), *body(235)]).fragments)
    parts = (lines[:6], lines[6:7], lines[7:])
    before, heading, after = (Group(part, gap=2.0, scanned=True, last=i == 2) for i, part in enumerate(parts))
    heading.titled = titled
    found = find_headings([[], [before, heading, after]], ["body", "body"], Metrics(10.0, "scan"), Contents())
    assert [group.text for group, _ in found] == ([text] if wanted else [])


def test_boxes_go_back_to_the_page_as_it_is() -> None:
    raw = page([line(60, 100, WORDS)], skew=5.0)
    box = (100.0, 400.0, 200.0, 420.0)
    x0, y0, x1, y1 = unskewed_box(box, raw)
    # Left of the middle, lines that fall to the right stand higher than on the level page.
    assert y0 < box[1] < y1
    assert x0 < x1
    assert unskewed_box(box, page([line(60, 100, WORDS)])) == box
