"""The five sample kinds: from a parsed document to checked items, one list for all configs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from mmprolong_data.settings import from_plain

from .blocks import Document
from .qa.choose import Chooser
from .qa.programmatic import ProgrammaticGenerator
from .qa.protocol import Answer, Candidate, Generator
from .qa.second_text import SecondText
from .qa.verify import verify_candidate
from .recipe import Recipe
from .seeding import stable_int
from .segments import choose_segments
from .transcribe import page_markdown, pages_markdown

SEGMENTS_TRIED = 4
"""Segments of a document that are tried for a config before it is given up."""
CANDIDATES_TRIED = 12
"""Candidates of a segment that are verified before the next segment is tried."""
NEEDLE_CHARACTERS = 200
"""A page with less text is no needle."""
TRANSCRIBER = "transcription/1"

_SPECIAL = re.compile(r"<\|[a-z_]+\|>|<image>")

FULL_WORDINGS = (
    "Transcribe pages 1 to {last} in reading order as Markdown, with a line <!-- Page N --> before each page.",
    "Write out the text of all pages, from page 1 to page {last}, as Markdown. Begin each page with <!-- Page N -->.",
    "Give the complete text of pages 1-{last} in Markdown. Mark the beginning of every page with <!-- Page N -->.",
    "Convert pages 1 through {last} to Markdown text, each page preceded by a line <!-- Page N -->.",
    "Read pages 1 to {last} and reproduce their text as Markdown; put <!-- Page N --> in front of each page.",
    "Type out everything on pages 1-{last} as Markdown, page by page, each page after a line <!-- Page N -->.",
)
ONE_WORDINGS = (
    "Transcribe {pages} as Markdown.",
    "Write out the text of {pages} as Markdown.",
    "What is written on {pages}? Give the complete text as Markdown.",
    "Convert {pages} to Markdown text.",
    "Reproduce the full text of {pages} in reading order, as Markdown.",
    "Type out {pages}, in Markdown.",
)
SEVERAL_WORDINGS = (
    "Transcribe {pages} as Markdown, with a line <!-- Page N --> before each page.",
    "Write out the text of {pages} as Markdown. Begin each page with <!-- Page N -->.",
    "What is written on {pages}? Give the complete text as Markdown, each page after a line <!-- Page N -->.",
    "Convert {pages} to Markdown text, each page preceded by <!-- Page N -->.",
    "Reproduce the full text of {pages} in reading order, as Markdown; mark each page with <!-- Page N -->.",
    "Type out {pages}, in Markdown, putting <!-- Page N --> in front of each.",
)


@dataclass(frozen=True, slots=True)
class Item:
    """All of a sample that does not need its images: see ``mmprolong_data.schema.Sample`` for the fields."""

    id: str
    config: str
    question: str
    answer: str
    answer_format: str
    evidence_pages: list[int]
    evidence_sources: list[str]
    segment: tuple[int, int]
    generator: str
    verification: str
    meta: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for msgpack."""
        return asdict(self)


@dataclass(slots=True)
class TaskResult:
    """What a document gives: items, why a config has none (codes of ``SAMPLE_REASONS``), and what was rejected."""

    items: list[Item] = field(default_factory=list)
    shortfalls: dict[str, str] = field(default_factory=dict)
    rejected: list[dict[str, Any]] = field(default_factory=list)


def make_items(
    document: Document,
    recipe: Recipe,
    configs: Sequence[str],
    info: dict[str, Any],
    pages: SecondText | None = None,
    given: Mapping[str, Any] | None = None,
) -> TaskResult:
    """Items of every config asked for; a pure function of its arguments.

    Args:
        document: The parsed document.
        recipe: The settings.
        configs: Any of ``schema.CONFIG_NAMES``.
        info: ``{"name": file name}``, kept as provenance.
        pages: The second extraction that questions are checked against; by default the document's own blocks.
        given: Config -> ``Questions`` as a dict, where something else has made the questions.
    """
    result = TaskResult()
    for config in configs:
        if config == "ocr_full":
            reason = _ocr_full(document, recipe, info, result)
        elif config == "ocr_needle":
            reason = _ocr_needle(document, recipe, info, result)
        else:
            found = choose_questions(document, recipe, config, pages) if given is None else questions_of(given[config])
            for number, accepted in enumerate(found.accepted):
                result.items.append(_question_item(document, config, number, accepted, info))
            result.rejected += found.rejected
            reason = found.reason
        if reason:
            result.shortfalls[config] = reason
    return result


def qa_task(payload: dict[str, Any]) -> dict[str, Any]:
    """``make_items`` on plain values: ``{"document", "recipe", "configs", "info"}``."""
    document = Document.from_dict(payload["document"])
    result = make_items(document, from_plain(Recipe, payload["recipe"]), payload["configs"], payload["info"])
    items = [item.to_dict() for item in result.items]
    return {"items": items, "shortfalls": result.shortfalls, "rejected": result.rejected}


@lru_cache(maxsize=1)
def _generator() -> Generator:
    return ProgrammaticGenerator()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A candidate that passed its checks: ``checks`` are their names with ``ok``, ``models`` the verdicts of models."""

    candidate: Candidate
    generator: str
    checks: dict[str, str]
    text: str
    fallback: str = ""
    models: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Questions:
    """The questions of a document and config, and ``reason`` (of ``SAMPLE_REASONS``) if there is none."""

    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


def questions_of(value: Mapping[str, Any]) -> Questions:
    """The inverse of ``asdict`` on ``Questions``."""
    accepted = [Accepted(**entry | {"candidate": candidate_of(entry["candidate"])}) for entry in value["accepted"]]
    return Questions(accepted, list(value["rejected"]), value["reason"])


def candidate_of(value: Mapping[str, Any]) -> Candidate:
    """The inverse of ``asdict`` on a ``Candidate``, also after msgpack made lists of its tuples."""
    return Candidate(**{**value, "segment": tuple(value["segment"]), "scope": tuple(value["scope"])})


def choose_questions(document: Document, recipe: Recipe, config: str, pages: SecondText | None) -> Questions:
    """Questions of one config, made without a model."""
    generator = _generator()
    chooser = Chooser(recipe.qa.per_document)
    found = Questions()
    seen = 0
    for segment in choose_segments(document, recipe.segments, recipe.seed, SEGMENTS_TRIED):
        candidates = generator.generate(document, [segment], config, recipe.seed)
        seen += len(candidates)
        tried = 0
        for candidate in candidates:
            if chooser.full or tried == max(CANDIDATES_TRIED, 2 * chooser.wanted):
                break
            if chooser.refuse(candidate):
                continue
            tried += 1
            verdicts = verify_candidate(candidate, document, pages)
            failed = [{"check": v.check, "reason": v.reason} for v in verdicts if not v.ok]
            if failed:
                found.rejected.append(rejection(candidate, failed))
            else:
                chooser.take(candidate)
                checks = {verdict.check: "ok" for verdict in verdicts}
                text = text_source(candidate, pages)
                found.accepted.append(Accepted(candidate, generator.name, checks, text, segment.fallback))
        if chooser.full:
            break
    if not found.accepted:
        found.reason = "rejected" if seen else "no_candidate"
    return found


def rejection(candidate: Candidate, failed: list[dict[str, str]]) -> dict[str, Any]:
    """What is kept of a candidate that failed: ``failed`` are ``{"check", "reason"}``."""
    entry = {"config": candidate.config, "family": candidate.family, "question": candidate.question}
    return entry | {"answer": answer_text(candidate.answer), "failed": failed}


def _question_item(document: Document, config: str, number: int, accepted: Accepted, info: dict[str, Any]) -> Item:
    candidate = accepted.candidate
    meta = {"family": candidate.family, "proof": candidate.proof, "scope": list(candidate.scope)} | candidate.notes
    if accepted.fallback:
        meta["segment_fallback"] = accepted.fallback
    verification: dict[str, Any] = {"checks": accepted.checks, "text": accepted.text}
    if accepted.models:
        verification["models"] = accepted.models
    return Item(
        id=f"{document.doc_id[:20]}-{config}-{number:02d}",
        config=config,
        question=candidate.question,
        answer=answer_text(candidate.answer),
        answer_format=candidate.answer_format,
        evidence_pages=candidate.evidence_pages,
        evidence_sources=candidate.evidence_sources,
        segment=candidate.segment,
        generator=accepted.generator,
        verification=_json(verification),
        meta=_meta(document, info, meta, ""),
    )


def text_source(candidate: Candidate, pages: SecondText | None) -> str:
    """What the evidence was checked against: ``pdfium``, ``blocks`` (the parser's own text), or both."""
    if pages is None:
        return "blocks"
    return "+".join(sorted({pages.source(page) for page in candidate.evidence_pages}))


def answer_text(answer: Answer) -> str:
    """An answer as a sample stores it: a list as JSON, a float without needless digits."""
    if isinstance(answer, list):
        return json.dumps(answer, ensure_ascii=False)
    if isinstance(answer, float):
        return format(answer, ".10g")
    return str(answer)


def _ocr_full(document: Document, recipe: Recipe, info: dict[str, Any], result: TaskResult) -> str:
    if not any(page_markdown(page) for page in document.pages):
        return "no_text"
    text = pages_markdown(document.pages, recipe.tasks.headers)
    wording = FULL_WORDINGS[stable_int(recipe.seed, document.doc_id, "ocr_full") % len(FULL_WORDINGS)]
    evidence = list(range(len(document.pages)))
    question = wording.format(last=len(document.pages))
    result.items.append(_transcription(document, "ocr_full", question, text, evidence, info))
    return ""


def _ocr_needle(document: Document, recipe: Recipe, info: dict[str, Any], result: TaskResult) -> str:
    texts = {
        page.number: page_markdown(page, recipe.tasks.headers)
        for page in document.pages
        if page.status in ("text", "ocr")
    }
    usable = [number for number, text in texts.items() if len(text) >= NEEDLE_CHARACTERS]
    if not usable:
        return "no_text"
    key = (recipe.seed, document.doc_id, "ocr_needle")
    least, most = recipe.tasks.needle_pages
    count = min(len(usable), least + stable_int(*key, "count") % (most - least + 1))
    chosen = sorted(sorted(usable, key=lambda number: stable_int(*key, number))[:count])
    wordings = ONE_WORDINGS if count == 1 else SEVERAL_WORDINGS
    wording = wordings[stable_int(*key, "wording") % len(wordings)]
    if count == 1:
        text = texts[chosen[0]]
    else:
        text = pages_markdown([document.pages[number] for number in chosen], recipe.tasks.headers)
    question = wording.format(pages=_page_list(chosen))
    result.items.append(_transcription(document, "ocr_needle", question, text, chosen, info))
    return ""


def _page_list(pages: Sequence[int]) -> str:
    """``page 7``, ``pages 7 and 21``, ``pages 7, 21 and 30`` (1-based)."""
    numbers = [str(page + 1) for page in pages]
    if len(numbers) == 1:
        return f"page {numbers[0]}"
    return f"pages {', '.join(numbers[:-1])} and {numbers[-1]}"


def _transcription(
    document: Document, config: str, question: str, text: str, evidence: list[int], info: dict[str, Any]
) -> Item:
    statuses = sorted({document.pages[page].status for page in evidence})
    return Item(
        id=f"{document.doc_id[:20]}-{config}-00",
        config=config,
        question=question,
        answer=text,
        answer_format="String",
        evidence_pages=evidence,
        evidence_sources=["Text"],
        segment=(0, len(document.pages)),
        generator=TRANSCRIBER,
        verification=_json({"checks": {"text_source": "ok"}, "text": "+".join(statuses)}),
        meta=_meta(document, info, {"family": config}, text),
    )


def _meta(document: Document, info: dict[str, Any], more: dict[str, Any], text: str) -> str:
    meta = {"source": info["name"], "language": document.language, "parser": document.parser} | more
    found = sorted(set(_SPECIAL.findall(text)))
    if found:
        meta["special_text"] = found[:10]  # looks like a token of a model; it is text, and must be encoded as text
    return _json(meta)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
