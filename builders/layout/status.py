"""Whether the text layer of a page can be trusted, or the page must be read by OCR."""

from __future__ import annotations

from .lines import RawPage

MAX_BAD = 0.03
"""Largest share of undecodable characters."""
MIN_ALPHANUMERIC = 0.3
"""Least share of letters and digits."""
MIN_IMAGE_AREA, MIN_VECTORS = 0.005, 10
"""A page without text is blank below these: a rule, a background or a logo is not worth reading."""
MIN_CHARACTERS, MAX_IMAGE_AREA = 50, 0.65
"""A page with fewer characters and a larger image is a scan with a stamp on it."""


def page_status(page: RawPage, hidden_text: bool = False) -> tuple[str, str]:
    """``(status, reason)`` of a page as in ``blocks.Page``; the thresholds were measured on made pages.

    Args:
        page: Its text layer.
        hidden_text: Believe text that is not painted: what another OCR program put behind a scan.

    A page whose text cannot be read and that shows no image is judged by its text alone: a formula page is text.
    """
    if page.characters == 0:
        if image_share(page) >= MIN_IMAGE_AREA:
            return "needs_ocr", "image without text"
        if page.vectors >= MIN_VECTORS:
            return "needs_ocr", "drawing without text"
        return "blank", ""
    if 2 * page.hidden > page.characters:
        if not hidden_text:
            return "needs_ocr", "invisible text"
    elif page.characters < MIN_CHARACTERS and image_share(page) >= MAX_IMAGE_AREA:
        return "needs_ocr", "image with little text"
    if page.bad >= MAX_BAD * page.characters:
        return "needs_ocr", "undecodable text"
    if page.alphanumeric < MIN_ALPHANUMERIC * (page.characters - page.dots):
        return "needs_ocr", "little alphanumeric text"
    return "text", ""


def image_share(page: RawPage) -> float:
    """Part of the page that images cover, at most 1; overlaps count twice."""
    area = 0.0
    for x0, y0, x1, y1 in page.images:
        width = min(x1, page.width) - max(x0, 0.0)
        height = min(y1, page.height) - max(y0, 0.0)
        if width > 0 and height > 0:
            area += width * height
    whole = page.width * page.height
    return min(1.0, area / whole) if whole > 0 else 0.0
