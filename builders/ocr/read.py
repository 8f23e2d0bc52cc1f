"""What an OCR child does with pictures of pages: upright, level, recognized, measured, in points of the page.

A page's record is a plain dict, as it is cached and as ``layout.scanned`` takes it up:

* ``turn``: how the page lies, as in ``layout.lines.RawPage``; ``skew``: degrees by which its lines fell;
* ``lines``: ``[x0, y0, x1, y1, baseline, size, stroke, score, text]``, lengths in points of the upright, level page;
* ``regions``: ``[kind, score, x0, y0, x1, y1]`` of the layout model;
* ``engine`` and ``doubt``, where another engine than that of the settings read the page: which, and why;
* ``blocks``, of engines that read whole pages: ``[kind, x0, y0, x1, y1, [indices of its lines], rows of cells]`` in
  reading order, kinds as in ``results.KINDS``; ``regions`` then holds their figures alone;
* or ``error`` alone, where the page could not be read.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import simplejpeg

from mmprolong_data.settings import from_plain, to_plain

from ..layout.given import LINES
from ..recipe import Ocr
from ..untrusted import clean_detail
from . import picture
from .engine import PageBlocks, PageFailure, Picture, TextLine, shared_engine
from .models import Layout, Orientation
from .results import font_size

TURNS = (0, 1, 2, 3)
"""Counter-clockwise quarter turns -> ``RawPage.turn``."""
ALPHABET = 0.9
"""A page is comparable if this part of its letters is in the recogniser's alphabet."""
ALPHABETS = ("paddleocr", "ppstructure")
"""Engines that read lines with the recogniser that ``ocr.model`` names, which writes its own letters only."""
LEAST_SIDE = 32
MIN_SCORE = 0.5
"""Lines that the recogniser is less sure of are noise far more often than text."""
MIN_OTHER = 0.75
"""Least mean score of a page by tesseract, where PaddleOCR knows not its script; other scripts score about 0.4."""
FEW_CHARACTERS = 40
"""On a page with fewer, certainty says little: a figure's labels, a stamp."""


def read_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Read pages.

    Args:
        payload: ``{"settings": recipe.Ocr as a dict, "pages": [JPEG bytes], "sizes": [[width, height] in points]}``.

    Returns:
        ``{"pages": [record]}``, see the module.

    Raises:
        MMProLongError: The engine cannot be opened, whatever the pages.
    """
    settings = from_plain(Ocr, payload["settings"])
    engine = shared_engine(payload["settings"])
    prepared: list[tuple[Picture, int, float] | str] = []
    for data in payload["pages"]:
        try:
            prepared.append(_prepare(simplejpeg.decode_jpeg(data, colorspace="RGB"), settings))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - one page must not take the others along
            prepared.append(clean_detail(error))
    good = [page for page in prepared if not isinstance(page, str)]
    results = iter(engine.recognize([page for page, _, _ in good]))
    records = []
    for entry, size in zip(prepared, payload["sizes"], strict=True):
        if isinstance(entry, str):
            records.append({"error": entry})
            continue
        found = next(results)
        lines = _lines_of(found)
        doubt = found.detail if isinstance(found, PageFailure) else _doubt(lines, settings)
        instead = _other_script(entry[0], settings) if doubt and settings.other_scripts else None
        if instead is not None:
            found = lines = instead
        if isinstance(found, PageFailure) or (doubt and instead is None):
            records.append({"error": doubt})
            continue
        if isinstance(found, PageBlocks):
            records.append(_block_record(entry, found, size))
        else:
            records.append(_record(entry, [line for line in lines if line.score >= MIN_SCORE], size, settings))
        if instead is not None:
            records[-1]["engine"] = f"tesseract {settings.other_scripts}"
            records[-1]["doubt"] = doubt
    return {"pages": records}


def compare_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Read pages and say how much each resembles a text.

    Args:
        payload: ``{"settings", "pages": [JPEG bytes], "texts": [text layer of the page], "pictures": [boxes, as parts
            of the page's width and height, in which text is none of the text layer's]}``.

    Returns:
        ``{"similarities": [0 to 1, or None where the engine does not know the script or failed]}``.
    """
    settings = from_plain(Ocr, payload["settings"])
    similarities: list[float | None] = []
    for data, text, boxes in zip(payload["pages"], payload["texts"], payload["pictures"], strict=True):
        if not _knows(text, settings):
            similarities.append(None)
            continue
        lines = check_lines(simplejpeg.decode_jpeg(data, colorspace="RGB"), settings, boxes)
        similarities.append(None if isinstance(lines, PageFailure) else likeness(text, lines, settings))
    return {"similarities": similarities}


def check_lines(page: Picture, settings: Ocr, pictures: Sequence[Sequence[float]] = ()) -> list[str] | PageFailure:
    """The lines that an engine reads on a page, for a check of its text layer, but those in ``pictures``."""
    upright, turns, _ = _prepare(page, settings)
    lines = shared_engine(to_plain(settings)).recognize([upright])[0]
    if isinstance(lines, PageFailure):
        return lines
    height, width = upright.shape[:2]

    def pictured(line: TextLine) -> bool:
        x, y = 0.5 * (line.x0 + line.x1) / width, 0.5 * (line.y0 + line.y1) / height
        return not turns and any(x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in pictures)

    return [line.text for line in _lines_of(lines) if not pictured(line)]


def likeness(text: str, lines: Sequence[str], settings: Ocr) -> float | None:
    """How much a text layer resembles what was read (0 to 1); None for a script that the engine does not know."""
    return round(similarity(text, "\n".join(lines)), 4) if _knows(text, settings) else None


def _knows(text: str, settings: Ocr) -> bool:
    known = _alphabet(settings.model)
    letters = [c for c in text if c.isalnum()]
    return sum(c in known for c in letters) >= ALPHABET * len(letters)


def similarity(one: str, two: str) -> float:
    """Dice coefficient of the letter and digit trigrams of two texts, whatever their order of lines (0 to 1)."""
    first, second = _trigrams(one), _trigrams(two)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def _trigrams(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for word in unicodedata.normalize("NFKC", text).casefold().split():
        letters = f" {''.join(c for c in word if c.isalnum())} "
        counts.update(letters[i : i + 3] for i in range(len(letters) - 2))
    return counts


@lru_cache(maxsize=1)
def _orientation() -> Orientation:
    return Orientation()


@lru_cache(maxsize=1)
def _layout() -> Layout:
    return Layout()


@lru_cache(maxsize=2)
def _alphabet(model: str) -> frozenset[str]:
    from .paddle import alphabet

    return alphabet(model)


def _prepare(page: Picture, settings: Ocr) -> tuple[Picture, int, float]:
    """The page upright and level, its quarter turns and its skew."""
    if min(page.shape[:2]) < LEAST_SIDE:
        raise ValueError(f"a page of {page.shape[1]} x {page.shape[0]} pixels")
    if not settings.straighten:
        return page, 0, 0.0
    turns = _orientation().quarter_turns(page)
    upright = np.ascontiguousarray(np.rot90(page, turns)) if turns else page
    degrees = picture.skew(picture.grey(upright))
    return picture.levelled(upright, degrees), turns, degrees


def _lines_of(found: list[TextLine] | PageBlocks | PageFailure) -> list[TextLine]:
    if isinstance(found, PageBlocks):
        return [line for block in found.blocks for line in block.lines]
    return [] if isinstance(found, PageFailure) else found


def _doubt(lines: Sequence[TextLine], settings: Ocr) -> str:
    """Why what was read cannot be believed: a recogniser invents text for scripts that it does not know."""
    characters = sum(len(line.text) for line in lines)
    if settings.engine not in ALPHABETS or characters < FEW_CHARACTERS:
        return ""
    certainty = _certainty(lines)
    if certainty >= settings.certainty:
        return ""
    doubt = f"certainty {certainty:.2f}: a script that the model does not know, or too poor a picture"
    return doubt if settings.other_scripts else f"{doubt} (for Cyrillic: ocr.other_scripts = rus)"


def _certainty(lines: Sequence[TextLine]) -> float:
    """Mean score of the characters."""
    return sum(line.score * len(line.text) for line in lines) / max(1, sum(len(line.text) for line in lines))


def _other_script(page: Picture, settings: Ocr) -> list[TextLine] | None:
    """What tesseract reads on a page that PaddleOCR does not believe; None where it does not believe it either."""
    plain = to_plain(replace(settings, engine="tesseract", languages=settings.other_scripts))
    lines = shared_engine(plain).recognize([page])[0]
    if not isinstance(lines, list) or _certainty(lines) < MIN_OTHER:
        return None
    return lines


def _record(
    prepared: tuple[Picture, int, float], lines: Sequence[TextLine], size: Sequence[float], settings: Ocr
) -> dict[str, Any]:
    page, turns, degrees = prepared
    sx, sy = _scale(prepared, size)
    grey = picture.grey(page)
    rows = []
    for line in lines:
        ink = picture.measure(grey, (line.x0, line.y0, line.x1, line.y1), line.text)
        rows.append(_row(ink, line, sx, sy))
    rows.sort(key=lambda row: (row[4], row[0], row[8]))
    regions = []
    if settings.layout:
        for region in _layout().regions(page):
            x0, y0, x1, y1 = region.box
            regions.append([region.kind, region.score, *(round(v, 1) for v in (x0 * sx, y0 * sy, x1 * sx, y1 * sy))])
    return {"turn": TURNS[turns], "skew": degrees, "lines": rows, "regions": regions}


def _block_record(prepared: tuple[Picture, int, float], found: PageBlocks, size: Sequence[float]) -> dict[str, Any]:
    page, turns, degrees = prepared
    sx, sy = _scale(prepared, size)
    grey = picture.grey(page)
    rows: list[list[Any]] = []
    blocks: list[list[Any]] = []
    regions: list[list[Any]] = []
    for block in found.blocks:
        x0, y0, x1, y1 = block.box
        box = [round(v, 1) for v in (x0 * sx, y0 * sy, x1 * sx, y1 * sy)]
        if block.kind == "figure":
            regions.append(["figure", 1.0, *box])
            continue
        first = len(rows)
        lines = [line for line in block.lines if line.score >= MIN_SCORE]
        if not lines:
            continue
        height = min(map(font_size, lines))
        for line in lines:
            if found.measurable:
                ink = picture.measure(grey, (line.x0, line.y0, line.x1, line.y1), line.text)
            else:
                base = line.y1 - 0.5 * (line.y1 - line.y0 - height) - 0.2 * height
                ink = picture.Ink(line.x0, line.y0, line.x1, line.y1, base, height, 0.0)
            rows.append(_row(ink, line, sx, sy))
        blocks.append([block.kind or LINES, *box, list(range(first, len(rows))), block.rows])
    return {"turn": TURNS[turns], "skew": degrees, "lines": rows, "regions": regions, "blocks": blocks}


def _scale(prepared: tuple[Picture, int, float], size: Sequence[float]) -> tuple[float, float]:
    """Points for a pixel, across and down."""
    page, turns, _ = prepared
    width, height = (size[1], size[0]) if turns % 2 else (size[0], size[1])
    return width / page.shape[1], height / page.shape[0]


def _row(ink: picture.Ink, line: TextLine, sx: float, sy: float) -> list[Any]:
    numbers = (ink.x0 * sx, ink.y0 * sy, ink.x1 * sx, ink.y1 * sy, ink.base * sy, ink.size * sy)
    return [*(round(v, 2) for v in numbers), round(ink.stroke, 4), round(line.score, 4), line.text]
