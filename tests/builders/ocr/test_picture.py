"""Straightening and measuring, on pictures of which the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmprolong_builders.ocr import picture
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from support.documents import write_report
from support.scans import picture_of, skewed

DPI = 144


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    return picture_of(write_report(tmp_path_factory.mktemp("pdf") / "report.pdf", 1), 0, DPI)


@pytest.mark.parametrize("degrees", [-5.0, -2.3, -0.5, 0.4, 1.0, 3.7, 5.0])
def test_skew_is_found_and_levelled(page: Image.Image, degrees: float) -> None:
    leaning = np.asarray(skewed(degrees)(page))
    found = picture.skew(picture.grey(leaning))
    assert found == pytest.approx(degrees, abs=0.15)
    level = picture.levelled(leaning, found)
    assert level.shape == leaning.shape
    assert abs(picture.skew(picture.grey(level))) <= 0.2


def test_straight_empty_and_dark_pages_are_left_alone(page: Image.Image) -> None:
    upright = np.asarray(page)
    assert picture.skew(picture.grey(upright)) == 0.0
    assert picture.levelled(upright, 0.0) is upright
    for value in (0, 128, 255):
        assert picture.skew(np.full((400, 300), value, dtype=np.uint8)) == 0.0
    noise = np.random.default_rng(0).integers(0, 255, (400, 300), dtype=np.uint8)
    assert picture.skew(noise) == 0.0


LINES = [
    ("Helvetica", 10, "The valves of the lower basin were replaced by Jonas Weber"),
    ("Times-Roman", 11, "no ascender here: we saw a moss"),
    ("Helvetica-Bold", 16, "3. Heading Without Tails"),
    ("Times-Roman", 9, "1234 5678"),
    ("Helvetica", 24, "Aquifer"),
]


def test_sizes_baselines_and_weights_are_measured_on_the_ink(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "lines.pdf"), pagesize=A4, invariant=1)
    for i, (font, size, text) in enumerate(LINES):
        canvas.setFont(font, size)
        canvas.drawString(60, A4[1] - 100 - 50 * i, text)
    canvas.save()
    grey = picture.grey(np.asarray(picture_of(tmp_path / "lines.pdf", 0, DPI)))
    scale = DPI / 72
    strokes = {}
    for i, (font, size, text) in enumerate(LINES):
        base = 100 + 50 * i
        # As loose as the boxes of an OCR engine.
        right = 65 + stringWidth(text, font, size)
        box = (55 * scale, (base - 0.95 * size) * scale, right * scale, (base + 0.4 * size) * scale)
        ink = picture.measure(grey, box, text)
        assert ink.size / scale == pytest.approx(size, rel=0.13), text
        assert ink.base / scale == pytest.approx(base, abs=0.8), text
        assert ink.x0 / scale == pytest.approx(60, abs=2.5), text
        strokes[font] = ink.stroke
    assert strokes["Helvetica-Bold"] > 1.25 * strokes["Helvetica"]


def test_a_box_without_contrast_stands_for_itself() -> None:
    blank = np.full((100, 100), 250, dtype=np.uint8)
    ink = picture.measure(blank, (10, 20, 80, 40), "words")
    assert (ink.x0, ink.y0, ink.x1, ink.y1) == (10, 20, 80, 40)
    assert ink.size > 0
    assert picture.measure(blank, (90, 90, 140, 91), "x").size > 0
