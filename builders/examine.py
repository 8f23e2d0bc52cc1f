"""What the inventory says about one PDF: its hash, pages, page boxes, producer and language. Runs in children only."""

from __future__ import annotations

import hashlib
from itertools import groupby
from pathlib import Path
from typing import Any

from .language import guess_language
from .pdf import PdfFile, open_pdf
from .reasons import DocumentError
from .untrusted import real_path

ENOUGH_TEXT = 500
"""Characters that settle the language. Text is what an inventory spends its time on: a first page loads the fonts."""


_NO_BOXES: dict[str, list[Any]] = {"widths": [], "heights": [], "repeats": []}


def inspect_pdf(payload: dict[str, Any]) -> dict[str, Any]:
    """Look at one PDF without rendering it.

    Args:
        payload: ``{"path", "max_pages"}``.

    Returns:
        ``{"sha256", "pages", "widths", "heights" (points as displayed, of each run of equal pages), "repeats" (pages
        of that run), "producer", "language", "reason", "detail"}``; with a ``reason``, what was not reached is empty.

    Raises:
        DocumentError: ``unreadable``, when there is not even a hash.
    """
    try:
        with Path(real_path(payload["path"])).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError("unreadable", error.strerror or type(error).__name__) from None
    found: dict[str, Any] = {"sha256": sha256, "pages": 0, "producer": "", "language": "", **_NO_BOXES}
    try:
        _fill(found, payload)
    except DocumentError as error:
        if error.reason == "memory":
            raise  # the pool tries it again in a fresh child
        return found | _NO_BOXES | {"reason": error.reason, "detail": error.detail}
    return found | {"reason": "", "detail": ""}


def _fill(found: dict[str, Any], payload: dict[str, Any]) -> None:
    most = payload["max_pages"]
    with open_pdf(payload["path"]) as pdf:
        found["pages"] = pdf.num_pages
        metadata = pdf.metadata
        found["producer"] = metadata.get("producer") or metadata.get("creator") or ""
        if pdf.num_pages > most:
            raise DocumentError("too_many_pages", f"{pdf.num_pages} pages, ingest.max_pages is {most}")
        runs = [(box, len(list(pages))) for box, pages in groupby(map(pdf.box, range(pdf.num_pages)))]
        found["widths"] = [width for (width, _), _ in runs]
        found["heights"] = [height for (_, height), _ in runs]
        found["repeats"] = [count for _, count in runs]
        found["language"] = _language(pdf)


def _language(pdf: PdfFile) -> str:
    """Guess from a page in the middle; where that does not settle it, from a page of each half too."""
    count, text, language = pdf.num_pages, "", "und"
    for page in dict.fromkeys((count // 2, count // 4, count * 3 // 4)):
        try:
            text += pdf.text(page) + "\n"
        except DocumentError as error:
            if error.reason == "memory":
                raise
        language = guess_language(text)
        if language != "und" and len(text) >= ENOUGH_TEXT:
            break
    return language
