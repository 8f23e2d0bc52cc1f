"""The resolution at which a document's pages fit a number of tokens. Imported by children too: no heavy imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mmprolong_data import vision

from .recipe import Recipe

PageBox = tuple[float, float]
"""Width and height of a page in points."""


def image_tokens(boxes: Iterable[PageBox], dpi: int, max_pixels: int) -> int:
    """Image tokens of pages with the given boxes at ``dpi``."""
    return sum(
        count * vision.image_tokens(*vision.page_pixels(width, height, dpi, max_pixels))
        for (width, height), count in Counter(boxes).items()
    )


def fit_dpi(boxes: Sequence[PageBox], recipe: Recipe, limit: int, start: int | None = None) -> int:
    """The largest DPI at which the pages take at most ``limit`` image tokens; 0 if there is none.

    Goes down from ``start`` (default ``render.dpi``) to ``render.min_dpi`` under ``render.fit: shrink``; under ``drop``
    only ``start`` itself is tried.
    """
    top = recipe.render.dpi if start is None else start
    bottom = min(top, recipe.render.min_dpi) if recipe.render.fit == "shrink" else top
    for dpi in range(top, bottom - 1, -1):
        if image_tokens(boxes, dpi, recipe.render.max_pixels) <= limit:
            return dpi
    return 0
