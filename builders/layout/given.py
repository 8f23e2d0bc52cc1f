"""Scanned pages whose blocks an engine gives as a whole: its order and kinds in the place of our rules'."""

from __future__ import annotations

from .furniture import Furniture
from .group import Group, group_lines
from .lines import Line, RawPage, make_lines
from .metrics import Metrics
from .patterns import CAPTION
from .tables import table_rows

LINES = "lines"
"""Kind of a block of text, in which lists and paragraphs are to be told apart."""


def add_given_furniture(pages: list[RawPage], found: list[Furniture]) -> None:
    """Add the headers, footers and page numbers that the engine gives."""
    for page, furniture in zip(pages, found, strict=True):
        middle = 0.5 * page.upright_size[1]
        for block in page.blocks or ():
            below = block.kind == "footer" or (block.kind == "number" and block.box[1] > middle)
            if block.kind in ("header", "footer", "number"):
                (furniture.footers if below else furniture.headers).update(block.orders)


def given_regions(page: RawPage, hidden: set[int]) -> list[list[Line]]:
    """A region for each block, in the engine's order, without lines that were removed or are in ``hidden``."""
    fragments = {f.order: f for f in page.fragments}
    regions = []
    for block in page.blocks or ():
        left = [fragments[order] for order in block.orders if order in fragments and order not in hidden]
        if left:
            regions.append(make_lines(left))
    return regions


def given_groups(page: RawPage, regions: list[list[Line]], metrics: Metrics) -> list[Group]:
    """The groups of each region. A table whose cells are not certain shows its lines."""
    owner = {order: block for block in page.blocks or () for order in block.orders}
    groups = []
    for lines in regions:
        block = owner[lines[0].cells[0].order]
        if block.kind == LINES:
            groups += group_lines(lines, metrics, {})
            continue
        kind = "" if block.kind in ("header", "footer", "number") else block.kind
        groups.append(Group(lines, kind=kind, last=True))
        if kind == "table":
            groups[-1].rows = [list(row) for row in block.rows] or table_rows(lines)
    for group in groups:
        group.scanned = True
        label = CAPTION.match(group.text) if group.kind == "caption" else None
        if label is not None:
            group.label = " ".join(label.group(1).split())
    return groups


def mark_given(groups: list[Group], outlined: bool) -> None:
    """Where the outline tells the headings, others are text, as on pages that hold text."""
    for group in groups:
        if outlined and group.kind == "heading" and not group.level:
            group.kind = "paragraph"
