"""JPEG pages to uint8 patches in the order in which Qwen2-VL's vision tower takes them, without a float in between."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import simplejpeg

from .vision import FACTOR, PATCH, PATCH_BYTES, smart_resize

Layout = Literal["chw", "hwc"]
"""Order of the bytes of a patch: channel, row, column (as Qwen2-VL's processor has it), or row, column, channel."""
Bytes = bytes | bytearray | memoryview
Pixels = npt.NDArray[np.uint8]

MAX_SOURCE_PIXELS = 100_000_000
"""A page of more pixels is refused before it is decoded."""
_scratch = threading.local()


def page_grid(jpeg: Bytes) -> tuple[int, int]:
    """Rows and columns of patches that a page becomes, from its header alone.

    Raises:
        ValueError: no JPEG, or of a size that the model's processor refuses.
    """
    height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    if height * width > MAX_SOURCE_PIXELS:
        raise ValueError(f"a page of {width} x {height} pixels is too large")
    height, width = smart_resize(height, width)
    return height // PATCH, width // PATCH


def empty_patches(pages: Sequence[Bytes]) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """An uninitialised buffer for all pages of a sample, and their grids.

    Returns:
        ``(pixels, grid_thw)``: uint8, shape (patches of all pages, 588); int64, shape (pages, 3): 1, rows and columns
        of patches.

    Raises:
        ValueError: see ``page_grid``; names the page.
    """
    grid = np.ones((len(pages), 3), np.int64)
    for number, page in enumerate(pages):
        try:
            grid[number, 1:] = page_grid(page)
        except ValueError as error:
            raise ValueError(f"page {number + 1}: {error}") from None
    return np.empty((int(grid.prod(axis=1).sum()), PATCH_BYTES), np.uint8), grid


def decode_page(jpeg: Bytes, out: Pixels, layout: Layout = "chw") -> None:
    """Decode one page into its rows of patches.

    A page whose size is not the model's is resized as ``Qwen2VLImageProcessorPil`` does (Pillow, bicubic).

    Args:
        jpeg: The file.
        out: uint8, shape (rows * columns of ``page_grid``, 588), contiguous. Patches go by merged 2 x 2 squares.
        layout: Order of the bytes of a patch.

    Raises:
        ValueError: the JPEG is damaged.
    """
    height, width, space, _ = simplejpeg.decode_jpeg_header(jpeg)
    size = smart_resize(height, width)
    if size != (height, width) or space in ("CMYK", "YCCK"):
        _patch_rgb(_resized(jpeg, size, space), out, layout)
    elif layout == "hwc":
        buffer = _buffer("page", height * width * 3)
        _patch_rgb(simplejpeg.decode_jpeg(jpeg, colorspace="RGB", buffer=buffer), out, layout)
    else:
        buffer = _buffer("page", height * width * 4)
        _patch_rgbx(simplejpeg.decode_jpeg(jpeg, colorspace="RGBX", buffer=buffer), out)


def decode_pages(pages: Sequence[Bytes], layout: Layout = "chw") -> tuple[Pixels, npt.NDArray[np.int64]]:
    """All pages of a sample, one after the other in this thread. See ``empty_patches`` and ``decode_page``."""
    pixels, grid = empty_patches(pages)
    for page, rows in zip(pages, page_rows(pixels, grid), strict=True):
        decode_page(page, rows, layout)
    return pixels, grid


def page_rows(pixels: Pixels, grid: npt.NDArray[np.int64]) -> list[Pixels]:
    """The rows of every page, as views."""
    return np.split(pixels, np.cumsum(grid.prod(axis=1))[:-1])


def _buffer(name: str, size: int) -> Pixels:
    """Scratch memory of this thread: a fresh allocation for every page would cost more than the copy."""
    buffer: Pixels | None = getattr(_scratch, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(size, np.uint8)
        setattr(_scratch, name, buffer)
    return buffer[:size]


def _patch_rgb(page: Pixels, out: Pixels, layout: Layout) -> None:
    """Rows of patches of an RGB page, shape (height, width, 3)."""
    height, width, _ = page.shape
    rows, columns = height // FACTOR, width // FACTOR
    if layout == "chw":
        source = page.reshape(rows, 2, PATCH, columns, 2, PATCH, 3).transpose(0, 3, 1, 4, 6, 2, 5)
        out.reshape(source.shape)[...] = source
        return
    # A line of a patch is 42 bytes in a row in both: moved as one item. Band by band it stays in the CPU's cache.
    line = np.dtype(f"V{3 * PATCH}")
    lines = page.reshape(-1).view(line).reshape(rows, 2, PATCH, columns, 2).transpose(0, 3, 1, 4, 2)
    target = out.reshape(-1).view(line).reshape(lines.shape)
    for row in range(rows):
        target[row] = lines[row]


def _patch_rgbx(page: Pixels, out: Pixels) -> None:
    """Rows of patches, channel by channel, of a page of four bytes a pixel, shape (height, width, 4).

    A pixel is one integer here: channels come apart by shifts and narrowing casts, which compilers vectorise, in bands
    that stay in the CPU's cache. Two thirds of the time of the plain transposition.
    """
    height, width, _ = page.shape
    rows, columns = height // FACTOR, width // FACTOR
    size = FACTOR * width
    pixels = page.reshape(-1).view("<u4").reshape(rows, size)
    shifted = _buffer("shifted", 4 * size).view("<u4")
    planes = _buffer("planes", 3 * size).reshape(3, size)
    line = np.dtype(f"V{PATCH}")
    lines = planes.reshape(-1).view(line).reshape(3, 2, PATCH, columns, 2).transpose(3, 1, 4, 0, 2)
    target = out.reshape(-1).view(line).reshape(rows, *lines.shape)
    for row in range(rows):
        np.copyto(planes[0], pixels[row], casting="unsafe")
        np.right_shift(pixels[row], 8, out=shifted)
        np.copyto(planes[1], shifted, casting="unsafe")
        np.right_shift(pixels[row], 16, out=shifted)
        np.copyto(planes[2], shifted, casting="unsafe")
        target[row] = lines


def _resized(jpeg: Bytes, size: tuple[int, int], space: str) -> Pixels:
    from PIL import Image

    if space in ("CMYK", "YCCK"):
        import io

        try:
            image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        except OSError as error:
            raise ValueError(str(error)) from None
    else:
        image = Image.fromarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB"))
    height, width = size
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
