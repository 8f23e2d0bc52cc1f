"""Scans of known truth for ``ocr.py``: pages of real PDFs as clean, noisy and bilevel pictures in PDFs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

STATES = {
    "clean 300 grey": "clean",
    "noisy 150 RGB": "noisy",
    "clean 150 RGB": "clean",
    "noisy 300 grey": "noisy",
    "bilevel 300": "bilevel",
}
"""Ways to scan -> the state of what comes of it. Noisy: 1.5 degrees of skew, blur, sensor noise, JPEG quality 40."""
VARIANTS = tuple(STATES)


def render(path: Path, page: int, dpi: int) -> Image.Image:
    """A page as an RGB picture, by another renderer than the one under test."""
    with pdfium.PdfDocument(path) as document:
        return document[page].render(scale=dpi / 72).to_pil().convert("RGB")


def scan(path: Path, page: int, variant: str, seed: int = 0) -> tuple[Image.Image, int, int]:
    """The picture of a page, its DPI and its JPEG quality (0: lossless)."""
    state, dpi, colours = variant.split() if variant.count(" ") == 2 else (*variant.split(), "grey")
    picture = render(path, page, int(dpi)).convert("L" if colours == "grey" else "RGB")
    if state == "clean":
        return picture, int(dpi), 95
    if state == "bilevel":
        return picture.point(lambda v: 255 if v > 128 else 0).convert("1"), int(dpi), 0
    picture = picture.rotate(-1.5, Image.Resampling.BICUBIC, fillcolor="white")
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    pixels = pixels * 0.92 + 8 + np.random.default_rng(seed).normal(0, 9, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), int(dpi), 40


def write_pdf(path: Path, pictures: list[tuple[Image.Image, int, int]], hidden: list[str] | None = None) -> Path:
    """An image-only PDF, or one with invisible text behind its pictures."""
    canvas = Canvas(str(path), invariant=1)
    for number, (picture, dpi, quality) in enumerate(pictures):
        width, height = (72 * side / dpi for side in picture.size)
        canvas.setPageSize((width, height))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality) if quality else picture.save(data, "PNG")
        canvas.drawImage(ImageReader(data), 0, 0, width, height)
        if hidden is not None:
            text = canvas.beginText(40, height - 60)
            text.setTextRenderMode(3)
            for line in hidden[number].split("\n")[:60]:
                text.textLine(line.encode("latin-1", "replace").decode("latin-1"))
            canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return path
