"""Vector figures for the demo corpus: bars, lines, shares, a cross-section, a map. Sizes are in points."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String, Wedge
from reportlab.lib.colors import HexColor

PALETTE = ("#2f6690", "#d17a22", "#4b8f5a", "#8c4a6b", "#7a7a7a", "#c2a83e")
INK = HexColor("#333333")


def _ceiling(value: float) -> float:
    """The least round number that is not below ``value``: 1, 2, 2.5 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)


def _axes(drawing: Any, width: float, height: float, top: float, unit: str, font: str) -> tuple[float, float, float]:
    """Draw the frame of a chart. Returns its left edge, its bottom and points per unit of the value axis."""
    left, bottom = 44.0, 30.0
    scale = (height - bottom - 20) / top
    for step in range(5):
        value = top * step / 4
        y = bottom + value * scale
        drawing.add(Line(left, y, width - 6, y, strokeColor=HexColor("#d5d5d5"), strokeWidth=0.5))
        text = f"{value:,.0f}" if top % 4 == 0 or top >= 100 else f"{value:.1f}"
        drawing.add(String(left - 5, y - 3, text, textAnchor="end", fontSize=7.5, fontName=font, fillColor=INK))
    drawing.add(Line(left, bottom, left, height - 18, strokeColor=INK, strokeWidth=0.8))
    drawing.add(Line(left, bottom, width - 6, bottom, strokeColor=INK, strokeWidth=0.8))
    drawing.add(String(left - 38, height - 10, unit, fontSize=8, fontName=font, fillColor=INK))
    return left, bottom, scale


def bars(
    labels: Sequence[str], values: Sequence[float], unit: str, width: float = 400, height: float = 190,
    font: str = "Helvetica",
) -> Any:  # fmt: skip
    """Vertical bars with their values on top."""
    drawing = Drawing(width, height)
    left, bottom, scale = _axes(drawing, width, height, _ceiling(max(values) * 1.06), unit, font)
    slot = (width - 6 - left) / len(values)
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        x = left + slot * (i + 0.18)
        drawing.add(Rect(x, bottom, slot * 0.64, value * scale, fillColor=HexColor(PALETTE[0]), strokeColor=None))
        text = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
        middle = x + slot * 0.32
        size = 7.5 if slot > 26 else 6
        drawing.add(String(middle, bottom + value * scale + 2, text, textAnchor="middle", fontSize=size, fontName=font))
        drawing.add(String(middle, bottom - 11, label, textAnchor="middle", fontSize=size, fontName=font))
    return drawing


def lines(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str, width: float = 400, height: float = 200,
    font: str = "Helvetica",
) -> Any:  # fmt: skip
    """Lines over a common axis, with a legend."""
    drawing = Drawing(width, height)
    top = _ceiling(max(max(values) for values in series.values()) * 1.12)
    left, bottom, scale = _axes(drawing, width, height, top, unit, font)
    step = (width - 20 - left) / max(len(labels) - 1, 1)
    for i, label in enumerate(labels):
        text = String(left + 4 + i * step, bottom - 11, label, textAnchor="middle", fontSize=7.5, fontName=font)
        drawing.add(text)
    legend = left + 40
    for colour, (name, values) in zip(PALETTE, series.items(), strict=False):
        points = [xy for i, value in enumerate(values) for xy in (left + 4 + i * step, bottom + value * scale)]
        drawing.add(PolyLine(points, strokeColor=HexColor(colour), strokeWidth=1.5))
        for i in range(0, len(points), 2):
            drawing.add(Circle(points[i], points[i + 1], 1.8, fillColor=HexColor(colour), strokeColor=None))
        drawing.add(Rect(legend, height - 11, 9, 5, fillColor=HexColor(colour), strokeColor=None))
        drawing.add(String(legend + 13, height - 11.5, name, fontSize=8, fontName=font))
        legend += 26 + 4.6 * len(name)
    return drawing


def shares(parts: Mapping[str, float], width: float = 360, height: float = 150, font: str = "Helvetica") -> Any:
    """A pie with a legend that gives each part's percentage."""
    drawing = Drawing(width, height)
    total, angle, radius = sum(parts.values()), 90.0, height / 2 - 8
    for i, (colour, (name, value)) in enumerate(zip(PALETTE, parts.items(), strict=False)):
        sweep = 360 * value / total
        wedge = Wedge(radius + 20, height / 2, radius, angle - sweep, angle, fillColor=HexColor(colour))
        wedge.strokeColor, wedge.strokeWidth = HexColor("#ffffff"), 1
        drawing.add(wedge)
        angle -= sweep
        y = height - 24 - i * 17
        drawing.add(Rect(2 * radius + 52, y, 9, 9, fillColor=HexColor(colour), strokeColor=None))
        text = f"{name}  {100 * value / total:.0f} %"
        drawing.add(String(2 * radius + 67, y + 1, text, fontSize=8.5, fontName=font))
    return drawing


def section(names: Sequence[str], seed: int, width: float = 420, height: float = 170, font: str = "Helvetica") -> Any:
    """A cross-section: ground layers, one name a layer, with depth marks."""
    hand = random.Random(seed)
    drawing = Drawing(width, height)
    fills = ("#cfe3f1", "#e8dcc0", "#d3bd8e", "#b79c6d", "#8f7a5a", "#6f6250")
    left, right, top = 40.0, width - 8, height - 12
    edges = [[top] * 13]
    for i in range(len(names)):
        base = top - (top - 10) * (i + 1) / len(names)
        edges.append([base + hand.uniform(-7, 7) if i < len(names) - 1 else 10.0 for _ in range(13)])
    step = (right - left) / 12
    for upper, lower, fill in zip(edges, edges[1:], fills, strict=False):
        points = [xy for i, y in enumerate(upper) for xy in (left + i * step, y)]
        points += [xy for i in range(12, -1, -1) for xy in (left + i * step, lower[i])]
        drawing.add(Polygon(points, fillColor=HexColor(fill), strokeColor=INK, strokeWidth=0.4))
    for upper, lower, name in zip(edges, edges[1:], names, strict=False):
        y = (upper[6] + lower[6]) / 2 - 3
        drawing.add(String((left + right) / 2, y, name, textAnchor="middle", fontSize=8.5, fontName=font))
    for i in range(6):
        y = top - (top - 10) * i / 5
        drawing.add(Line(left - 5, y, left, y, strokeColor=INK, strokeWidth=0.6))
        drawing.add(String(left - 8, y - 3, f"{i * 4} m", textAnchor="end", fontSize=7.5, fontName=font))
    return drawing


def sketch_map(
    places: Sequence[str], seed: int, width: float = 400, height: float = 230, font: str = "Helvetica"
) -> Any:
    """A map: an outline, a river, and one dot with its name a place, spread so that names do not collide."""
    hand = random.Random(seed)
    drawing = Drawing(width, height)
    centre_x, centre_y = width / 2, height / 2
    outline = []
    for i in range(28):
        angle = 2 * math.pi * i / 28
        reach = hand.uniform(0.86, 1.0)
        outline += [centre_x + (width / 2 - 6) * reach * math.cos(angle)]
        outline += [centre_y + (height / 2 - 6) * reach * math.sin(angle)]
    drawing.add(Polygon(outline, fillColor=HexColor("#eef3e4"), strokeColor=HexColor("#7d8f69"), strokeWidth=1))
    river = []
    for i in range(15):
        river += [30 + (width - 60) * i / 14, centre_y + 26 * math.sin(i * 0.8) + hand.uniform(-7, 7)]
    drawing.add(PolyLine(river, strokeColor=HexColor("#5b9bc9"), strokeWidth=2.6))
    rows = -(-len(places) // 2)
    for i, place in enumerate(places):
        column, row = divmod(i, rows)
        y = height * 0.2 + (height * 0.62) * row / max(rows - 1, 1) + hand.uniform(-3, 3)
        x = width * (0.24 if column == 0 else 0.56) + hand.uniform(-14, 14)
        drawing.add(Circle(x, y, 3, fillColor=HexColor("#b03a2e"), strokeColor=HexColor("#ffffff"), strokeWidth=0.6))
        drawing.add(String(x + 6, y - 3, place, fontSize=8, fontName=font, fillColor=INK))
    return drawing
