"""Scanned pages as ``RawPage``s: what an OCR engine and a layout model gave, in the terms of the text layer."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .furniture import BOTTOM, TOP, Furniture
from .group import Group
from .lines import ASCENT, BOLD, DESCENT, Box, Fragment, GivenBlock, Line, RawPage, restore_box, usual

SAME_SIZE = 0.14
"""Font sizes that differ by less, as measured on ink, are one size."""
BOLD_STROKE = 1.22
"""Strokes this many times as wide as those of the body are bold."""
INSIDE = 0.6
"""A line belongs to a region that covers this part of it."""
MIN_MEASURED = 3
"""Lines with fewer characters are measured too coarsely for a size of their own."""


def scanned_page(number: int, width: float, height: float, record: dict[str, Any]) -> RawPage:
    """The page of one record (see ``ocr.read``); ``set_styles`` then makes the sizes of all pages comparable."""
    page = RawPage(number, width, height, scanned=True, turn=record["turn"], skew=record["skew"])
    page.regions = [(kind, (x0, y0, x1, y1)) for kind, _, x0, y0, x1, y1 in record["regions"]]
    # Edges of a table that a model sees vouch for its rows as printed rules do.
    for kind, (x0, y0, x1, y1) in page.regions:
        if kind == "table":
            page.rules += [(x0, y0, x1, y0), (x0, y1, x1, y1)]
        elif kind == "figure":
            page.images.append(restore_box((x0, y0, x1, y1), page.turn, width, height))
    for order, (x0, y0, x1, y1, base, size, stroke, _, text) in enumerate(record["lines"]):
        text = " ".join(text.split())
        page.fragments.append(Fragment(x0, y0, x1, y1, base, max(size, 1.0), text, 0, str(stroke), 0, order, order))
        page.characters += len(text.replace(" ", ""))
    if "blocks" in record:
        page.blocks = [
            GivenBlock(kind, (x0, y0, x1, y1), list(orders), [list(row) for row in rows])
            for kind, x0, y0, x1, y1, orders, rows in record["blocks"]
        ]
    return page


def set_styles(pages: list[RawPage]) -> None:
    """Give the fragments of all scanned pages of a document sizes and weights that can be compared.

    Sizes measured on ink scatter by a pixel. The body's size takes in all that is within ``SAME_SIZE`` of it, then
    the next larger or smaller size does, and so on.
    """
    fragments = [f for page in pages if page.scanned for f in page.fragments]
    measured = [f for f in fragments if len(f.text) >= MIN_MEASURED]
    if not measured:
        return
    body = _body(measured)
    strokes = [float(f.font) for f in measured if abs(f.size / body - 1) <= SAME_SIZE and float(f.font) > 0]
    usual_stroke = usual(sorted(strokes), 0.0)
    steps = _steps(sorted(f.size for f in measured), body)
    for f in fragments:
        stroke = float(f.font)
        f.style = BOLD if usual_stroke and len(f.text) >= MIN_MEASURED and stroke > BOLD_STROKE * usual_stroke else 0
        f.font = "scan"
        if len(f.text) < MIN_MEASURED or abs(f.size / body - 1) <= SAME_SIZE:
            f.size = body
        else:
            f.size = min(steps, key=lambda step: (abs(step - f.size), step))
        f.y0, f.y1 = f.base - ASCENT * f.size, f.base + DESCENT * f.size


def _body(fragments: list[Fragment]) -> float:
    """The size of most characters: the fullest window of ``SAME_SIZE``, then the median inside it."""
    weights: Counter[float] = Counter()
    for f in fragments:
        weights[round(f.size, 1)] += len(f.text)
    best = max(weights, key=lambda size: (sum(n for s, n in weights.items() if abs(s / size - 1) <= SAME_SIZE), -size))
    inside = sorted(f.size for f in fragments if abs(f.size / best - 1) <= SAME_SIZE for _ in range(len(f.text)))
    return round(inside[len(inside) // 2], 1)


def _steps(sizes: list[float], body: float) -> list[float]:
    """The sizes that a document uses: the body's, then clusters of what is larger and of what is smaller."""
    steps = [body]
    for part in ([s for s in sizes if s > body * (1 + SAME_SIZE)], [s for s in sizes if s < body * (1 - SAME_SIZE)]):
        cluster: list[float] = []
        for size in part:
            if cluster and size > cluster[0] * (1 + 1.3 * SAME_SIZE):
                steps.append(round(usual(cluster, body), 1))
                cluster = []
            cluster.append(size)
        if cluster:
            steps.append(round(usual(cluster, body), 1))
    return steps


def region_of(page: RawPage, box: Box) -> str:
    """The kind of the smallest region that covers a box, or ""."""
    area = max(1e-6, (box[2] - box[0]) * (box[3] - box[1]))
    best, smallest = "", math.inf
    for kind, (x0, y0, x1, y1) in page.regions:
        width, height = min(x1, box[2]) - max(x0, box[0]), min(y1, box[3]) - max(y0, box[1])
        if width > 0 and height > 0 and width * height >= INSIDE * area and (x1 - x0) * (y1 - y0) < smallest:
            best, smallest = kind, (x1 - x0) * (y1 - y0)
    return best


def floats(page: RawPage) -> dict[int, tuple[str, Box]]:
    """``Fragment.order`` -> the figure or table that the fragment stands in; a table rather than a figure."""
    boxes = sorted((kind, box) for kind, box in page.regions if kind in ("figure", "table"))
    found = {}
    for f in page.fragments if boxes else ():
        area = max(1e-6, (f.x1 - f.x0) * (f.y1 - f.y0))
        for kind, box in boxes:
            width, height = min(box[2], f.x1) - max(box[0], f.x0), min(box[3], f.y1) - max(box[1], f.y0)
            if width > 0 and height > 0 and width * height >= INSIDE * area:
                found[f.order] = kind, box
    return found


def add_furniture(pages: list[RawPage], found: list[Furniture]) -> None:
    """Add the headers and footers that the layout model sees in the top and bottom zones of scanned pages.

    Words that come back on every page with another misreading each time escape the rules of repetition.
    """
    for page, furniture in zip(pages, found, strict=True):
        if not page.scanned:
            continue
        height = page.upright_size[1]
        kinds = {f.order: region_of(page, (f.x0, f.y0, f.x1, f.y1)) for f in page.fragments}
        known = furniture.headers | furniture.footers
        headers = {f.order for f in page.fragments if f.base < TOP * height and kinds[f.order] == "header"}
        footers = {f.order for f in page.fragments if f.base > BOTTOM * height and kinds[f.order] == "footer"}
        # Running lines are outermost: what has text of the page beside it, as the top of a column, is none.
        bases = [f.base for f in page.fragments if f.order not in headers | footers | known]
        first, last = min(bases, default=height), max(bases, default=0.0)
        furniture.headers |= {f.order for f in page.fragments if f.order in headers and f.base < first - 0.5 * f.size}
        furniture.footers |= {f.order for f in page.fragments if f.order in footers and f.base > last + 0.5 * f.size}


def titled_lines(page: RawPage, regions: list[list[Line]]) -> set[int]:
    """``id`` of the lines that stand in a region of kind ``title``."""
    if not page.scanned:
        return set()
    return {
        id(line)
        for lines in regions
        for line in lines
        if region_of(page, (line.x0, line.y0, line.x1, line.y1)) == "title"
    }


def looks_titled(group: Group, titled: set[int]) -> bool:
    """Whether all lines of a group stand in regions of kind ``title``."""
    return all(id(line) in titled for line in group.lines)


def unskewed_box(box: Box, page: RawPage) -> Box:
    """A box of the level page (as displayed) where it stands on the skewed one: the box around its turned corners."""
    if not page.skew:
        return box
    angle = math.radians(page.skew)
    cx, cy = 0.5 * page.width, 0.5 * page.height
    xs, ys = [], []
    for x in (box[0], box[2]):
        for y in (box[1], box[3]):
            xs.append(cx + (x - cx) * math.cos(angle) - (y - cy) * math.sin(angle))
            ys.append(cy + (x - cx) * math.sin(angle) + (y - cy) * math.cos(angle))
    return (
        max(0.0, min(xs)),
        max(0.0, min(ys)),
        min(page.width, max(xs)),
        min(page.height, max(ys)),
    )
