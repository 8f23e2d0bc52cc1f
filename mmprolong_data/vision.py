"""The pixel rule of Qwen2.5-VL: page sizes in multiples of 28 pixels, and what they cost in tokens."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

FACTOR = 28
"""Side of the square of pixels behind one token: patches of 14, merged 2 x 2."""
PATCH = 14
PATCH_BYTES = 3 * PATCH * PATCH
"""Side of a patch in pixels, and its size as uint8 RGB."""
MIN_PIXELS = 56 * 56
MAX_PIXELS = 12_845_056
"""Limits of one image: 4 and 16,384 tokens (``preprocessor_config.json`` of Qwen2.5-VL)."""
MAX_RATIO = 200
"""Longest side over shortest side that the model's processor accepts."""
POINTS_PER_INCH = 72
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""Normalisation of the RGB channels (``preprocessor_config.json`` of Qwen2.5-VL; the values are CLIP's)."""


def smart_resize(
    height: int,
    width: int,
    *,
    factor: int = FACTOR,
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> tuple[int, int]:
    """The size to which Qwen2.5-VL's image processor resizes an image.

    Both sides become multiples of ``factor``, the area stays within the limits and the ratio is kept as well as that
    allows. The arithmetic, Python's rounding to even included, is that of ``smart_resize`` in transformers.

    Args:
        height, width: Pixels.

    Returns:
        ``(height, width)`` in pixels.

    Raises:
        ValueError: a side is not positive, or the ratio of the sides is above ``MAX_RATIO``.
    """
    if min(height, width) <= 0 or max(height, width) / min(height, width) > MAX_RATIO:
        raise ValueError(f"an image of {width} x {height} pixels is unusable: the sides' ratio must be <= {MAX_RATIO}")
    new_height = round(height / factor) * factor
    new_width = round(width / factor) * factor
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def page_pixels(width_pt: float, height_pt: float, dpi: int, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The size at which a page is rendered, so that the model's processor need not resize it.

    Args:
        width_pt, height_pt: The page's box in points (1/72 inch).
        dpi: Resolution before rounding to multiples of ``FACTOR``.
        max_pixels: Larger pages become smaller.

    Returns:
        ``(width, height)`` in pixels, both multiples of ``FACTOR``, at least ``FACTOR``.

    Raises:
        ValueError: the box is empty, not finite or too elongated.
    """
    if not (math.isfinite(width_pt) and math.isfinite(height_pt)):
        raise ValueError(f"a page of {width_pt} x {height_pt} points is unusable")
    width = max(1, round(width_pt * dpi / POINTS_PER_INCH)) if width_pt > 0 else 0
    height = max(1, round(height_pt * dpi / POINTS_PER_INCH)) if height_pt > 0 else 0
    new_height, new_width = smart_resize(height, width, max_pixels=min(max_pixels, MAX_PIXELS))
    # Rounding can lift an elongated image to nothing on one side or over a limit on the other: once more settles it.
    new_height, new_width = max(FACTOR, new_height), max(FACTOR, new_width)
    new_height, new_width = smart_resize(new_height, new_width, max_pixels=min(max_pixels, MAX_PIXELS))
    return new_width, new_height


def image_tokens(width: int, height: int) -> int:
    """Tokens of an image whose sides (pixels) are multiples of ``FACTOR``."""
    return (width // FACTOR) * (height // FACTOR)


def patchify(pixels: npt.NDArray[np.uint8], temporal: int = 2) -> npt.NDArray[np.float32]:
    """Raw patches to the vision tower's input: rescaled, normalised, repeated in time.

    Bit-identical to ``pixel_values`` of ``Qwen2VLImageProcessorPil`` for the same pages.

    Args:
        pixels: uint8, shape (patches, 588): channel, row, column, as ``PageStream`` and ``patches`` give them.
        temporal: Frames of a patch; an image is repeated.

    Returns:
        float32, shape (patches, 588 * temporal): channel, frame, row, column.
    """
    planes = pixels.reshape(-1, 3, 1, PATCH * PATCH)
    out = np.empty((len(planes), 3, temporal, PATCH * PATCH), np.float32)
    for channel, table in enumerate(normalised()):
        out[:, channel] = table[planes[:, channel]]
    return out.reshape(len(planes), -1)


@functools.cache
def normalised() -> npt.NDArray[np.float32]:
    """float32, shape (3, 256): the normalised value of every byte in every channel, rounded as the processor rounds."""
    rescaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, std = np.array(IMAGE_MEAN, np.float32)[:, None], np.array(IMAGE_STD, np.float32)[:, None]
    table = (rescaled[None] - mean) / std
    table.flags.writeable = False
    return table
