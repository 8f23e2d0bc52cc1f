"""Reading order: an XY-cut that splits a page into columns where text runs down both sides of a free gutter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from .lines import Box, Fragment, usual

MIN_GUTTER = 0.9
"""Least width of a gutter, in font sizes."""
MAX_DEPTH = 6
_LOOK_BACK, _LOOK_BACK_BY_LOOKS = 8, 60
"""Rows at the end of a run without columns that may belong to columns below, where the file tells an order and where
it does not: a figure or a short column at the top leaves the right margin free for long."""
_TRIES, _APART = 4, 1.6
"""So often is a run that holds no columns cut at its widest gap between rows, this many usual gaps wide."""
_UP, _DOWN = 0.7, 0.12
"""Part of a line above and below its baseline that counts when rows are set apart, in font sizes."""

Floating = tuple[str, Box]
"""``figure`` or ``table``, and its box."""
_Row = tuple[int, int, list[tuple[float, float]]]
"""First and last + 1 index of its fragments, and the covered x intervals, sorted and disjoint."""


def reading_order(
    fragments: list[Fragment], ordered: bool = True, floats: Mapping[int, Floating] | None = None
) -> list[list[Fragment]]:
    """Regions of a page in reading order; the fragments of one region form a single column.

    Args:
        fragments: Of one page.
        ordered: Whether ``Fragment.order`` tells something: a PDF's own order does, an OCR engine's does not.
        floats: ``Fragment.order`` -> the figure or table that it stands in, as far as that is known. A scan's labels
            and cells, short as they are, say nothing of the columns that hold it; a table is read across.

    A gutter is accepted where both sides hold lines of text, by two kinds of evidence: the file itself gives one
    side after the other (then little text is enough), or both sides look like set text (long, well filled lines).
    A table fails both: its file order runs row by row, its cells are short.
    """
    return _cut(sorted(fragments, key=lambda f: f.base - _UP * f.size), 0, ordered, floats or {})


def _cut(fragments: list[Fragment], depth: int, ordered: bool, floats: Mapping[int, Floating]) -> list[list[Fragment]]:
    if len(fragments) < 4 or depth >= MAX_DEPTH:
        return [fragments] if fragments else []
    rows = _rows(fragments)
    gutter_width = MIN_GUTTER * usual([f.size for f in fragments], 10.0)
    left = min(f.x0 for f in fragments)
    right = max(f.x1 for f in fragments)
    regions: list[list[Fragment]] = []
    single: list[Fragment] = []
    start = 0
    while start < len(rows):
        end, gutters = _run(rows, start, left, right, gutter_width)
        whole, split = end, None
        for _ in range(_TRIES):
            part = fragments[rows[start][0] : rows[end - 1][1]]
            split = _split(part, gutters, ordered, floats) if gutters and len(part) >= 4 else None
            apart = _widest_gap(rows, fragments, start, end) if gutters and split is None else None
            if apart is None:
                break
            end = apart  # a table above columns, or below them, that shares their gutter
        if split is None:
            # Its last rows may share a narrower gutter with those below, as the first lines of two columns do.
            back = _LOOK_BACK if ordered else _LOOK_BACK_BY_LOOKS
            later = range(max(start + 1, end - back), end) if end == whole else ()
            end = next((r for r in later if _run(rows, r, left, right, gutter_width)[0] > end), end)
            single += fragments[rows[start][0] : rows[end - 1][1]]
        else:
            before, one, two, after = split
            single += before
            if single:
                regions.append(single)
            regions += _cut(one, depth + 1, ordered, floats)
            regions += _cut(two, depth + 1, ordered, floats)
            single = after
        start = end
    if single:
        regions.append(single)
    return regions


def _rows(fragments: list[Fragment]) -> list[_Row]:
    """Groups of fragments between which a horizontal line can be drawn."""
    rows: list[_Row] = []
    first, bottom = 0, fragments[0].base + _DOWN * fragments[0].size
    for i, f in enumerate(fragments):
        if f.base - _UP * f.size > bottom:
            rows.append((first, i, _covered(fragments[first:i])))
            first = i
        bottom = max(bottom, f.base + _DOWN * f.size)
    rows.append((first, len(fragments), _covered(fragments[first:])))
    return rows


def _covered(fragments: list[Fragment]) -> list[tuple[float, float]]:
    if len(fragments) == 1:
        return [(fragments[0].x0, fragments[0].x1)]
    covered: list[tuple[float, float]] = []
    x0 = x1 = 0.0
    for a, b in sorted((f.x0, f.x1) for f in fragments):
        if not covered and x1 == x0:
            x0, x1 = a, b
        elif a <= x1:
            x1 = max(x1, b)
        else:
            covered.append((x0, x1))
            x0, x1 = a, b
    covered.append((x0, x1))
    return covered


def _run(
    rows: list[_Row], start: int, left: float, right: float, width: float
) -> tuple[int, list[tuple[float, float]]]:
    """The longest run of rows from ``start`` that share a gutter: its end and its inner gutters.

    A gutter is dropped from the race when a row covers it; margins take part until a row has text beyond them.
    """
    free = _free(rows[start][2], left, right, width)
    end = start + 1
    while end < len(rows) and free:
        covered = rows[end][2]
        narrowed: list[tuple[float, float]] = []
        for a, b in free:
            for c, d in covered:
                if d <= a or c >= b:
                    continue
                if c - a >= width:
                    narrowed.append((a, c))
                a = max(a, d)
            if b - a >= width:
                narrowed.append((a, b))
        if not narrowed or (_inner(free, left, right) and not _inner(narrowed, left, right)):
            break
        free = narrowed
        end += 1
    return end, _inner(free, left, right)


def _widest_gap(rows: list[_Row], fragments: list[Fragment], start: int, end: int) -> int | None:
    """The row of a run above which most is free; None if rows are evenly spaced."""
    tops = [fragments[row[0]].base for row in rows[start:end]]
    gaps = [below - above for above, below in pairwise(tops)]
    if len(gaps) < 3 or max(gaps) < _APART * usual(gaps, 0.0):
        return None
    return start + 1 + gaps.index(max(gaps))


def _inner(free: list[tuple[float, float]], left: float, right: float) -> list[tuple[float, float]]:
    return [(a, b) for a, b in free if a > left and b < right]


def _free(covered: list[tuple[float, float]], left: float, right: float, width: float) -> list[tuple[float, float]]:
    free = []
    at = left
    for a, b in covered:
        if a - at >= width:
            free.append((at, a))
        at = b
    if right - at >= width:
        free.append((at, right))
    return free


_Split = tuple[list[Fragment], list[Fragment], list[Fragment], list[Fragment]]


def _split(
    part: list[Fragment], gutters: list[tuple[float, float]], ordered: bool, floats: Mapping[int, Floating]
) -> _Split | None:
    """The best accepted split of a run: what stands before, left column, right column, what stands after."""
    best: tuple[float, _Split] | None = None
    for a, b in gutters:
        middle = 0.5 * (a + b)
        if 2 * sum(_across(f, floats, middle) for f in part) > len(part):
            continue
        split = _trim(part, middle) if ordered else _halves(part, middle)
        if split is None:
            continue
        if ordered:
            score = _evidence(split[1], split[2])
        else:
            score = _looks(*(_without(side, floats, middle) for side in split[1:3]))
        if score > 0.0 and (best is None or score > best[0]):
            best = score, split
    return best[1] if best else None


def _trim(part: list[Fragment], middle: float) -> _Split | None:
    """Cut at ``middle``; rows at either end that only one side has, and that the file gives before or after both
    columns, belong to neither (a short last line of the text above, a heading below)."""
    sides = [f.x0 + f.x1 > 2 * middle for f in part]
    if all(sides) or not any(sides):
        return None
    first_right = sides.index(True)
    first_left = sides.index(False)
    lead = max(first_right, first_left)
    last_right = len(sides) - 1 - sides[::-1].index(True)
    last_left = len(sides) - 1 - sides[::-1].index(False)
    tail = min(last_right, last_left) + 1
    if lead >= tail:
        lead, tail = 0, len(part)
    core = part[lead:tail]
    low, high = min(f.order for f in core), max(f.order for f in core)
    before = [f for f in part[:lead] if f.order < low and _apart(f, core)]
    after = [f for f in part[tail:] if f.order > high]
    if first_left == 0 and before and before[-1].base + 2.0 * before[-1].size > core[0].base:
        before = []
    skip = {f.order for f in before} | {f.order for f in after}
    kept = [(f, side) for f, side in zip(part, sides, strict=True) if f.order not in skip]
    return before, [f for f, side in kept if not side], [f for f, side in kept if side], after


def _halves(part: list[Fragment], middle: float) -> _Split | None:
    """Cut at ``middle``, all of it."""
    one = [f for f in part if f.x0 + f.x1 <= 2 * middle]
    two = [f for f in part if f.x0 + f.x1 > 2 * middle]
    return ([], one, two, []) if one and two else None


def _without(side: list[Fragment], floats: Mapping[int, Floating], middle: float) -> list[Fragment]:
    """The fragments of a side that stand in no figure or table; one that reaches over the middle is text like any."""
    return [f for f in side if f.order not in floats or floats[f.order][1][0] < middle < floats[f.order][1][2]]


def _across(fragment: Fragment, floats: Mapping[int, Floating], middle: float) -> bool:
    """Whether a fragment stands in a table that reaches over the middle."""
    kind, (x0, _, x1, _) = floats.get(fragment.order, ("", (0.0, 0.0, 0.0, 0.0)))
    return kind == "table" and x0 < middle < x1


def _looks(one: list[Fragment], two: list[Fragment]) -> float:
    """How surely two sides are columns by their looks alone: several filled lines of some length on both."""
    lines = min(_baselines(one), _baselines(two))
    if lines < 3:
        return 0.0
    mean = min(sum(len(f.text) for f in side) / len(side) for side in (one, two))
    wide = min(sum(f.x1 - f.x0 for f in side) / sum(f.size for f in side) for side in (one, two))
    fill = min(_filled(one), _filled(two))
    # CJK lines hold fewer characters: their length in font sizes says the same. A side may hold more columns itself.
    if (fill >= 0.5 or (fill >= 0.28 and lines >= 6)) and (mean >= 14 or wide >= 9.0):
        return lines * fill
    return 0.0


def _filled(side: list[Fragment]) -> float:
    """As ``_fill``, but the median of the characters: a few short headings and labels do not make a column a table."""
    width = max(f.x1 for f in side) - min(f.x0 for f in side)
    return usual([f.x1 - f.x0 for f in side for _ in f.text], 0.0) / width if width > 0 else 0.0


def _apart(fragment: Fragment, core: list[Fragment]) -> bool:
    return all(fragment.group != f.group for f in core)


def _evidence(one: list[Fragment], two: list[Fragment]) -> float:
    """How surely two sides are columns; 0 if they are not."""
    lines = min(_baselines(one), _baselines(two))
    if lines < 2:
        return 0.0
    letters = [sum(len(f.text) for f in side) for side in (one, two)]
    mean = [count / len(side) for count, side in zip(letters, (one, two), strict=True)]
    fill = [_fill(side) for side in (one, two)]
    ordered = sorted([(f.order, 0) for f in one] + [(f.order, 1) for f in two])
    changes = sum(1 for a, b in pairwise(ordered) if a[1] != b[1])
    texty = min(mean) >= 12 and min(fill) >= 0.5
    if changes == 1 and (min(mean) >= 8 or (texty and lines >= 3)):
        return lines * (1.0 + min(fill))
    if changes <= max(2, lines // 6) and lines >= 4 and min(mean) >= 12 and min(fill) >= 0.4:
        return 0.7 * lines * min(fill)
    if lines >= 6 and min(mean) >= 24 and min(fill) >= 0.7:
        return 0.5 * lines * min(fill)
    return 0.0


def _baselines(side: list[Fragment]) -> int:
    return len({round(f.base / max(f.size, 1.0)) for f in side})


def _fill(side: list[Fragment]) -> float:
    """Median length of the fragments, as a part of their column's width."""
    width = max(f.x1 for f in side) - min(f.x0 for f in side)
    return usual([f.x1 - f.x0 for f in side], 0.0) / width if width > 0 else 0.0
