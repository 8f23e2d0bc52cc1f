"""Questions of a finished dataset checked again in a sandboxed child: from the PDF alone, as if they were new."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mmprolong_data.settings import from_plain

from ..layout.parse import parse_document
from ..pdf import open_pdf
from ..reasons import DocumentError
from ..recipe import Parse
from ..untrusted import real_path
from .openai.check import IN_PICTURE, check_candidate
from .protocol import Answer, Candidate
from .second_text import SecondText
from .verify import verify_candidate


def recheck_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Check all questions of one document.

    Args:
        payload: ``{"path", "doc_id", "settings": recipe.Parse as a dict, "records": [...]}``; a record has the
            columns of a sample but its images.

    Returns:
        ``{"results": [{"id", "state", "check", "reason"}]}``; ``state`` is ``ok``, ``failed``, ``scanned`` (the
        evidence has no text layer: OCR would have to read it) or ``changed`` (the file is another one).

    Raises:
        DocumentError: any reason code of opening and parsing.
    """
    try:
        with Path(real_path(payload["path"])).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError("unreadable", error.strerror or type(error).__name__) from None
    if digest != payload["doc_id"]:
        return {"results": [_result(record, "changed", "file") for record in payload["records"]]}
    with open_pdf(payload["path"]) as pdf:
        document = parse_document(pdf, payload["doc_id"], from_plain(Parse, payload["settings"]))
    results = []
    with SecondText(payload["path"], document) as pages:
        for record in payload["records"]:
            try:
                candidate = candidate_of(record)
            except (ValueError, KeyError, TypeError) as error:
                results.append(_result(record, "failed", "format", f"its record cannot be read: {error}"))
                continue
            evidence = [page for page in candidate.evidence_pages if 0 <= page < len(document.pages)]
            if any(document.pages[page].status == "needs_ocr" for page in evidence):
                results.append(_result(record, "scanned", "answer"))
                continue
            # A model's computation has a proof of its own kind; what it saw in a picture only a model can see again.
            check = check_candidate if str(record["generator"]).startswith("openai/") else verify_candidate
            failed = next((v for v in check(candidate, document, pages) if not v.ok), None)
            if failed is None:
                results.append(_result(record, "ok"))
            elif failed.reason == IN_PICTURE:
                results.append(_result(record, "scanned", "answer"))
            else:
                results.append(_result(record, "failed", failed.check, failed.reason))
    return {"results": results}


def _result(record: dict[str, Any], state: str, check: str = "", reason: str = "") -> dict[str, Any]:
    return {"id": record["id"], "state": state, "check": check, "reason": reason}


def candidate_of(record: dict[str, Any]) -> Candidate:
    """The candidate that a sample was made of.

    Raises:
        ValueError, KeyError, TypeError: the record is no such sample.
    """
    meta = json.loads(record["meta"])
    segment = (int(record["segment"]["start"]), int(record["segment"]["end"]))
    scope = meta.get("scope", segment)
    return Candidate(
        config=record["config"],
        family=meta.get("family", ""),
        question=record["question"],
        answer=_typed(record["answer"], record["answer_format"]),
        answer_format=record["answer_format"],
        evidence_pages=list(record["evidence_pages"]),
        evidence_sources=list(record["evidence_sources"]),
        segment=segment,
        scope=(int(scope[0]), int(scope[1])),
        proof=meta.get("proof", {}),
        notes={name: meta[name] for name in ("fallback",) if name in meta},
    )


def _typed(text: str, answer_format: str) -> Answer:
    """The inverse of ``tasks.answer_text``."""
    if answer_format == "Integer":
        return int(text)
    if answer_format == "Float":
        return float(text)
    if answer_format == "List":
        value = json.loads(text)
        if not isinstance(value, list):
            raise ValueError("a list is not JSON of a list")
        return value
    return text
