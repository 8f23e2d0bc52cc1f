"""Families cells_of_tables and compare_tables: the same row and column in tables on different pages."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..places import TableFact
from ..tables import named_rows
from ..text import fold, parse_quantity
from .base import Draft, Family, Where, inside, number_answer
from .proofs import cell_proof, combined

Found = tuple[TableFact, int, int]


def _shared(facts: FactIndex, segment: Segment) -> Iterator[tuple[str, str, list[Found]]]:
    """(row key, column, cells): at most four neighbours in tables on different pages that share the key and column."""
    places: dict[tuple[str, str], list[Found]] = {}
    for table in facts.tables:
        if inside(segment, table.page):
            for row in named_rows(table):
                for column in range(1, len(table.header)):
                    cell = table.rows[row][column]
                    if len(cell) <= 60 and any(c.isalnum() for c in cell):
                        key = (fold(table.rows[row][0]), fold(table.header[column]))
                        places.setdefault(key, []).append((table, row, column))
    for _, found in sorted(places.items()):
        table, row, column = found[0]
        for start in range(0, len(found) - 1, 2):
            chosen = found[start : start + 3]
            if len({entry[0].page for entry in chosen}) == len(chosen) > 1:
                yield table.rows[row][0], table.header[column], chosen


class CellsOfTables(Family):
    """The cells as a list."""

    name = "cells_of_tables"
    config = "extract_multi"
    weight = 1.5
    wordings = (
        "What is the entry in the column “{column}” for “{row}” in {tables}? List the entries in this order.",
        "Look up “{row}” under “{column}” in {tables}. Give the entries as a list in this order.",
        "List what stands in the row “{row}” and the column “{column}” of {tables}, in this order.",
        "In {tables}, what does the column “{column}” say for “{row}”? Answer with a list in this order.",
        "Collect the “{column}” entries of “{row}” from {tables}, in this order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a group of cells."""
        for row, column, found in _shared(facts, segment):
            pages = [table.page for table, _, _ in found]
            names = [table.name for table, _, _ in found]
            slots = {"row": row, "column": column, "tables": f"{', '.join(names[:-1])} and {names[-1]}"}
            proof = combined("collect", [cell_proof(*entry) for entry in found])
            answer = [table.rows[r][c] for table, r, c in found]
            anchors = [Where("", (pages[0], pages[-1] + 1))]
            yield Draft(slots, answer, "List", pages, ["Table"], proof, anchors)


class CompareTables(Family):
    """The difference between two tables."""

    name = "compare_tables"
    config = "reasoning"
    weight = 1.5
    wordings = (
        "By how much does “{column}” of “{row}” differ between {a} and {b}?",
        "Compare {a} with {b}: how large is the difference in “{column}” for “{row}”?",
        "What is the absolute difference between the “{column}” values of “{row}” in {a} and in {b}?",
        "Look up “{row}” under “{column}” in {a} and in {b}. How far apart are the two values?",
        "How large is the gap between {a} and {b} in the column “{column}”, row “{row}”?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each pair of different numbers of one unit."""
        for row, column, found in _shared(facts, segment):
            first, second = found[:2]
            a = parse_quantity(first[0].rows[first[1]][first[2]], facts.english)
            b = parse_quantity(second[0].rows[second[1]][second[2]], facts.english)
            if a is None or b is None or a[1] != b[1] or a[0] == b[0]:
                continue
            answer, answer_format = number_answer(abs(a[0] - b[0]))
            slots = {"row": row, "column": column, "a": first[0].name, "b": second[0].name}
            proof = combined("difference", [cell_proof(*first), cell_proof(*second)])
            pages = [first[0].page, second[0].page]
            anchors = [Where("", (pages[0], pages[1] + 1))]
            yield Draft(slots, answer, answer_format, pages, ["Table"], proof, anchors)
