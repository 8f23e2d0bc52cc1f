"""What sandboxed children do for the stage ask: all that looks at a document. Plain values in and out."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from mmprolong_data import vision
from mmprolong_data.settings import from_plain

from ...blocks import Document
from ...recipe import Recipe
from ...segments import choose_segments
from ...stages import pack_record, unpack_record
from ...tasks import candidate_of as candidate_from
from ...tasks import choose_questions, rejection, text_source
from ...transcribe import page_markdown
from ...untrusted import no_surrogates
from ..second_text import SecondText
from .check import IN_PICTURE, candidate_of, check_candidate

SEGMENTS = 8
"""Segments of a document that questions may be asked about."""
_SPECIAL = re.compile(r"<\|(?=[A-Za-z_])")


def prepare(payload: dict[str, Any]) -> dict[str, Any]:
    """What the parent needs to ask about a document.

    Args:
        payload: ``{"document": packed, "recipe": Recipe.content(), "dpi": planned DPI}``.

    Returns:
        ``{"segments": [[start, end, fallback], ...], "sizes": [[width, height], ...] of the images that the model sees,
        "texts": one a page (empty strings where the model sees images only), "english": bool}``.
    """
    document, recipe = _document(payload["document"]), _recipe(payload["recipe"])
    segments = choose_segments(document, recipe.segments, recipe.seed, SEGMENTS)
    dpi = recipe.qa.image_dpi or payload["dpi"]
    sizes = [vision.page_pixels(page.width, page.height, dpi, recipe.render.max_pixels) for page in document.pages]
    texts = [""] * len(document.pages)
    if recipe.qa.pages != "images":
        texts = [model_text(page_markdown(page, furniture=True), recipe.qa.page_characters) for page in document.pages]
    return {
        "segments": [[segment.start, segment.end, segment.fallback] for segment in segments],
        "sizes": [list(size) for size in sizes],
        "texts": texts,
        "english": document.language in ("en", "und", ""),
    }


def model_text(text: str, most: int) -> str:
    """Text of a page as a model may see it: valid Unicode, and nothing that a chat template reads as its own token."""
    return _SPECIAL.sub("< |", no_surrogates(text))[:most]


def check(payload: dict[str, Any]) -> dict[str, Any]:
    """Check a reply, or a candidate that was changed.

    Args:
        payload: ``{"path", "document": packed, "config", "segment": [start, end]}`` with ``"reply"``
            (``schemas.QuestionReply`` as a dict), or ``"candidate"`` as a dict.

    Returns:
        ``{"candidate": dict, "failed": [{"check", "reason"}], "checks": [names], "in_picture": bool, "text": source,
        "rejection": dict if failed}``. ``in_picture``: only a model can tell whether the answer is right.
    """
    document = _document(payload["document"])
    if "candidate" in payload:
        candidate = candidate_from(payload["candidate"])
    else:
        start, end = payload["segment"]
        candidate = candidate_of(payload["reply"], document, payload["config"], (start, end))
    with SecondText(payload["path"], document) as pages:
        verdicts = check_candidate(candidate, document, pages)
        failed = [{"check": v.check, "reason": v.reason} for v in verdicts if not v.ok and v.reason != IN_PICTURE]
        return {
            "candidate": asdict(candidate),
            "failed": failed,
            "checks": [verdict.check for verdict in verdicts if verdict.ok],
            "in_picture": any(verdict.reason == IN_PICTURE for verdict in verdicts),
            "text": "" if failed else text_source(candidate, pages),
            "rejection": rejection(candidate, failed) if failed else {},
        }


def programmatic(payload: dict[str, Any]) -> dict[str, Any]:
    """Questions of the generator without a model, to be reworded.

    Args:
        payload: ``{"path", "document": packed, "recipe": Recipe.content(), "configs"}``.

    Returns:
        ``{"questions": packed {config: tasks.Questions as a dict}}``.
    """
    document, recipe = _document(payload["document"]), _recipe(payload["recipe"])
    with SecondText(payload["path"], document) as pages:
        found = {config: asdict(choose_questions(document, recipe, config, pages)) for config in payload["configs"]}
    return {"questions": pack_record(found)}


def check_paraphrase(payload: dict[str, Any]) -> dict[str, Any]:
    """Check a candidate in other words: all that stood in the old question and counts still stands there.

    Args:
        payload: ``{"path", "document": packed, "candidate": dict, "question": str}``.

    Returns:
        ``{"candidate": dict with the new question, "wrong": why it cannot be used, or ""}``.
    """
    from dataclasses import replace

    from ..verify import verify_candidate
    from .paraphrase import what_is_lost

    document = _document(payload["document"])
    old = candidate_from(payload["candidate"])
    new = replace(old, question=" ".join(no_surrogates(payload["question"]).split()))
    wrong = what_is_lost(old.question, new.question)
    if not wrong:
        with SecondText(payload["path"], document) as pages:
            failed = [verdict for verdict in verify_candidate(new, document, pages) if not verdict.ok]
        wrong = f"{failed[0].check}: {failed[0].reason}" if failed else ""
    return {"candidate": asdict(new), "wrong": wrong}


@lru_cache(maxsize=2)
def _document(packed: bytes) -> Document:
    return Document.from_dict(unpack_record(packed))


def _recipe(content: dict[str, Any]) -> Recipe:
    return _recipe_of(json.dumps(content, sort_keys=True))


@lru_cache(maxsize=4)
def _recipe_of(text: str) -> Recipe:
    return from_plain(Recipe, json.loads(text))
