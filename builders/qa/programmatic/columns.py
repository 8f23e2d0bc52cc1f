"""Families column_sum, column_mean, column_count and cell_difference: computing with one column of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..tables import Column, number_columns
from .base import Draft, Family, inside, number_answer
from .proofs import cell_proof, column_proof, combined
from .table_cell import table_anchor

_NO_TOTAL = ("%", "°", "°C", "°F")


def columns_of(facts: FactIndex, segment: Segment) -> Iterator[Column]:
    """Columns of numbers of all tables in the segment."""
    for table in facts.tables:
        if inside(segment, table.page):
            yield from number_columns(table, facts.english)


_NO_SUM = re.compile(
    r"%|percent|rate|ratio|accura|precision|recall|score|auc\b|f1|average|mean\b|speed|density|temperature|age\b|rank|year"
    r"|index|率|度|分数|prozent|anteil|moyenne|taux",
    re.IGNORECASE,
)
"""Names of columns whose values may be compared, not added."""


def _adds_up(column: Column) -> bool:
    """Whether a column's values have a total that means something."""
    return column.unit not in _NO_TOTAL and not _NO_SUM.search(column.name) and not _years(column)


def _years(column: Column) -> bool:
    whole = all(value == value.to_integral_value() for value in column.values)
    return whole and all(1800 <= value <= 2100 for value in column.values)


class ColumnSum(Family):
    """The total of a column."""

    name = "column_sum"
    config = "reasoning"
    wordings = (
        "{Where}, what is the sum of all values in the column “{column}”?",
        "Add up the column “{column}” {where}. What is the total?",
        "What do the entries of “{column}” {where} add up to?",
        "{Where}, what is the total of “{column}” over all rows?",
        "Sum the “{column}” values of all rows {where}. What do you get?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each column of 3 to 15 rows that may be added."""
        for column in columns_of(facts, segment):
            if len(column.values) > 15 or not _adds_up(column):
                continue
            answer, answer_format = number_answer(sum(column.values, Decimal(0)))
            proof = column_proof("column_sum", column)
            pages, anchors = [column.table.page], [table_anchor(column.table)]
            yield Draft({"column": column.name}, answer, answer_format, pages, ["Table"], proof, anchors)


class ColumnShare(Family):
    """The share of one row in a column's total, in percent with one decimal."""

    name = "column_share"
    config = "reasoning"
    weight = 1.3
    wordings = (
        "{Where}, what percentage of the total of “{column}” does “{row}” make up? Round to one decimal.",
        "What share of the sum of the column “{column}” {where} falls to “{row}”, in percent with one decimal?",
        "Divide the “{column}” value of “{row}” {where} by the column's total. Give the percentage to one decimal.",
        "{Where}, how many percent of all “{column}” belong to “{row}”? Round to one decimal place.",
        "Add up “{column}” {where}. What percentage of that sum is the value of “{row}”, to one decimal?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a row of a column of 3 to 12 rows that may be added."""
        for column in columns_of(facts, segment):
            if len(column.values) > 12 or not _adds_up(column) or min(column.values) <= 0:
                continue
            total = sum(column.values, Decimal(0))
            for index, value in enumerate(column.values):
                share = (100 * value / total).quantize(Decimal("0.1"), ROUND_HALF_UP)
                slots = {"column": column.name, "row": column.keys[index]}
                proof = column_proof("column_share", column) | {"index": index}
                pages, anchors = [column.table.page], [table_anchor(column.table)]
                yield Draft(slots, float(share), "Float", pages, ["Table"], proof, anchors)


class ColumnMean(Family):
    """The mean of a column, where it is a short decimal."""

    name = "column_mean"
    config = "reasoning"
    wordings = (
        "{Where}, what is the average of the column “{column}”?",
        "What is the mean of all “{column}” values {where}?",
        "Compute the arithmetic mean of the column “{column}” {where}.",
        "{Where}, what is “{column}” on average over all rows?",
        "Average the entries of “{column}” {where}. What is the result?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each column whose mean has at most three decimals."""
        for column in columns_of(facts, segment):
            mean = sum(column.values, Decimal(0)) / len(column.values)
            if len(column.values) > 15 or _years(column) or mean != round(mean, 3):
                continue
            answer, answer_format = number_answer(mean)
            proof = column_proof("column_mean", column)
            pages, anchors = [column.table.page], [table_anchor(column.table)]
            yield Draft({"column": column.name}, answer, answer_format, pages, ["Table"], proof, anchors)


class ColumnCount(Family):
    """How many rows exceed one of the column's values."""

    name = "column_count"
    config = "reasoning"
    wordings = (
        "{Where}, in how many rows is “{column}” greater than {threshold}?",
        "How many rows {where} have a “{column}” above {threshold}?",
        "Count the entries of the column “{column}” {where} that are greater than {threshold}.",
        "{Where}, how many values of “{column}” exceed {threshold}?",
        "For how many rows does “{column}” exceed {threshold} {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Thresholds: the column's values near its middle."""
        for column in columns_of(facts, segment):
            values = sorted(set(column.values))
            for threshold in values[len(values) // 3 : -1][:2]:
                count = sum(value > threshold for value in column.values)
                slots = {"column": column.name, "threshold": f"{threshold}"}
                proof = column_proof("column_count", column) | {"threshold": str(threshold), "pick": str(threshold)}
                pages, anchors = [column.table.page], [table_anchor(column.table)]
                yield Draft(slots, count, "Integer", pages, ["Table"], proof, anchors)


class CellDifference(Family):
    """The difference of two cells of a column."""

    name = "cell_difference"
    config = "reasoning"
    wordings = (
        "{Where}, by how much do “{a}” and “{b}” differ in the column “{column}”?",
        "What is the absolute difference of “{column}” between the rows “{a}” and “{b}” {where}?",
        "Compare the rows “{a}” and “{b}” {where}: how large is the difference in “{column}”?",
        "{Where}, how far apart are the “{column}” values of “{a}” and “{b}”?",
        "Subtract the smaller from the larger “{column}” of the rows “{a}” and “{b}” {where}. What remains?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbouring rows."""
        for column in columns_of(facts, segment):
            if _years(column):
                continue
            for i, j in pairwise(range(len(column.values))):
                difference = abs(column.values[i] - column.values[j])
                if not difference:
                    continue
                answer, answer_format = number_answer(difference)
                slots = {"a": column.keys[i], "b": column.keys[j], "column": column.name}
                operands = [cell_proof(column.table, row, column.index) for row in (i, j)]
                proof = combined("difference", operands)
                pages, anchors = [column.table.page], [table_anchor(column.table)]
                yield Draft(slots, answer, answer_format, pages, ["Table"], proof, anchors)
