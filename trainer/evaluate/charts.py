"""Charts as inline SVG: scores by length, differences with their intervals; and the colours of a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markupsafe import Markup

from .items import length_name

COLOURS = 8
"""Colours of lines, as the page's style defines them (``--c0`` ...); further lines are dashed."""
WIDTH, HEIGHT = 760, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 50
BAR_WIDTH, BAR_HEIGHT = 200, 16

Point = Mapping[str, Any]
"""``score``, and perhaps ``low``, ``high`` (percentages) and ``n``."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: a point, or none, for each label of the axis. ``main``: thick, with its intervals."""

    name: str
    colour: str
    points: Sequence[Point | None]
    main: bool = False
    dashed: bool = False


def heat(score: float) -> str:
    """A background for a score from 0 (orange) over 50 (cream) to 100 (blue-green): light enough for dark text.

    Told apart by those who see no red or no green as well.
    """
    low, middle, high = (240, 152, 108), (250, 236, 190), (112, 192, 196)
    share = max(0.0, min(1.0, score / 100))
    a, b, t = (low, middle, 2 * share) if share < 0.5 else (middle, high, 2 * share - 1)
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in zip(a, b, strict=True))


def lines_by_length(summary: Mapping[str, Any]) -> list[Line]:
    """A line a task, and one for all together; none where there are fewer than two lengths."""
    cells = summary["cells"]
    lengths = sorted({int(length) for row in cells.values() for length in row})
    if len(lengths) < 2:
        return []
    lines = [
        Line(
            name,
            f"var(--c{number % COLOURS})",
            [row.get(str(length)) for length in lengths],
            dashed=number >= COLOURS,
        )
        for number, (name, row) in enumerate(sorted(cells.items()))
    ]
    whole = {row["name"]: row for row in summary["lengths"]}
    points = [whole.get(length_name(length)) for length in lengths]
    return [*(lines if len(lines) > 1 else []), Line("all tasks", "var(--ink)", points, main=True)]


def lines_of_two(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Two runs by length; none where there are fewer than two lengths."""
    if len(rows) < 2:
        return []
    return [
        Line(side.upper(), f"var(--c{number})", [{"score": row[side], "n": row["n"]} for row in rows], main=True)
        for number, side in enumerate(("a", "b"))
    ]


def line_chart(labels: Sequence[str], lines: Sequence[Line]) -> Markup:
    """Scores from 0 to 100 over lengths."""
    if not lines:
        return Markup("")
    step = (WIDTH - LEFT - RIGHT) / len(labels)
    xs = [LEFT + (number + 0.5) * step for number in range(len(labels))]

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - score / 100)

    parts = [f'<div class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Score by length">']
    for score in (0, 25, 50, 75, 100):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(score):.1f}" y2="{y(score):.1f}"/>')
        parts.append(_text(LEFT - 8, y(score) + 4, str(score), "end"))
    parts += [_text(x, HEIGHT - BOTTOM + 18, label, "middle") for x, label in zip(xs, labels, strict=True)]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "length of the conversation (tokens)", "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<g transform="rotate(-90 14 {middle:.1f})">{_text(14, middle + 4, "score (of 100)", "middle")}</g>')
    for line in lines:
        places = [(x, point) for x, point in zip(xs, line.points, strict=True) if point is not None]
        style = f"stroke:{line.colour};stroke-width:{3 if line.main else 1.5}" + (
            ";stroke-dasharray:5 3" if line.dashed else ""
        )
        if line.main and all("low" in point for _, point in places):
            edge = [f"{x:.1f},{y(point['high']):.1f}" for x, point in places]
            edge += [f"{x:.1f},{y(point['low']):.1f}" for x, point in reversed(places)]
            parts.append(f'<polygon points="{" ".join(edge)}" style="fill:{line.colour};opacity:.12"/>')
        path = " ".join(f"{x:.1f},{y(point['score']):.1f}" for x, point in places)
        parts.append(f'<polyline points="{path}" fill="none" style="{style}"/>')
        for x, point in places:
            words = f"{line.name}: {point['score']:.1f}"
            if "low" in point:
                words += f" ({point['low']:.1f} to {point['high']:.1f})"
            words += f", n = {point['n']:,}" if "n" in point else ""
            size = 4.5 if line.main else 3.2
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y(point["score"]):.1f}" r="{size}" style="fill:{line.colour}">'
                f"<title>{escape(words)}</title></circle>"
            )
    return Markup("".join([*parts, "</svg></div>"]))


def interval_bar(row: Mapping[str, Any], limit: float) -> Markup:
    """A difference with its interval, from ``-limit`` to ``limit`` points; the line in the middle is 0."""

    def x(value: float) -> float:
        return BAR_WIDTH * (0.5 + 0.48 * max(-1.0, min(1.0, value / limit)))

    middle = BAR_HEIGHT / 2
    css = "noise" if row["verdict"] == "noise" else ("better" if row["difference"] > 0 else "worse")
    return Markup(
        f'<svg class="bar {css}" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" role="img" aria-label="interval">'
        f'<line class="grid" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{BAR_HEIGHT}"/>'
        f'<line class="reach" x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{x(row["difference"]):.1f}" cy="{middle}" r="3.5"/></svg>'
    )


def bar_limit(rows: Sequence[Mapping[str, Any]]) -> float:
    """Points at the end of ``interval_bar``: the least of 5, 10, 25, 50, 100 that holds all intervals."""
    largest = max((max(abs(row["low"]), abs(row["high"])) for row in rows), default=0.0)
    return next((limit for limit in (5.0, 10.0, 25.0, 50.0) if largest <= limit), 100.0)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
