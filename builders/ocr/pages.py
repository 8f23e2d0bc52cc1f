"""Pages of a PDF as pictures to read. Runs in the children that touch PDFs, which are not those that recognize."""

from __future__ import annotations

from typing import Any

import simplejpeg

from ..pdf import open_pdf
from ..reasons import DocumentError

MAX_SIDE, MAX_PIXELS = 4000, 12_000_000
"""Larger pages (posters, maps) are read at a lower resolution."""
QUALITY = 95


def picture_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Render pages for an OCR engine.

    Args:
        payload: ``{"path", "pages": 0-based pages, "dpi"}``.

    Returns:
        ``{"pages": [JPEG bytes, or the text of an error], "sizes": [[width, height] in points]}``.

    Raises:
        DocumentError: The file cannot be opened, or a page has no usable box.
    """
    pictures: list[bytes | str] = []
    sizes = []
    with open_pdf(payload["path"]) as pdf:
        for number in payload["pages"]:
            width, height = pdf.box(number)
            scale = payload["dpi"] / 72
            scale = min(scale, MAX_SIDE / max(width, height), (MAX_PIXELS / (width * height)) ** 0.5)
            sizes.append([width, height])
            try:
                pixels = pdf.render(number, max(1, round(width * scale)), max(1, round(height * scale)))
                pictures.append(
                    simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB", colorsubsampling="444")
                )
            except DocumentError as error:
                if error.reason == "memory":
                    raise
                pictures.append(str(error))
    return {"pages": pictures, "sizes": sizes}
