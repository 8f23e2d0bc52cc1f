"""A look at the text and pages of one PDF before anything is made of it. Runs in sandboxed children only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .benchmarks import open_benchmarks
from .pdf import PdfFile, open_pdf
from .reasons import DocumentError
from .signatures import minhash, page_digest, picture_hash, shingles, thumbnail_size, words_of
from .untrusted import real_path

THIN_PAGE = 20
"""A page with fewer words has no text to be recognised by."""
FORM_FIELDS = 5
"""A page with as many fields to fill in is a form's."""
BLANK_INK = 2.0
"""Standard deviation of grey values of a page that shows nothing."""


def survey_pdf(payload: dict[str, Any]) -> dict[str, Any]:
    """Look at one PDF.

    Args:
        payload: ``{"path", "doc_id" ("": to be computed), "near": bool, "forms": bool, "spam": [words], "benchmarks":
            path of a ``BenchmarkIndex`` or ""}``.

    Returns:
        ``{"signature": MinHash of the text or b"", "shingles": how many, "pages": 8 bytes a page, zero where it has
        hardly any text, "words": number, "blank": pages that show nothing, "spam": number of spam words, "form_pages":
        pages that are mostly form fields, "contamination": detail or ""}``.

    Raises:
        DocumentError: a code of opening and reading.
    """
    index = open_benchmarks(payload["benchmarks"]) if payload["benchmarks"] else None
    doc_id = payload["doc_id"] or _sha256(payload["path"])
    with open_pdf(payload["path"]) as pdf:
        pages = [words_of(pdf.text(number)) for number in range(pdf.num_pages)]
        blank = sum(not words and _shows_nothing(pdf, number) for number, words in enumerate(pages))
        looked_at = range(pdf.num_pages) if payload["forms"] else ()
        forms = sum(pdf.form_fields(number) >= FORM_FIELDS for number in looked_at)
        pictures = _pictures(pdf) if index is not None and index.wants_pictures else []
    words = [word for page in pages for word in page]
    parts = shingles(words)
    spam = frozenset(payload["spam"])
    return {
        "signature": minhash(parts) if payload["near"] and len(words) >= THIN_PAGE else b"",
        "shingles": len(parts),
        "pages": b"".join(page_digest(page) if len(page) >= THIN_PAGE else bytes(8) for page in pages),
        "words": len(words),
        "blank": blank,
        "spam": sum(word in spam for word in words) if spam else 0,
        "form_pages": forms,
        "contamination": index.find(doc_id, pages, pictures) if index is not None else "",
    }


def survey_pages(payload: dict[str, Any]) -> dict[str, Any]:
    """What a benchmark's PDF can be recognised by.

    Args:
        payload: ``{"path"}``.

    Returns:
        ``{"sha256", "texts": [MinHash or b"" a page], "pictures": [hash or b"" a page]}``.

    Raises:
        DocumentError: a code of opening and reading.
    """
    from .benchmarks import page_signature

    sha256 = _sha256(payload["path"])
    with open_pdf(payload["path"]) as pdf:
        texts = [page_signature(words_of(pdf.text(number))) for number in range(pdf.num_pages)]
        return {"sha256": sha256, "texts": texts, "pictures": _pictures(pdf)}


def survey_picture(payload: dict[str, Any]) -> dict[str, Any]:
    """What a benchmark's page image can be recognised by: ``{"path"}`` -> ``{"picture": hash or b""}``.

    Raises:
        DocumentError: ``unreadable``, or ``damaged`` where it is no picture.
    """
    from PIL import Image

    try:
        with Image.open(real_path(payload["path"])) as image:
            if image.width * image.height > 200_000_000:
                raise DocumentError("page_box", f"{image.width} x {image.height} pixels")
            image.draft("RGB", (1024, 1024))
            small = image.convert("RGB").resize(thumbnail_size(*image.size), Image.Resampling.BOX)
            return {"picture": picture_hash(np.asarray(small))}
    except OSError as error:
        raise DocumentError("damaged", error.strerror or "no picture that can be read") from None


def _sha256(path: str) -> str:
    try:
        with Path(real_path(path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError("unreadable", error.strerror or type(error).__name__) from None


def _pictures(pdf: PdfFile) -> list[bytes]:
    sizes = (thumbnail_size(*pdf.box(number)) for number in range(pdf.num_pages))
    return [picture_hash(pdf.render(number, *size)) for number, size in enumerate(sizes)]


def _shows_nothing(pdf: PdfFile, number: int) -> bool:
    pixels = pdf.render(number, *thumbnail_size(*pdf.box(number)))
    return float(pixels.std()) < BLANK_INK
