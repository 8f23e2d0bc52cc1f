"""The data contract: Sample, config names, answer formats, the Arrow schema and the validation of a sample."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import FormatError

FORMAT_VERSION = 1
"""Version of the on-disk format. A reader refuses a dataset whose version is larger."""

CONFIG_NAMES = ("extract_single", "extract_multi", "reasoning", "ocr_full", "ocr_needle")
PROBE_CONFIGS = ("planted_code",)
"""Configs that only evaluation sets have (``mmprolong build-probe``): a code stamped onto a page, asked for."""
KNOWN_CONFIGS = (*CONFIG_NAMES, *PROBE_CONFIGS)
"""Every config that a dataset may have."""
VQA_CONFIGS = ("extract_single", "extract_multi", "reasoning")
OCR_CONFIGS = ("ocr_full", "ocr_needle")
SPLITS = ("train", "validation")
ANSWER_FORMATS = ("String", "Integer", "Float", "List")
EVIDENCE_SOURCES = ("Text", "Layout", "Figure", "Table")


@dataclass(frozen=True, slots=True)
class Sample:
    """One training sample: a whole document as page images, a question about it, and its checked answer.

    Attributes:
        id: Unique key inside a dataset, without dots (a WebDataset key ends at the first dot).
        doc_id: SHA-256 (hex) of the PDF.
        config: One of ``KNOWN_CONFIGS``.
        version: The dataset version that the sample was built for, ``X.Y.Z``: the dataset's own or an earlier one.
        num_pages: Number of pages = number of images.
        num_tokens: Image tokens + text tokens of the whole conversation (see ``mmprolong_data.chat``).
        images: The JPEG bytes of every page, in physical order.
        messages: Chat turns with typed parts; the number of ``image`` parts equals ``num_pages``.
        question: The user's text, without page labels.
        answer: The target; for ``answer_format == "List"`` a JSON array.
        answer_format: One of ``ANSWER_FORMATS``.
        evidence_pages: 0-based physical page indices that hold the answer, ascending.
        evidence_sources: Subset of ``EVIDENCE_SOURCES``.
        segment: ``(start, end)``: 0-based pages of the segment that the question was made from, end exclusive.
        generator: Name and version of what wrote the question, e.g. ``programmatic/1``.
        verification: JSON object: the checks and their verdicts.
        meta: JSON object: family, proof, page-label setting, DPI, language, source file name ...
    """

    id: str
    doc_id: str
    config: str
    version: str
    num_pages: int
    num_tokens: int
    images: Sequence[bytes]
    messages: Sequence[dict[str, Any]]
    question: str
    answer: str
    answer_format: str
    evidence_pages: Sequence[int]
    evidence_sources: Sequence[str]
    segment: tuple[int, int]
    generator: str
    verification: str
    meta: str

    def validate(self) -> None:
        """Check every invariant of the contract.

        Raises:
            FormatError: naming the sample, the field and what is wrong with it.
        """

        def fail(field: str, why: str) -> None:
            raise FormatError(f"sample {self.id}: {field}: {why}")

        if not self.id or not self.id.isascii() or "." in self.id or "/" in self.id:
            fail("id", f"{self.id!r} must be non-empty ASCII without dots and slashes")
        if len(self.doc_id) != 64 or any(c not in "0123456789abcdef" for c in self.doc_id):
            fail("doc_id", "must be a SHA-256 in lower-case hex")
        if self.config not in KNOWN_CONFIGS:
            fail("config", f"{self.config!r} is none of {', '.join(KNOWN_CONFIGS)}")
        if self.num_pages < 1 or len(self.images) != self.num_pages:
            fail("images", f"{len(self.images)} images for num_pages={self.num_pages}")
        parts = [part for message in self.messages for part in message["content"]]
        if sum(part["type"] == "image" for part in parts) != self.num_pages:
            fail("messages", f"the number of image parts must be num_pages={self.num_pages}")
        if [message["role"] for message in self.messages][-1:] != ["assistant"]:
            fail("messages", "the last turn must be the assistant's")
        if not self.question.strip():
            fail("question", "empty")
        if not self.answer.strip():
            fail("answer", "empty")
        if self.answer_format not in ANSWER_FORMATS:
            fail("answer_format", f"{self.answer_format!r} is none of {', '.join(ANSWER_FORMATS)}")
        check_answer(self.answer, self.answer_format, f"sample {self.id}")
        pages = list(self.evidence_pages)
        if not pages or pages != sorted(set(pages)) or pages[0] < 0 or pages[-1] >= self.num_pages:
            fail("evidence_pages", f"{pages} must be ascending pages in 0..{self.num_pages - 1}")
        if not set(self.evidence_sources) <= set(EVIDENCE_SOURCES) or not self.evidence_sources:
            fail("evidence_sources", f"{list(self.evidence_sources)} is no non-empty subset of {EVIDENCE_SOURCES}")
        start, end = self.segment
        if not 0 <= start < end <= self.num_pages:
            fail("segment", f"{self.segment} is no range of pages")
        if pages[0] < start or pages[-1] >= end:
            fail("evidence_pages", f"{pages} lie outside the segment {self.segment}")
        for field in ("verification", "meta"):
            try:
                value = json.loads(getattr(self, field))
            except ValueError as error:
                raise FormatError(f"sample {self.id}: {field}: not JSON ({error})") from None
            if not isinstance(value, dict):
                fail(field, "must be a JSON object")


def check_answer(answer: str, answer_format: str, where: str) -> None:
    """Check that a stored answer string has the type that its format promises.

    Raises:
        FormatError: starting with ``where``.
    """
    try:
        if answer_format == "Integer":
            int(answer)
        elif answer_format == "Float":
            float(answer)
        elif answer_format == "List":
            items = json.loads(answer)
            if not isinstance(items, list) or not items:
                raise ValueError("not a non-empty JSON array")
    except ValueError as error:
        raise FormatError(f"{where}: answer {answer[:80]!r} is no {answer_format}: {error}") from None


def page_name(page: int) -> str:
    """Name of page ``page`` (0-based) inside a sample: ``page-0001.jpg`` is the first."""
    return f"page-{page + 1:04d}.jpg"
