# mypy: disable-error-code="no-untyped-call"
"""PyMuPDF behind one small interface. Runs in sandboxed children only.

PyMuPDF is AGPL-3.0 (or commercial): nothing but this module and what it alone uses (pdf_text.py) imports it.
Its exceptions share no base class, so every call that reaches it turns any ``Exception`` into a
``DocumentError``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pymupdf

from . import pdf_text
from .reasons import DocumentError
from .untrusted import clean_detail, clean_text, no_surrogates, real_path

HEADER_BYTES = 1024
"""Viewers look for ``%PDF-`` in the first 1,024 bytes (ISO 32000-1, annex H.3)."""
MIN_SIDE, MAX_SIDE = 3.0, 14_400.0
"""Least and most points of a page side (ISO 32000-1, annex C.2)."""
MAX_ASPECT = 200.0
"""Most that one side may be longer than the other (``smart_resize`` of Qwen2.5-VL refuses more)."""
PARSER = f"pymupdf {pymupdf.VersionBind}"
"""Name and version of the library, for records."""

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)
pymupdf.no_recommend_layout()


def open_pdf(path: str | Path) -> PdfFile:
    """Open a PDF.

    Args:
        path: The file, or the ``file:`` URI of one whose name is not UTF-8 (``untrusted.stored_path``).

    Raises:
        DocumentError: ``unreadable``, ``empty_file``, ``not_pdf``, ``encrypted``, ``damaged``, ``no_pages``.
    """
    name = real_path(str(path))
    drain_warnings()
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below, where other errors have other reasons
    except OSError as error:
        raise DocumentError("unreadable", error.strerror or type(error).__name__) from None
    with file:
        head = file.read(HEADER_BYTES)
        if not head:
            raise DocumentError("empty_file")
        # Before MuPDF sees it: MuPDF opens HTML, images and archives as documents of their own kind.
        if b"%PDF-" not in head and re.search(rb"%!PS-Adobe-\d\.\d PDF-\d", head) is None:
            raise DocumentError("not_pdf", f"no %PDF- in the first {HEADER_BYTES} bytes")
        try:
            # A descriptor names any file; MuPDF itself takes UTF-8 names only.
            document = pymupdf.open(f"/dev/fd/{file.fileno()}", filetype="pdf")
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            detail = drain_warnings() or clean_detail(error, name)
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


_PUSH_BUTTON = 1  # pymupdf.PDF_WIDGET_TYPE_BUTTON


class PdfFile:
    """An open PDF. Pages are 0-based; lengths are in points of the page as displayed, from its top left corner.

    Every method may raise ``DocumentError`` ``damaged`` (a page cannot be loaded) or ``memory``, besides the
    codes that it names.
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
        """Close the file; MuPDF frees what it cached for it. May be called twice.

        What its cache holds for any document stays: colour conversions take as long to make as the text of two pages.
        """
        self._loaded = None
        if self._document is not None:
            document, self._document = self._document, None
            with _boundary("damaged"):
                document.close()

    @property
    def metadata(self) -> dict[str, str]:
        """``title``, ``author``, ``producer`` ... as clean one-line text; empty ones are left out."""
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
            return pdf_text.plain_text(self._page(page))

    def text_dict(self, page: int, vectors: bool = True) -> dict[str, Any]:
        """Text, image boxes and vector boxes of a page, in the order of the file.

        Args:
            page: 0-based page.
            vectors: Also give the vector paths (rules, frames, fills). They cost almost nothing here, far less
                than ``drawings``.

        Returns:
            ``{"width", "height", "blocks": [...], "vectors_dropped": bool}``. A block has ``type``, ``number``
            and ``bbox``, and by its type

            * 0, text: ``lines`` of ``{"bbox", "dir", "wmode", "spans"}``; a span has ``text``, ``bbox``,
              ``origin``, ``font``, ``size``, ``flags`` (1 superscript, 2 italic, 4 serif, 8 monospaced,
              16 bold), ``color`` (sRGB), ``alpha`` and ``char_flags``. Text that is not painted (render mode 3
              or 7, or opacity 0) has ``alpha == 0``. Ligatures are expanded, white space and hyphens are kept.
              A vector between two lines begins a new block.
            * 1, image: nothing more; image data is never decoded.
            * 3, vector: ``stroked``, ``isrect``, ``continues`` (the path of the block before), ``color``,
              ``alpha``. A page with more than ``pdf_text.MAX_VECTORS`` gives none (``vectors_dropped``).

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            return pdf_text.page_blocks(self._page(page), vectors)

    def outline(self) -> list[tuple[int, str, int, float | None]]:
        """The bookmarks in reading order: ``(level from 1, title, page, y or None)``.

        Entries that point nowhere inside the document are left out. ``y`` is where the target stands on its
        page. A damaged outline is an empty one: it is a hint, not the document.
        """
        try:
            with _boundary("damaged"):
                return pdf_text.outline(self._document, self.num_pages)
        except DocumentError as error:
            if error.reason == "memory":
                raise
            return []

    def render(self, page: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        """A page as displayed, annotations included, stretched to exactly ``width`` x ``height`` pixels.

        Returns:
            uint8 array (height, width, 3), RGB, read-only: a view of the renderer's memory that keeps it alive.

        Raises:
            DocumentError: ``render_error``, or ``page_box`` as in ``box``.
        """
        box_width, box_height = self.box(page)
        with _boundary("render_error", page):
            # A hair less than the wanted size: MuPDF rounds the scaled box outwards to whole pixels.
            matrix = pymupdf.Matrix((width - 1e-3) / box_width, (height - 1e-3) / box_height)
            pixmap = self._page(page).get_pixmap(matrix=matrix, alpha=False, annots=True)
            size = (pixmap.width, pixmap.height, pixmap.n, pixmap.stride)
            if size != (width, height, 3, 3 * width):
                raise ValueError(f"{size[0]} x {size[1]} x {size[2]} pixels instead of {width} x {height} x 3")
            return np.asarray(_Pixels(pixmap))

    def find_tables(
        self, page: int, clip: tuple[float, float, float, float] | None = None, strategy: str = "lines"
    ) -> list[dict[str, Any]]:
        """Tables of a page, or of the part ``clip`` of it. Slow (60 ms a page, up to seconds): candidates only.

        Args:
            page: 0-based page.
            clip: Box to look in.
            strategy: ``lines`` (rules and fills), ``lines_strict`` (rules only) or ``text`` (alignment).

        Returns:
            ``{"bbox", "rows": [[text or None]], "cells": [[box or None]]}`` a table; all rows have equal length,
            None stands for a cell that another one spans. Pages that are both rotated and cropped give none.

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            loaded = self._page(page)
            if loaded.rotation and loaded.cropbox != loaded.mediabox:
                return []  # PyMuPDF 1.28 finds them in the wrong place, and leaves the page with another box
            tables = []
            for table in loaded.find_tables(clip=clip, strategy=strategy).tables:
                rows = [[cell and no_surrogates(cell) for cell in row] for row in table.extract()]
                cells = [list(row.cells) for row in table.rows]
                tables.append({"bbox": tuple(table.bbox), "rows": rows, "cells": cells})
            return tables

    def drawings(self, page: int) -> list[dict[str, Any]]:
        """Vector paths with their items (``Page.get_cdrawings``): 4 ms a page, up to 300. See ``text_dict``.

        Raises:
            DocumentError: ``parse_error``.
        """
        with _boundary("parse_error", page):
            paths: list[dict[str, Any]] = self._page(page).get_cdrawings()
            return paths

    def form_fields(self, page: int) -> int:
        """Number of fields to fill in on a page (buttons that only act are not counted)."""
        with _boundary("parse_error", page):
            if not self._document.is_form_pdf:
                return 0
            kinds = [widget.field_type for widget in self._page(page).widgets()]
            return sum(kind != _PUSH_BUTTON for kind in kinds)

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


class _Pixels:
    """Lends a pixmap's memory to NumPy: the array refers to this object, so the pixmap outlives the array."""

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
    return clean_text(str(pymupdf.TOOLS.mupdf_warnings()))


@contextmanager
def _boundary(reason: str, page: int | None = None) -> Iterator[None]:
    """Turn whatever PyMuPDF raises into a ``DocumentError`` with ``reason``, or ``memory``."""
    try:
        yield
    except DocumentError:
        raise
    except MemoryError:
        raise DocumentError("memory", "out of memory") from None
    except Exception as error:  # noqa: BLE001 - see the module's docstring
        detail = clean_detail(error)
        if re.search(r"[mc]alloc|out of memory|bad_alloc", detail, re.IGNORECASE):
            raise DocumentError("memory", detail) from None
        raise DocumentError(reason, detail if page is None else f"page {page + 1}: {detail}") from None
