"""Raster pictures for the demo corpus (a star field, a hillside) and scanned-looking pages of text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont


def _smooth(generator: np.random.Generator, shape: tuple[int, int], cell: int) -> NDArray[np.float64]:
    """Smooth random values in 0..1: a coarse grid, enlarged."""
    coarse = generator.random((shape[0] // cell + 2, shape[1] // cell + 2))
    image = Image.fromarray((coarse * 255).astype(np.uint8)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float64) / 255


def star_field(seed: int, width: int = 480, height: int = 320) -> bytes:
    """A night sky as JPEG: a nebula and some hundred stars."""
    generator = np.random.default_rng(seed)
    glow = _smooth(generator, (height, width), 60) ** 2
    sky = np.stack([glow * 70 + 12, glow * 50 + 14, glow * 110 + 30], axis=-1)
    rows, columns = np.mgrid[0:height, 0:width]
    for y, x, bright in zip(
        generator.integers(4, height - 4, 240),
        generator.integers(4, width - 4, 240),
        generator.random(240),
        strict=True,
    ):
        top, left = y - 4, x - 4
        near = (rows[top : y + 5, left : x + 5] - y) ** 2 + (columns[top : y + 5, left : x + 5] - x) ** 2
        light = np.exp(-near / (0.5 + 2.2 * bright**4)) * (90 + 165 * bright)
        sky[top : y + 5, left : x + 5] += light[..., None]
    return _jpeg(sky, 80)


def hillside(seed: int, width: int = 480, height: int = 280) -> bytes:
    """A landscape as JPEG: sky, and hills one behind the other."""
    generator = np.random.default_rng(seed)
    fade = np.linspace(0, 1, height)[:, None]
    picture = np.stack([150 + 80 * fade, 185 + 45 * fade, 225 + 15 * fade], axis=-1).repeat(width, axis=1)
    rows = np.arange(height)[:, None]
    for layer in range(4):
        ridge = height * (0.34 + 0.15 * layer) + (_smooth(generator, (2, width), 90)[0] - 0.5) * height * 0.34
        shade = np.array([96, 128, 88]) * (1.15 - 0.22 * layer) + (3 - layer) * np.array([14, 14, 26])
        grain = (_smooth(generator, (height, width), 6) - 0.5) * 26
        picture = np.where((rows > ridge)[..., None], shade + grain[..., None], picture)
    return _jpeg(picture, 78)


def _jpeg(pixels: NDArray[np.float64], quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@lru_cache
def _font(name: str, size: int) -> Any:
    """A font file that reportlab brings along."""
    import reportlab

    return ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / name), size)


def scanned_page(
    lines: Sequence[tuple[str, str]], number: int, seed: int, width: int = 910, height: int = 1287
) -> bytes:
    """A typed page as a scanner would see it: grey, slightly skewed, with uneven light and specks; no text layer.

    Args:
        lines: ``(kind, text)`` with kind ``head``, ``text``, ``cell`` (columns parted by tabs) or ``gap``; they must
            fit the page (see ``fitting_lines``).
        number: The page number to print at the bottom.
        seed: Of skew and noise.
        width: In pixels; 910 x 1287 is A4 at 110 DPI.
        height: In pixels.
    """
    generator = np.random.default_rng(seed)
    paper = Image.new("L", (width, height), 244)
    draw = ImageDraw.Draw(paper)
    y = 92
    for kind, text in lines:
        if kind == "head":
            draw.text((92, y + 6), text, fill=28, font=_font("VeraBd.ttf", 20))
            y += 38
        elif kind == "cell":
            for column, cell in enumerate(text.split("\t")):
                draw.text((100 + column * 225, y), cell, fill=40, font=_font("Vera.ttf", 15))
            draw.line((92, y + 21, width - 92, y + 21), fill=120)
            y += 25
        else:
            draw.text((92, y), text, fill=40, font=_font("Vera.ttf", 15))
            y += 12 if kind == "gap" else 23
    draw.text((width / 2 - 20, height - 70), f"- {number} -", fill=60, font=_font("Vera.ttf", 14))
    turned = paper.rotate(float(generator.uniform(-0.7, 0.7)), resample=Image.Resampling.BILINEAR, fillcolor=238)
    grey = np.asarray(turned, np.float64) - 16 * (1 - _smooth(generator, (height, width), 320))
    grain = generator.normal(0, 2.5, (128, 128))
    grey += np.tile(grain, (height // 128 + 1, width // 128 + 1))[:height, :width]
    for _ in range(25):
        spot_y, spot_x = int(generator.integers(0, height - 3)), int(generator.integers(0, width - 3))
        grey[spot_y : spot_y + 2, spot_x : spot_x + 2] = 110
    return _jpeg(grey, 42)


def wrap_text(text: str, pixels: int = 726) -> list[str]:
    """Break a paragraph into the lines of a scanned page."""
    font = _font("Vera.ttf", 15)
    result, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > pixels:
            result.append(line)
            line = word
        else:
            line = longer
    return [*result, line] if line else result
