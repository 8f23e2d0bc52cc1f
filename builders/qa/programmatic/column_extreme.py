"""Family column_extreme: which row of a table has the highest or lowest value of a column."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..tables import number_columns
from .base import Draft, Family, inside
from .proofs import column_proof
from .table_cell import table_anchor


class ColumnExtreme(Family):
    """The row key at a column's maximum or minimum, if only one row has it."""

    name = "column_extreme"
    config = "reasoning"
    wordings = (
        "{Where}, which “{first}” has the {extreme} value in the column “{column}”?",
        "Which entry of the column “{first}” has the {extreme} “{column}” {where}?",
        "Compare the rows {where}: for which “{first}” is “{column}” {extreme}?",
        "{Where}, look at the column “{column}”. Which “{first}” belongs to the {extreme} number?",
        "Find the {extreme} value of “{column}” {where}. In which row (“{first}”) does it stand?",
        "For which “{first}” does the column “{column}” {where} show its {extreme} value?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Maximum and minimum of each column of numbers."""
        for table in facts.tables:
            if not inside(segment, table.page):
                continue
            for column in number_columns(table, facts.english):
                for operation, extreme, best in (
                    ("column_argmax", "highest", max(column.values)),
                    ("column_argmin", "lowest", min(column.values)),
                ):
                    if column.values.count(best) != 1:
                        continue
                    answer = column.keys[column.values.index(best)]
                    slots = {"first": table.header[0], "column": column.name, "extreme": extreme}
                    proof = column_proof(operation, column)
                    anchors = [table_anchor(table)]
                    yield Draft(slots, answer, "String", [table.page], ["Table"], proof, anchors)
