"""PyMuPDF behind one small interface. Owns every PDF library call; runs in sandboxed children only.

PyMuPDF is AGPL-3.0 (or commercial): nothing else may import it. Its exceptions share no base class, so each call that
reaches it turns any ``Exception`` into a ``DocumentError``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import pymupdf

from .reasons import DocumentError

HEADER_BYTES = 1024
"""Viewers look for ``%PDF-`` in the first 1,024 bytes (ISO 32000-1, Annex H.3, note 13)."""
MIN_SIDE, MAX_SIDE = 3.0, 14_400.0
"""Least and most points of a page side (ISO 32000-1, Annex C.2)."""
MAX_ASPECT = 200.0
"""Most that one side may be longer than the other (Qwen2.5-VL's ``smart_resize`` refuses more)."""
MAX_VECTORS = 5000
"""A page with more vector paths than this gives none: it is a drawing, and its dicts would fill the memory."""
MAX_OUTLINE = 20_000
"""Outline entries that are read; the rest is dropped."""

_TEXT = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_PRESERVE_IMAGES
# "Lazy" keeps vectors from splitting text lines: the lines are the same as without vectors.
_VECTORS = pymupdf.TEXT_COLLECT_VECTORS | pymupdf.TEXT_LAZY_VECTORS
_TEXT_BLOCK, _IMAGE_BLOCK, _VECTOR_BLOCK = 0, 1, 3

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)
pymupdf.no_recommend_layout()


def open_pdf(path: str | Path) -> PdfFile:
    """Open a PDF.

    Args:
        path: The file; a ``file:`` URI stands for a name that is not UTF-8 (see ``ingest.stored_path``).

    Raises:
        DocumentError: ``unreadable``, ``empty_file``, ``not_pdf``, ``encrypted``, ``damaged`` or ``no_pages``.
    """
    name = os.fspath(path)
    if name.startswith("file:///"):
        name = os.fsdecode(unquote_to_bytes(name.removeprefix("file://")))
    try:
        file = open(name, "rb")
    except OSError as error:
        raise DocumentError("unreadable", error.strerror or type(error).__name__) from None
    with file:
        head = file.read(HEADER_BYTES)
        if not head:
            raise DocumentError("empty_file")
        # Checked before MuPDF sees it: MuPDF would take HTML, images or archives for documents of their own kind.
        if b"%PDF-" not in head and re.search(rb"%!PS-Adobe-\d\.\d PDF-\d", head) is None:
            raise DocumentError("not_pdf", "no %PDF- in the first 1024 bytes")
        drain_warnings()
        try:
            # MuPDF takes UTF-8 names only; the descriptor names any file.
            document = pymupdf.open(name if name.isascii() else f"/dev/fd/{file.fileno()}", filetype="pdf")
        except Exception as error:
            detail = clean_detail(error, name)
            raise DocumentError("encrypted" if "ncrypt" in detail else "damaged", detail) from None
    pdf = PdfFile(document)
    try:
        with _boundary("damaged"):
            if not document.is_pdf:
                raise DocumentError("not_pdf", "the content is of another format")
            if document.needs_pass and not document.authenticate(""):
                raise DocumentError("encrypted", "it needs a password")
            pdf.num_pages = int(document.page_count)
        if pdf.num_pages < 1:
            raise DocumentError("no_pages", "it opens with 0 pages")
    except BaseException:
        pdf.close()
        raise
    return pdf


class PdfFile:
    """An open PDF. Pages are 0-based; lengths are in points of the page as displayed, origin at its top left corner.

    Methods that read a page raise ``DocumentError`` ``damaged`` where the page cannot be loaded, and the codes that
    they name.
    """

    def __init__(self, document: Any) -> None:
        self.num_pages = 0
        self._document = document
        self._number = -1
        self._loaded: Any = None

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free what MuPDF cached for it. May be called twice."""
        self._loaded = None
        if self._document is not None:
            document, self._document = self._document, None
            with _boundary("damaged"):
                document.close()
                pymupdf.TOOLS.store_shrink(100)

    @property
    def metadata(self) -> dict[str, str]:
        """``title``, ``author``, ``producer``, ``creator`` ... as clean one-line text, those that are not empty."""
        with _boundary("damaged"):
            pairs = (self._document.metadata or {}).items()
            return {str(key): text for key, value in pairs if value and (text := clean_text(str(value)))}

    def box(self, page: int) -> tuple[float, float]:
        """Width and height of a page as displayed (crop box, rotation and user unit applied).

        Raises:
            DocumentError: ``page_box`` where it is unusably small, large or elongated.
        """
        with _boundary("damaged", page):
            rect = self._page(page).rect
            width, height = float(rect.width), float(rect.height)
        sides = (width, height)
        sane = all(math.isfinite(side) and MIN_SIDE <= side <= MAX_SIDE for side in sides)
        if not sane or max(sides) > MAX_ASPECT * min(sides):
            raise DocumentError("page_box", f"page {page + 1} is {width:.6g} x {height:.6g} points")
        return width, height

    def text(self, page: int) -> str:
        """Plain text of a page in the order of the file (cheaper than ``text_dict``).

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            return _no_surrogates(str(self._text_page(page, pymupdf.TEXT_PRESERVE_WHITESPACE).extractText()))

    def text_dict(self, page: int, vectors: bool = True) -> dict[str, Any]:
        """Everything that the text layer tells about a page, in the order of the file.

        Args:
            page: 0-based page.
            vectors: Also give the vector paths (rules, frames, fills). They cost almost nothing here, an order of
                magnitude less than ``drawings``.

        Returns:
            ``{"width", "height", "blocks": [...]}``. A block has ``type``, ``number`` and ``bbox``, and by its type

            * 0, text: ``lines`` of ``{"bbox", "dir", "wmode", "spans"}``; a span has ``text``, ``bbox``, ``origin``,
              ``font``, ``size``, ``flags`` (1 superscript, 2 italic, 4 serif, 8 monospaced, 16 bold), ``color``
              (sRGB), ``alpha`` and ``char_flags``. Invisible text (render mode 3 or 7, or opacity 0) has
              ``alpha == 0``; mode 3 has neither 16 (filled) nor 32 (stroked) in ``char_flags``. Ligatures are
              expanded, white space is kept, hyphens are kept. A vector between two lines begins a new block.
            * 1, image: the box alone; image data is never decoded.
            * 3, vector: ``stroked``, ``isrect``, ``continues`` (same path as the block before), ``color``, ``alpha``.
              None where the page has more than ``MAX_VECTORS`` (then ``"vectors_dropped": True`` in the result).

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            text_page = self._text_page(page, _TEXT | _VECTORS if vectors else _TEXT)
            images, count = _hide_images(text_page)
            dropped = count > MAX_VECTORS
            if dropped:
                _show_images(images)
                text_page = self._text_page(page, _TEXT)
                images, _ = _hide_images(text_page)
            try:
                result: dict[str, Any] = text_page.extractDICT()
            finally:
                _show_images(images)
            numbers = {number for number, _ in images}
            for block in result["blocks"]:
                if block["type"] == _VECTOR_BLOCK and block["number"] in numbers:
                    for key in ("stroked", "isrect", "continues", "color", "alpha"):
                        block.pop(key, None)
                    block["type"] = _IMAGE_BLOCK
            if dropped:
                result["vectors_dropped"] = True
            return result

    def outline(self) -> list[tuple[int, str, int, float | None]]:
        """The bookmarks in reading order: ``(level from 1, title, page, y or None)``.

        Entries that point nowhere inside the document are left out. ``y`` is where the target stands on its page.
        A damaged outline is an empty one: it is a hint, not the document.
        """
        try:
            with _boundary("damaged"):
                return self._outline()
        except DocumentError as error:
            if error.reason == "memory":
                raise
            return []

    def render(self, page: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        """A page as it is displayed, annotations included, stretched to exactly ``width`` x ``height`` pixels.

        Returns:
            uint8 array (height, width, 3), RGB. It is a view of the renderer's memory, which it keeps alive.

        Raises:
            DocumentError: ``render_error``, or ``page_box`` as in ``box``.
        """
        box_width, box_height = self.box(page)
        with _boundary("render_error", page):
            # A hair less than the wanted size: MuPDF rounds the scaled box outwards to whole pixels.
            matrix = pymupdf.Matrix((width - 1e-3) / box_width, (height - 1e-3) / box_height)
            pixmap = self._page(page).get_pixmap(
                matrix=matrix, colorspace=pymupdf.csRGB, alpha=False, annots=True
            )
            if (pixmap.width, pixmap.height, pixmap.n, pixmap.stride) != (width, height, 3, 3 * width):
                got = f"{pixmap.width} x {pixmap.height} x {pixmap.n}"
                raise DocumentError(
                    "render_error", f"page {page + 1}: {got} pixels instead of {width} x {height} x 3"
                )
            return np.asarray(_Pixels(pixmap))

    def find_tables(
        self, page: int, clip: tuple[float, float, float, float] | None = None, strategy: str = "lines"
    ) -> list[dict[str, Any]]:
        """Tables of a page or of the part ``clip`` of it. Slow (60 ms a page, up to seconds): for candidates only.

        Args:
            page: 0-based page.
            clip: Box to look in, in points as displayed.
            strategy: ``lines`` (rules and fills), ``lines_strict`` (rules only) or ``text`` (alignment).

        Returns:
            ``{"bbox", "rows": [[text or None]], "cells": [[box or None]]}`` a table; all rows have equal length, None
            stands for a cell that another one spans.

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            found = self._page(page).find_tables(clip=clip, strategy=strategy)
            tables = []
            for table in found.tables:
                rows = [
                    [None if cell is None else _no_surrogates(cell) for cell in row]
                    for row in table.extract()
                ]
                tables.append(
                    {"bbox": tuple(table.bbox), "rows": rows, "cells": [row.cells for row in table.rows]}
                )
            return tables

    def drawings(self, page: int) -> list[dict[str, Any]]:
        """Vector paths with their items (``Page.get_cdrawings``). 4 ms a page, up to 300: see ``text_dict`` first.

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            paths: list[dict[str, Any]] = self._page(page).get_cdrawings()
            return paths

    def drain_warnings(self) -> str:
        """What MuPDF complained about since the last call; empty if nothing."""
        return drain_warnings()

    def _page(self, number: int) -> Any:
        if number != self._number or self._loaded is None:
            self._loaded = None
            with _boundary("damaged", number):
                self._loaded = self._document.load_page(number)
            self._number = number
        return self._loaded

    def _text_page(self, number: int, flags: int) -> Any:
        # Page.get_textpage turns rotated pages back first; this gives coordinates as displayed.
        text_page = pymupdf.TextPage(self._page(number)._get_textpage(None, flags, pymupdf.Matrix(1, 1)))
        return text_page

    def _outline(self) -> list[tuple[int, str, int, float | None]]:
        entries: list[tuple[int, str, int, float | None]] = []
        stack = [(1, self._document.outline)]
        while stack and len(entries) < MAX_OUTLINE:
            level, item = stack.pop()
            if item is None or not item.this.m_internal:
                continue
            stack += [(level, item.next), (level + 1, item.down)]
            title, page, y = clean_text(item.title or "", 1000), int(item.page), float(item.y)
            if page == -1 and item.uri and not item.is_external:
                (page, *_), y = self._document.resolve_link(item.uri)[0:1], math.nan
            if title and 0 <= page < self.num_pages:
                entries.append((level, title, page, y if math.isfinite(y) else None))
        return entries


class _Pixels:
    """Lends a pixmap's memory to NumPy: the array refers to this object, and so the pixmap outlives it."""

    def __init__(self, pixmap: Any) -> None:
        self._pixmap = pixmap
        self.__array_interface__ = {
            "version": 3,
            "shape": (pixmap.height, pixmap.width, 3),
            "typestr": "|u1",
            "data": (pixmap.samples_ptr, True),
        }


def drain_warnings() -> str:
    """Return and forget the messages that MuPDF has collected."""
    return str(pymupdf.TOOLS.mupdf_warnings())


def clean_text(text: str, most: int = 200) -> str:
    """Untrusted text as one clean line: valid Unicode, no control characters, single spaces, at most ``most`` long."""
    printable = "".join(c if c.isprintable() else " " for c in _no_surrogates(text))
    return " ".join(printable.split())[:most]


def clean_detail(error: Exception, path: str = "") -> str:
    """An exception's message as a detail that two runs share: no path, no address."""
    text = str(error)
    if path:
        text = text.replace(path, os.path.basename(path))
    text = re.sub(r"/dev/fd/\d+", "the file", text)
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)
    return clean_text(f"{type(error).__name__}: {text}")


def _no_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _hide_images(text_page: Any) -> tuple[list[tuple[int, Any]], int]:
    """Relabel image blocks as vectors, so that the dict is made without their data; also count the vectors."""
    images, vectors, number = [], 0, 0
    block = text_page.this.m_internal.first_block
    while block:
        if block.type == _IMAGE_BLOCK:
            block.type = _VECTOR_BLOCK
            images.append((number, block))
        elif block.type == _VECTOR_BLOCK:
            vectors += 1
        block, number = block.next, number + 1
    return images, vectors


def _show_images(images: list[tuple[int, Any]]) -> None:
    # MuPDF frees a block by its type: without this every image would leak.
    for _, block in images:
        block.type = _IMAGE_BLOCK


@contextmanager
def _boundary(reason: str, page: int | None = None) -> Iterator[None]:
    """Turn whatever PyMuPDF raises into a ``DocumentError`` with ``reason``, or ``memory``."""
    try:
        yield
    except DocumentError:
        raise
    except MemoryError:
        raise DocumentError("memory", "out of memory") from None
    except Exception as error:
        detail = clean_detail(error)
        if re.search(r"[mc]alloc|out of memory|bad_alloc", detail, re.IGNORECASE):
            raise DocumentError("memory", detail) from None
        raise DocumentError(reason, detail if page is None else f"page {page + 1}: {detail}") from None
