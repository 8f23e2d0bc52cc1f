"""What holds for every engine: a page that cannot be read costs itself; tesseract's words become runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from mmprolong_builders.ocr.engine import PageFailure, Picture, TextLine, bisected
from mmprolong_builders.ocr.read import similarity
from mmprolong_builders.ocr.tesseract import _lines


def test_a_failed_batch_is_halved_down_to_the_page_to_blame() -> None:
    pages = [np.full((1, 1, 3), i, dtype=np.uint8) for i in range(9)]
    calls = []

    def read(some: Sequence[Picture]) -> list[list[TextLine]]:
        calls.append(len(some))
        if any(page[0, 0, 0] == 5 for page in some):
            raise ValueError("no such page")
        return [[TextLine(0, 0, 1, 1, str(page[0, 0, 0]), 1.0)] for page in some]

    results = bisected(pages, read)
    assert results[5] == PageFailure("ValueError: no such page")
    assert [r[0].text for r in results if not isinstance(r, PageFailure)] == [str(i) for i in range(9) if i != 5]
    assert len(calls) < 9
    assert bisected([], read) == []


def test_running_out_of_memory_is_not_the_fault_of_a_page() -> None:
    def read(some: Sequence[Picture]) -> list[list[TextLine]]:
        raise MemoryError

    with pytest.raises(MemoryError):
        bisected([np.zeros((1, 1, 3), dtype=np.uint8)], read)


def test_words_of_tesseract_become_runs_that_end_at_wide_gaps() -> None:
    head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
    rows = [
        "4\t1\t1\t1\t1\t0\t10\t10\t400\t20\t-1\t",
        "5\t1\t1\t1\t1\t1\t10\t10\t50\t20\t90\tTwo",
        "5\t1\t1\t1\t1\t2\t66\t12\t60\t20\t80\tcells",
        "5\t1\t1\t1\t1\t3\t300\t10\t50\t20\t70\tfar",
        "5\t1\t1\t1\t2\t1\t10\t50\t50\t20\t60\tbelow",
        "5\t1\t1\t1\t2\t2\t70\t50\t50\t20\t60\t ",
    ]
    lines = _lines(head + "\n".join(rows))
    assert [(line.text, round(line.score, 2)) for line in lines] == [("Two cells", 0.85), ("far", 0.7), ("below", 0.6)]
    assert (lines[0].x0, lines[0].y0, lines[0].x1, lines[0].y1) == (10, 10, 126, 32)


def test_similarity_ignores_the_order_of_lines_and_punctuation() -> None:
    text = "The gauge near Elmstead\nwas replaced in 1994."
    assert similarity(text, "was replaced in 1994\nThe gauge near Elmstead") == 1.0
    assert similarity(text, "The gauge near Elmstead was repIaced in 1994.") > 0.85
    assert similarity(text, "Something else altogether stands here") < 0.3
    assert similarity("", "") == 1.0
    assert similarity(text, "") == 0.0
