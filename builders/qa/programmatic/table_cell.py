"""Family table_cell: the cell of a table in a named row and column."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..places import TableFact
from ..tables import named_rows
from .base import Draft, Family, Where, inside
from .proofs import cell_proof


def table_anchor(table: TableFact) -> Where:
    """The anchor of a table."""
    label = table.label if table.name.startswith(table.label) else ""
    return Where(f"in {table.name}", (table.page, table.page + 1), "table", label)


class TableCell(Family):
    """One cell."""

    name = "table_cell"
    config = "extract_single"
    weight = 1.2
    wordings = (
        "{Where}, what is the entry in the column “{column}” for “{row}”?",
        "What does the column “{column}” say for “{row}” {where}?",
        "{Where}, find the row “{row}”. What is its “{column}”?",
        "What is listed under “{column}” in the row “{row}” {where}?",
        "Look up “{row}” {where}: which value stands in the column “{column}”?",
        "{Where}, which entry does “{row}” have under “{column}”?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft for each short cell of a named row."""
        for table in facts.tables:
            if not inside(segment, table.page):
                continue
            for row in named_rows(table):
                cells = table.rows[row]
                for column in range(1, len(cells)):
                    if len(cells[column]) > 60 or not any(c.isalnum() for c in cells[column]):
                        continue
                    slots = {"row": cells[0], "column": table.header[column]}
                    proof = cell_proof(table, row, column)
                    anchors = [table_anchor(table)]
                    yield Draft(slots, cells[column], "String", [table.page], ["Table"], proof, anchors)
