"""Scanned PDFs of known text: pages of another PDF as pictures, turned, skewed, with or without a text layer."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pypdfium2 as pdfium
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Change = Callable[[Image.Image], Image.Image]


def picture_of(path: Path, page: int, dpi: int = 150) -> Image.Image:
    """A page as an RGB picture."""
    with pdfium.PdfDocument(path) as document:
        return document[page].render(scale=dpi / 72).to_pil().convert("RGB")


def text_of(path: Path, page: int) -> str:
    """The text layer of a page, by another library than ours."""
    with pdfium.PdfDocument(path) as document:
        return document[page].get_textpage().get_text_range().replace("\r\n", "\n")


def skewed(degrees: float) -> Change:
    """Lines fall to the right by some degrees."""
    return lambda image: image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))


def quarter_turned(times: int) -> Change:
    """The page lies on its side or on its head (counter-clockwise quarter turns)."""
    return lambda image: image.rotate(90 * times, expand=True)


def write_scanned(path: Path, pictures: Sequence[Image.Image], texts: Sequence[str] = (), dpi: int = 150) -> Path:
    """A PDF of pictures; ``texts`` are real, painted text that the picture of the same page hides."""
    canvas = Canvas(str(path), invariant=1)
    for number, picture in enumerate(pictures):
        width, height = (72 * side / dpi for side in picture.size)
        canvas.setPageSize((width, height))
        for line, text in enumerate(texts[number].split("\n") if number < len(texts) else ()):
            canvas.drawString(50, height - 60 - 14 * line, text)
        data = io.BytesIO()
        picture.convert("L").save(data, "JPEG", quality=90)
        canvas.drawImage(ImageReader(data), 0, 0, width, height)
        canvas.showPage()
    canvas.save()
    return path
