"""Charts as inline SVG: score by length with intervals; and the colours of a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from .items import length_name

COLOURS = ("#3355b8", "#e07b39", "#2f8f6b", "#a23e8c", "#8a6d1f", "#4a90a4", "#b03a48", "#5b6472")
WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 34


def heat(score: float) -> str:
    """A background for a score from 0 (red) over 50 (yellow) to 100 (green): light enough for dark text."""
    low, middle, high = (242, 160, 150), (250, 232, 165), (148, 210, 160)
    share = max(0.0, min(1.0, score / 100))
    a, b, t = (low, middle, 2 * share) if share < 0.5 else (middle, high, 2 * share - 1)
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in zip(a, b, strict=True))


def lines_by_length(cells: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Markup:
    """Score against length, a line a task, intervals as bars; "" where there are fewer than two lengths."""
    lengths = sorted({int(length) for row in cells.values() for length in row})
    if len(lengths) < 2:
        return Markup("")
    step = (WIDTH - LEFT - RIGHT) / (len(lengths) - 1 + 0.6)
    x = {length: LEFT + 0.3 * step + step * n for n, length in enumerate(lengths)}

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - score / 100)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Score by length" xmlns="http://www.w3.org/2000/svg">'
    ]
    for score in (0, 25, 50, 75, 100):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(score):.1f}" y2="{y(score):.1f}" stroke="#dfe3e8"/>'
        )
        parts.append(_text(LEFT - 8, y(score) + 4, str(score), "end"))
    parts += [_text(x[length], HEIGHT - 12, length_name(length), "middle") for length in lengths]
    for number, (_, row) in enumerate(sorted(cells.items())):
        colour = COLOURS[number % len(COLOURS)]
        shift = (number - (len(cells) - 1) / 2) * min(7.0, 0.5 * step / max(1, len(cells)))
        points = [(x[int(length)] + shift, row[length]) for length in sorted(row, key=int)]
        path = " ".join(f"{px:.1f},{y(cell['score']):.1f}" for px, cell in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for px, cell in points:
            low, high = y(cell["low"]), y(cell["high"])
            parts.append(
                f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" opacity=".55"/>'
            )
            parts.append(f'<circle cx="{px:.1f}" cy="{y(cell["score"]):.1f}" r="3.5" fill="{colour}"/>')
    return Markup("".join([*parts, "</svg>"]))


def legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, colour) of each line, as ``lines_by_length`` draws them."""
    return [(name, COLOURS[number % len(COLOURS)]) for number, name in enumerate(sorted(names))]


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" fill="#5b6472">{words}</text>'
