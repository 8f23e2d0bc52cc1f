"""Pages of one PDF as JPEG images at their final size. Runs in sandboxed children only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from .pdf import PdfFile, open_pdf
from .reasons import DocumentError


def render_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Render a PDF's pages and encode them.

    Args:
        payload: ``{"path", "sizes": [[width, height], ...] in pixels, one for every page of the document,
            "quality": JPEG quality, "pages": list of 0-based pages (default: all)}``.

    Returns:
        ``{"pages": [JPEG bytes, ...]}`` in the order asked for: RGB, 4:2:0.

    Raises:
        DocumentError: ``damaged_page``, ``render_error``, ``page_box``, or a code of ``pdf.open_pdf``.
    """
    sizes, quality = payload["sizes"], payload["quality"]
    with open_pdf(payload["path"]) as pdf:
        if pdf.num_pages != len(sizes):
            raise DocumentError("render_error", f"the file has {pdf.num_pages} pages, {len(sizes)} were planned")
        numbers = payload.get("pages")
        wanted = range(pdf.num_pages) if numbers is None else numbers
        return {"pages": [_jpeg(pdf, number, sizes[number], quality) for number in wanted]}


def _jpeg(pdf: PdfFile, number: int, size: Sequence[int], quality: int) -> bytes:
    pdf.drain_warnings()
    pixels = pdf.render(number, size[0], size[1])
    # Damaged content renders as an empty page, without an exception. Most pages give no warning: nothing to look at.
    warnings = pdf.drain_warnings()
    if warnings and _blank(pixels):
        raise DocumentError("damaged_page", f"page {number + 1} is blank: {warnings}")
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420")
    return data


def _blank(pixels: npt.NDArray[np.uint8]) -> bool:
    # Not Pixmap.is_unicolor, which takes seconds on the very pages that this is about.
    return int(pixels.max()) == int(pixels.min())
