"""Reason codes: why a document, or a document's sample, was left out. Every one is explained here, once."""

from __future__ import annotations

DOCUMENT_REASONS = {
    "unreadable": "the file could not be read (permissions, I/O error, dangling link)",
    "empty_file": "the file has no bytes",
    "too_large": "the file is larger than ingest.max_bytes",
    "not_pdf": "the content is not a PDF, whatever the file name says",
    "encrypted": "it needs a password",
    "damaged": "it cannot be opened, or pages cannot be loaded",
    "no_pages": "it opens, but has no pages (often a truncated file)",
    "damaged_page": "a page renders blank while the renderer reports errors on it",
    "page_box": "a page is unusably small, large or elongated",
    "duplicate": "another file has the same bytes",
    "too_few_pages": "fewer pages than select.pages allows",
    "too_many_pages": "more pages than select.pages allows",
    "too_many_tokens": "its pages do not fit select.max_tokens, even at render.min_dpi",
    "language": "its language is none of filters.languages",
    "thin_text": "fewer words a page than filters.min_words",
    "blank_pages": "more of its pages are blank than filters.max_blank allows",
    "repeated_pages": "more of its pages stand in other documents too than filters.max_repeated allows",
    "spam": "more of its words are spam than filters.max_spam allows",
    "form": "more of its pages are forms to fill in than filters.max_forms allows",
    "near_duplicate": "its text is nearly that of another document, which is kept",
    "contaminated": "it contains a document, a page or a question of a benchmark (decontaminate.against)",
    "over_budget": "select.token_budget was reached before it",
    "needs_ocr": "more of its pages are scanned than parse.max_scanned allows, and no OCR engine is enabled",
    "ocr_error": "more of its scanned pages than ocr.max_errors allows could not be read",
    "crash": "it crashed the renderer",
    "timeout": "it took longer than sandbox.timeout",
    "memory": "it needed more than sandbox.memory",
    "parse_error": "the parser failed on it",
    "qa_error": "the question maker failed on it",
    "render_error": "a page could not be rendered",
    "slice_error": "its slice failed for good; the same command tries it again",
    "no_sample": "no config could make a checked sample from it",
    "removed": "it was taken out of the finished dataset by mmprolong remove",
}
"""Reason code -> what it means. A document of the inventory is used, or has exactly one of these."""

SAMPLE_REASONS = {
    "no_candidate": "no question could be made",
    "rejected": "questions were made, but none passed verification",
    "benchmark": "its question is one of a benchmark (decontaminate.against)",
    "over_max_tokens": "the sample does not fit select.max_tokens, even at render.min_dpi",
    "no_text": "there is no text to transcribe",
    "scanned_pages": "some pages are scanned, and no OCR engine is enabled",
}
"""Reason code -> what it means: why a used document has no sample in one config."""


class DocumentError(Exception):
    """One document cannot be used: raised inside a child, it crosses the pipe as ``(reason, detail)``.

    ``reason`` is a key of ``DOCUMENT_REASONS``. ``detail`` says what was wrong; it becomes part of records that must
    not differ between two runs, so it holds no absolute path, no object address and no time.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason
