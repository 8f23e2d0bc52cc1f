"""The text of a PDF by PDFium, a second extractor: verification must not repeat the parser's mistakes.

Runs in sandboxed children only. PDFium is BSD-3-Clause, pypdfium2 Apache-2.0 or BSD-3-Clause.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import pypdfium2
import pypdfium2.raw as pdfium

from ..blocks import Document
from ..untrusted import real_path
from .page_text import PageText, page_text_of

MAX_RECTS = 4000
"""A page with more runs of text is a drawing; its rows are its lines."""
MAX_OPEN = 16
"""Pages that are kept open, as their rows may be asked for right after their text."""
RUN = 1000
"""Characters of a run of text for which one call is enough."""
_HYPHEN = re.compile(r"[\ufffe\x02]\r?\n?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]")


class SecondText(Sequence[PageText]):
    """Pages of an open PDF as the verifier sees them; text and rows of each are read when they are first asked for.

    A page that PDFium cannot read, or whose text came from OCR, gives the text of its blocks: see ``source``.

    Args:
        path: The file, or the ``file:`` URI of one whose name is not UTF-8.
        document: What the parser made of it.
    """

    def __init__(self, path: str | Path, document: Document) -> None:
        self._document = document
        self._pages: dict[int, tuple[PageText, str]] = {}
        self._open: dict[int, tuple[Any, Any]] = {}
        self._pdf: Any = None
        try:
            with Path(real_path(str(path))).open("rb") as file:
                # A descriptor names any file; PDFium itself takes UTF-8 names only.
                handle = pdfium.FPDF_LoadDocument(f"/dev/fd/{file.fileno()}".encode(), None)
                if handle:
                    self._pdf = pypdfium2.PdfDocument(handle)
                    if len(self._pdf) != len(document.pages):
                        self.close()  # it is repaired in another way: page numbers would not mean the same
        except (OSError, pypdfium2.PdfiumError):
            self.close()

    def __enter__(self) -> SecondText:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read stays readable. May be called twice."""
        if self._pdf is not None:
            while self._open:
                self._close_oldest()
            self._pdf.close()
            self._pdf = None

    def __len__(self) -> int:
        return len(self._document.pages)

    @overload
    def __getitem__(self, number: int) -> PageText: ...
    @overload
    def __getitem__(self, number: slice) -> list[PageText]: ...
    def __getitem__(self, number: int | slice) -> PageText | list[PageText]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return self._page(range(len(self))[number])[0]

    def source(self, number: int) -> str:
        """Where the text of a page comes from: ``pdfium``, or ``blocks`` (the parser's, or OCR)."""
        return self._page(number)[1]

    def _page(self, number: int) -> tuple[PageText, str]:
        if number not in self._pages:
            own = self._document.pages[number]
            read = self._read(number) if own.status == "text" and self._pdf is not None else None
            self._pages[number] = (read, "pdfium") if read is not None else (page_text_of(own), "blocks")
        return self._pages[number]

    def _read(self, number: int) -> PageText | None:
        try:
            text = _clean(self._text_page(number).get_text_range())
        except (pypdfium2.PdfiumError, UnicodeError, ValueError):
            return None
        return PageText(text, partial(self._rows, number))

    def _rows(self, number: int) -> str:
        if self._pdf is None:
            raise ValueError("rows of a page were asked for after the file was closed")
        return "\n".join(_rows(self._text_page(number)))

    def _text_page(self, number: int) -> Any:
        if number not in self._open:
            if len(self._open) == MAX_OPEN:
                self._close_oldest()
            page = self._pdf[number]
            try:
                self._open[number] = page, page.get_textpage()
            except BaseException:
                page.close()
                raise
        return self._open[number][1]

    def _close_oldest(self) -> None:
        page, text_page = self._open.pop(next(iter(self._open)))
        text_page.close()
        page.close()


def _clean(text: str) -> str:
    """Words broken at a line's end joined, lines separated by line feeds, no control characters."""
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)


def _rows(text_page: Any) -> list[str]:
    """Runs of text that share a baseline, from left to right, top row first: a table's rows, however it was drawn."""
    count = text_page.count_rects()
    if not 0 < count <= MAX_RECTS:
        return []
    buffer = (ctypes.c_ushort * RUN)()
    runs = []
    for index in range(count):
        left, bottom, right, top = text_page.get_rect(index)
        text = bounded_text(text_page, left, bottom, right, top, buffer)
        text = _CONTROL.sub("", text).strip()
        if text and top > bottom:
            runs.append((top, bottom, left, text))
    runs.sort(key=lambda run: (-run[0] - run[1], run[2]))
    rows: list[list[tuple[float, float, float, str]]] = []
    for run in runs:
        top, bottom, _, _ = run
        middle = (top + bottom) / 2
        own = rows[-1][0] if rows else None
        if own is not None and (own[1] <= middle <= own[0] or bottom <= (own[0] + own[1]) / 2 <= top):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [" ".join(text for _, _, _, text in sorted(row, key=lambda run: run[2])) for row in rows]


def bounded_text(text_page: Any, left: float, bottom: float, right: float, top: float, buffer: Any) -> str:
    """``text_page.get_text_bounded``, which looks at all characters of the page twice, first for the length."""
    length = pdfium.FPDFText_GetBoundedText(text_page, left, top, right, bottom, buffer, RUN) - 1  # without its end
    text = bytes(memoryview(buffer)[: max(0, length)]).decode("utf-16-le", "ignore")
    if len(text) == length < RUN - 1:
        return text
    # Long, or with characters beyond U+FFFF, which that method counts in a way of its own.
    return str(text_page.get_text_bounded(left, bottom, right, top))
