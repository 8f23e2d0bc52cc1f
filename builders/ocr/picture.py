"""Pictures of pages before and after recognition: turned upright, levelled, and the ink of each line measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..layout.text import is_cjk

Grey = npt.NDArray[np.uint8]
"""uint8 (height, width)."""

MAX_SKEW = 5.5
"""Degrees that are looked for on either side."""
MIN_SKEW = 0.15
"""A page that is straighter is left as it is."""
_COARSE, _FINE = 0.25, 0.05
_POINTS = 40_000
_WIDTH = 800
X_HEIGHT, ASCENDER, DESCENDER, CJK_HEIGHT = 0.46, 0.24, 0.21, 0.90
"""Parts of the font size: usual for text faces (small letters; what rises above them; what falls below the line)."""
_LOW = frozenset("acemnorsuvwxzавгжзиклмнопстхчшъыьэюяœæıас·-–—=~+<>:«»")
_DEEP = frozenset("gjpqyрудфцщ,;()[]{}|/@Q$§_çþ")


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of one line: its box, its baseline, the font size in pixels, and stroke width as part of the size."""

    x0: float
    y0: float
    x1: float
    y1: float
    base: float
    size: float
    stroke: float


def grey(picture: npt.NDArray[np.uint8]) -> Grey:
    """Luminance of an RGB picture (ITU-R BT.601)."""
    return np.asarray(Image.fromarray(picture).convert("L"))


def skew(page: Grey) -> float:
    """Degrees by which the lines of an upright page fall to the right (clockwise), 0 where nothing tells.

    The angle at which the rows' sums of ink vary most: Postl's criterion on the sum of squared differences.
    """
    width = page.shape[1]
    factor = max(1, round(width / _WIDTH))
    small = np.asarray(Image.fromarray(page).reduce(factor)) if factor > 1 else page
    paper, ink = np.percentile(small, (90, 1))
    if paper - ink < 40:
        return 0.0
    ys, xs = np.nonzero(small < 0.5 * (paper + ink))
    if len(ys) < 200 or len(ys) > 0.35 * small.size:
        return 0.0
    step = -(-len(ys) // _POINTS)
    ys, xs = ys[::step].astype(np.float64), xs[::step].astype(np.float64) - 0.5 * small.shape[1]

    def sharpness(angle: float) -> float:
        rows = ys - xs * math.tan(math.radians(angle))
        counts = np.bincount((rows - rows.min()).astype(np.int64)).astype(np.float64)
        return float(np.square(np.diff(counts)).sum())

    coarse = [_COARSE * i for i in range(-round(MAX_SKEW / _COARSE), round(MAX_SKEW / _COARSE) + 1)]
    best = max(coarse, key=lambda angle: (sharpness(angle), -abs(angle)))
    fine = [best + _FINE * i for i in range(-5, 6)]
    best = max(fine, key=lambda angle: (sharpness(angle), -abs(angle)))
    if abs(best) < MIN_SKEW or sharpness(best) < 1.15 * sharpness(0.0):
        return 0.0
    return round(best, 2)


def levelled(picture: npt.NDArray[np.uint8], degrees: float) -> npt.NDArray[np.uint8]:
    """The picture turned about its middle so that lines which fell by ``degrees`` are level; same size."""
    if not degrees:
        return picture
    paper = tuple(int(v) for v in np.percentile(picture.reshape(-1, 3)[::97], 90, axis=0))
    turned = Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=paper)
    return np.asarray(turned)


def measure(page: Grey, box: tuple[float, float, float, float], text: str) -> Ink:
    """The ink inside the box of a line that reads ``text``; the box itself where there is no contrast."""
    height, width = page.shape
    x0, y0 = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    x1, y1 = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    crop = page[y0:y1, x0:x1]
    rough = _without_ink(box, text)
    if crop.shape[0] < 4 or crop.shape[1] < 2:
        return rough
    high, low = np.percentile(crop, (95, 2))
    if high - low < 30:
        return rough
    ink = crop < 0.5 * (high + low)
    if ink.mean() > 0.5:
        ink = ~ink
    rows = ink.sum(axis=1)
    columns = np.nonzero(ink.any(axis=0))[0]
    starts = int(ink[:, 0].sum()) + int((ink[:, 1:] & ~ink[:, :-1]).sum())
    top, bottom = _extent(rows)
    above, below = _reach(text)
    if _is_cjk_line(text):
        size = (bottom - top) / (above + below)
        base = bottom - below * size
    elif not below:
        base = float(bottom)
        size = (base - top) / above
    else:
        # Most letters end on the baseline: ink drops there more than anywhere else, whatever hangs below it.
        middle = (top + bottom) // 2
        padded = np.append(rows, 0)
        drops = padded[middle:bottom] - padded[middle + 1 : bottom + 1]
        base = float(middle + int(np.argmax(drops)) + 1)
        size = (base - top) / above
    if not 0.6 * rough.size < size < 1.6 * rough.size:
        return rough  # the ink is a smudge or a rule, not the letters
    stroke = float(ink.sum()) / max(1, starts) / size
    x0 += int(columns[0])
    return Ink(x0, y0 + top, x0 + int(columns[-1] - columns[0]) + 1, y0 + bottom, y0 + base, size, stroke)


def _extent(rows: npt.NDArray[np.int64]) -> tuple[int, int]:
    """First row and last + 1 of a line's ink; a speck, or a trace of the neighbouring line, is none."""
    filled = rows >= max(1, 0.012 * rows.max())
    peak = int(np.argmax(rows))
    top, bottom = peak, peak + 1
    # One empty row is allowed for: the dots of i and j, accents.
    while top > 0 and (filled[top - 1] or (top > 1 and filled[top - 2])):
        top -= 1
    while bottom < len(rows) and (filled[bottom] or (bottom + 1 < len(rows) and filled[bottom + 1])):
        bottom += 1
    return top, bottom


def _without_ink(box: tuple[float, float, float, float], text: str) -> Ink:
    above, below = _reach(text)
    size = 0.8 * (box[3] - box[1]) / (above + below)
    return Ink(*box, box[3] - 0.1 * (box[3] - box[1]) - below * size, size, 0.0)


def _is_cjk_line(text: str) -> bool:
    return 3 * sum(map(is_cjk, text)) > len(text)


def _reach(text: str) -> tuple[float, float]:
    """How far the ink of a text reaches above and below its baseline, in font sizes."""
    if _is_cjk_line(text):
        return CJK_HEIGHT - 0.12, 0.12
    letters = [c for c in text if not c.isspace()]
    above = X_HEIGHT if all(c in _LOW or c in "gpqyр,;_" for c in letters) else X_HEIGHT + ASCENDER
    return above, DESCENDER if any(c in _DEEP for c in letters) else 0.0
