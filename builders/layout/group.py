"""Lines of a region to groups: runs of lines that will be one block."""

from __future__ import annotations

from dataclasses import dataclass, field

from .lines import MATH, Box, Line, usual
from .metrics import Metrics
from .patterns import BULLET, CAPTION, DOTTED, FOOTNOTE, ITEM_NUMBER

_MARGIN = 3.0
"""Points by which edges may differ and still be aligned."""


@dataclass(slots=True)
class Group:
    """Lines that belong together, and what is known about them.

    ``kind`` is empty until a rule decides. ``gap`` is the distance from the line above in its region, in usual line
    pitches (large at a region's start). ``last`` says that nothing of its region follows. ``titled``: a layout model
    takes it for a title or heading. ``scanned``: it comes from OCR.
    """

    lines: list[Line]
    kind: str = ""
    role: str = "body"
    gap: float = 9.0
    last: bool = False
    level: int = 0
    label: str = ""
    source: str = "text"
    rows: list[list[str]] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    titled: bool = False
    scanned: bool = False

    @property
    def text(self) -> str:
        """Its lines joined by spaces, as they stand."""
        return " ".join(line.text for line in self.lines) if len(self.lines) > 1 else self.lines[0].text

    @property
    def size(self) -> float:
        """Font size of its first line."""
        return self.lines[0].size

    @property
    def box(self) -> Box:
        """Bounding box."""
        lines = self.lines
        return (
            min(line.x0 for line in lines),
            min(line.y0 for line in lines),
            max(line.x1 for line in lines),
            max(line.y1 for line in lines),
        )

    @property
    def bold(self) -> bool:
        """Whether all its lines are bold."""
        return all(line.bold for line in self.lines)

    @property
    def mono(self) -> bool:
        """Whether all its lines are monospaced."""
        return all(line.mono for line in self.lines)

    @property
    def math(self) -> bool:
        """Whether most of it is set in mathematical fonts."""
        return 2.5 * sum(line.math for line in self.lines) > sum(len(line.text) for line in self.lines)


def group_lines(lines: list[Line], metrics: Metrics, fixed: dict[int, int]) -> list[Group]:
    """Split the lines of a region where the distance, the style or the indentation says that a block begins.

    Args:
        lines: From top to bottom.
        metrics: Of the document.
        fixed: ``id`` of lines known to be headings -> a number; only lines with one number share a group.
    """
    if not lines:
        return []
    left = _left_edge(lines)
    right = max(line.x1 for line in lines)
    groups: list[Group] = []
    current: Group | None = None
    item_at: float | None = None
    for i, line in enumerate(lines):
        before = lines[i - 1] if i else None
        starts_item = _is_item(line)
        if before is None or current is None:
            groups.append(current := Group([line]))
            item_at = line.x0 if starts_item else None
            continue
        pitch = metrics.pitch_of(max(line.size, before.size))
        gap = (line.base - before.base) / pitch
        following = lines[i + 1] if i + 1 < len(lines) else None
        number = fixed.get(id(line))
        other = number != fixed.get(id(before))
        if number and not other:
            new = False
        elif gap > 1.28 or gap < 0.3 or other or starts_item or _style_changes(before, line):
            new = True
        elif line.bold and before.bold and not metrics.bold and DOTTED.match(line.text):
            new = True  # a heading right below another one
        elif item_at is not None:
            new = line.x0 < item_at - _MARGIN
        else:
            new = _indented(before, line, following, left, right) or _label_starts(line, metrics)
        if new:
            groups.append(current := Group([line], gap=gap))
            item_at = line.x0 if starts_item else None
        else:
            current.lines.append(line)
    groups[-1].last = True
    return groups


def _left_edge(lines: list[Line]) -> float:
    """The x at which most lines start."""
    counts: dict[int, int] = {}
    for line in lines:
        key = round(line.x0 / _MARGIN)
        counts[key] = counts.get(key, 0) + 1
    best = max(counts, key=lambda k: (counts[k], -k))
    return usual([line.x0 for line in lines if round(line.x0 / _MARGIN) == best], 0.0)


def _is_item(line: Line) -> bool:
    return bool(BULLET.match(line.text) or ITEM_NUMBER.match(line.text))


def _style_changes(before: Line, line: Line) -> bool:
    if abs(before.size - line.size) > 0.07 * max(before.size, line.size):
        # A line of small fragments (formulas, superscripts) inside a paragraph is not a change of style.
        return not any(4 * part.math >= len(part.text) for part in (before, line))
    return (before.bold != line.bold and not (before.style | line.style) & MATH) or (
        before.mono != line.mono and len(before.text) > 3 and len(line.text) > 3
    )


def _indented(before: Line, line: Line, following: Line | None, left: float, right: float) -> bool:
    """Whether a line begins a paragraph by its indentation."""
    size = line.size
    if line.x0 > before.x0 + 0.8 * size and abs(before.x0 - left) < _MARGIN:
        ends = before.x1 < right - 2.0 * size or before.text[-1] in ".:!?。：！？)”»"
        return ends and (following is None or following.x0 < line.x0 - 0.5 * size or following.x0 > line.x0 + 8 * size)
    short = before.x1 < right - 6.0 * size
    return short and before.text[-1] in ".:!?。！？" and abs(line.x0 - before.x0) < _MARGIN and line.text[0].isupper()


def _label_starts(line: Line, metrics: Metrics) -> bool:
    match = CAPTION.match(line.text)
    if match is not None and match.group(2).strip() and match.group(1)[0].isupper():
        return True
    return line.size < 0.92 * metrics.size and bool(FOOTNOTE.match(line.text)) and not line.text[0].isalpha()
