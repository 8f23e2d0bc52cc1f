"""JPEG pages to uint8 patches for one rank's share of a pack, for either model's patch size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from mmprolong_data.errors import FormatError
from mmprolong_data.patches import MAX_SOURCE_PIXELS, Layout, decode_page, page_grid
from mmprolong_data.vision import FACTOR, MAX_PIXELS, smart_resize

Pixels = npt.NDArray[np.uint8]
Page = bytes | memoryview
LAYOUT: Layout = "hwc"
"""Order of the bytes of a patch in this package, from the loader on; ``PixelNormalizer`` turns it into the model's."""


class PageDecoder:
    """Grids from image headers, and patches of chosen pages, decoded by several threads."""

    def __init__(self, patch_size: int, merge_size: int, threads: int, max_pixels: int = MAX_PIXELS) -> None:
        """Choose the model's sizes; ``max_pixels`` makes larger images smaller."""
        self.patch_size, self.merge_size, self.max_pixels = patch_size, merge_size, max_pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._stored_size = patch_size * merge_size == FACTOR and max_pixels == MAX_PIXELS

    @property
    def patch_values(self) -> int:
        """Values of a patch."""
        return 3 * self.patch_size**2

    def grid(self, pages: Sequence[Page], where: str) -> npt.NDArray[np.int64]:
        """``[pages, 3]``: 1, rows and columns of patches of every page, from the headers.

        Raises:
            FormatError: an image is damaged, of an unknown kind, or too large; starts with ``where``.
        """
        grid = np.ones((len(pages), 3), np.int64)
        for number, page in enumerate(pages):
            try:
                grid[number, 1:] = page_grid(page) if self._stored_size and _is_jpeg(page) else self._grid(page)
            except (ValueError, OSError, Image.DecompressionBombError) as error:
                raise FormatError(f"{where}: page {number + 1}: {error}") from None
        return grid

    def decode(self, pages: Sequence[Page], grid: npt.NDArray[np.int64], where: str) -> Pixels:
        """Patches of the pages one behind the other: uint8 ``[patches, p * p * 3]``, merge block by merge block.

        Raises:
            FormatError: a page is damaged; starts with ``where``.
        """
        counts = grid.prod(axis=1)
        pixels = np.empty((int(counts.sum()), self.patch_values), np.uint8)
        rows = np.split(pixels, np.cumsum(counts)[:-1])
        try:
            list(self._pool.map(self._decode_page, pages, rows, grid))
        except (ValueError, OSError) as error:
            raise FormatError(f"{where}: {error}") from None
        return pixels

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if height * width > MAX_SOURCE_PIXELS:
            raise ValueError(f"an image of {width} x {height} pixels is too large")
        factor = self.patch_size * self.merge_size
        height, width = smart_resize(height, width, factor=factor, max_pixels=self.max_pixels)
        return max(height, factor), max(width, factor)

    def _grid(self, page: Page) -> tuple[int, int]:
        if _is_jpeg(page):
            height, width, _, _ = simplejpeg.decode_jpeg_header(page)
        else:
            width, height = Image.open(io.BytesIO(page)).size
        height, width = self._size(height, width)
        return height // self.patch_size, width // self.patch_size

    def _decode_page(self, page: Page, out: Pixels, grid: npt.NDArray[np.int64]) -> None:
        if self._stored_size and _is_jpeg(page):
            decode_page(page, out, LAYOUT)
            return
        image = Image.open(io.BytesIO(page)).convert("RGB")
        height, width = int(grid[1]) * self.patch_size, int(grid[2]) * self.patch_size
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        patch, merge = self.patch_size, self.merge_size
        blocks = np.asarray(image).reshape(
            height // (merge * patch), merge, patch, width // (merge * patch), merge, patch, 3
        )
        out.reshape(len(out), patch, patch, 3)[...] = blocks.transpose(0, 3, 1, 4, 2, 5, 6).reshape(-1, patch, patch, 3)


def _is_jpeg(page: Page) -> bool:
    return bytes(page[:2]) == b"\xff\xd8"
