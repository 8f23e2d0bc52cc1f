"""Columns below, above and beside what is no column; line numbers in the margins; accents that stand apart."""

from __future__ import annotations

from pathlib import Path

from mmprolong_builders.layout.lines import FontStyles, read_page
from support.typeset import Placed, column, parsed, typeset

LEFT = {"x": 60.0, "words": 7}
RIGHT = {"x": 320.0, "words": 7}


def lines_of(path: Path) -> list[str]:
    return [line for block in parsed(path).pages[0].blocks for line in block.lines]


def two_columns(top: float) -> tuple[list[Placed], list[Placed]]:
    left = column((10, True, "ABSTRACT"), 1, 2, 3, x=60, words=7, top=top)
    right = column((10, True, "1. INTRODUCTION"), 4, 5, 6, x=320, words=7, top=top)
    return left, right


def texts(placed: list[Placed]) -> list[str]:
    return [text for *_, text in placed]


def test_first_lines_of_columns_below_a_centred_title(tmp_path: Path) -> None:
    title = [
        (150.0, 80.0, 14.0, True, "A title in the middle of the page, above"),
        (200.0, 110.0, 10.0, False, "and its author"),
    ]
    left, right = two_columns(160)
    found = lines_of(typeset(tmp_path / "a.pdf", [title + left + right]))
    assert found == texts(title) + texts(left) + texts(right)


def test_columns_below_a_table_that_shares_their_gutter(tmp_path: Path) -> None:
    table = [(90.0 + 130 * j, 80.0 + 12 * i, 9.0, False, f"0.{i}{j}7") for i in range(12) for j in range(4)]
    left, right = two_columns(260)
    found = lines_of(typeset(tmp_path / "a.pdf", [table + left + right]))
    assert found[-len(left) - len(right) :] == texts(left) + texts(right)


def numbered(page: list[Placed], first: int, size: float, x: float = 25.0) -> list[Placed]:
    bases = sorted({y for _, y, *_ in page})
    return page + [(x, y, size, False, str(first + i)) for i, y in enumerate(bases)]


def test_line_numbers_of_manuscripts_are_left_out(tmp_path: Path) -> None:
    left, right = two_columns(80)
    page = numbered(numbered(left + right, 101, 6), 301, 6, x=570)
    assert lines_of(typeset(tmp_path / "small.pdf", [page])) == texts(left) + texts(right)
    pages = [column(i, i + 1, i + 2) for i in range(4)]
    found = parsed(typeset(tmp_path / "large.pdf", [numbered(p, 1 + 15 * i, 10) for i, p in enumerate(pages)]))
    for page_found, wanted in zip(found.pages, pages, strict=True):
        assert [line for block in page_found.blocks for line in block.lines] == texts(wanted)


def test_the_first_column_of_a_table_is_not_taken_for_line_numbers(tmp_path: Path) -> None:
    rows = [(120.0, 80.0 + 12 * i, 10.0, False, f"a row about pump {i}") for i in range(20)]
    found = " ".join(lines_of(typeset(tmp_path / "a.pdf", [numbered(rows, 1, 10, x=72)])))
    assert all(str(i + 1) in found.split() for i in range(20))


def test_accents_before_their_letters_are_put_on_them() -> None:
    def span(text: str) -> dict[str, object]:
        return {
            "text": text,
            "font": "CMR10",
            "flags": 0,
            "size": 10.0,
            "origin": (0, 50),
            "bbox": (0, 42, 90, 52),
            "alpha": 255,
        }

    def read(text: str) -> str:
        block = {"type": 0, "number": 0, "lines": [{"dir": (1, 0), "spans": [span(text)]}]}
        return read_page(0, {"width": 100, "height": 100, "blocks": [block]}, FontStyles()).fragments[0].text

    assert read("Introducci´on") == "Introducción"
    assert read("t´ıtulo, C¨orper, `a la carte, l`a") == "título, Cörper, `a la carte, là"
    assert read("σˆx ´ 5˚C") == "σˆx ´ 5˚C"
