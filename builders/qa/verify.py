"""Checks any candidate, whoever made it: form, anchor, evidence, rivals, recomputation, leaks; each with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mmprolong_data.schema import ANSWER_FORMATS, EVIDENCE_SOURCES, VQA_CONFIGS

from ..blocks import Document
from .asked import not_asked
from .computing import recompute
from .findings import Finding
from .layout_proofs import check_layout
from .operations import FACTS, check_fact, check_table, operand_pages, operand_scope
from .page_text import PageText, pages_of
from .protocol import Answer, Candidate
from .text import contains_words, fold, parse_number

CHECKS = {
    "format": "the answer has its format, and pages, sources and ranges are possible ones",
    "anchor": "the question names the pages or the section that it is about",
    "evidence": "the evidence lies in the segment and in what the question names, on as many pages as its config asks",
    "question": "the question names what its proof stands on",
    "answer": "the facts stand on the evidence pages, in the text of a second extractor",
    "rival": "no other value answers the question within its scope",
    "recompute": "the answer follows from the facts",
    "leak": "the question does not give the answer away",
}
"""Every check, in order, and what it asks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check: ``ok``, and the reason if it is not."""

    check: str
    ok: bool
    reason: str = ""


def verify_candidate(
    candidate: Candidate, document: Document, page_texts: Sequence[str] | Sequence[PageText] | None = None
) -> list[Verdict]:
    """Check a candidate. It is good if every verdict is ``ok``; a failed check of the form ends the list.

    Args:
        candidate: From any generator. A proof that ``operations`` knows is checked fact by fact and recomputed; without
            one, the answer has to stand on the evidence pages.
        document: Its document.
        page_texts: The text of every page, one layout line a line, or a ``SecondText``: a second extractor makes the
            check independent of the parser. By default that of the blocks.
    """
    form = _form(candidate, document)
    if form:
        return [Verdict("format", False, form)]
    pages = pages_of(document, page_texts)
    english = document.language in ("en", "und", "")
    checks = (
        ("anchor", _anchor(candidate, document)),
        ("evidence", _evidence(candidate)),
        *_proof(candidate, pages, english),
        ("leak", _leak(candidate)),
    )
    return [Verdict("format", True), *(Verdict(name, not reason, reason) for name, reason in checks)]


def _form(candidate: Candidate, document: Document) -> str:
    answer, form = candidate.answer, candidate.answer_format
    if candidate.config not in VQA_CONFIGS:
        return f"{candidate.config!r} is no config of questions"
    if form not in ANSWER_FORMATS:
        return f"{form!r} is no answer format"
    if not 10 <= len(candidate.question.strip()) <= 2000 or "\n" in candidate.question:
        return "the question is no line of 10 to 2,000 characters"
    if form == "Integer":
        good = isinstance(answer, int) and not isinstance(answer, bool)
    elif form == "Float":
        good = isinstance(answer, float) and math.isfinite(answer)
    elif form == "List":
        good = isinstance(answer, list) and bool(answer) and all(isinstance(x, str) and x.strip() for x in answer)
    else:
        good = isinstance(answer, str) and bool(answer.strip())
    if not good:
        return f"the answer {answer!r} is no {form}"
    pages = candidate.evidence_pages
    if not pages or pages != sorted(set(pages)) or pages[0] < 0 or pages[-1] >= len(document.pages):
        return f"evidence pages {pages} are not ascending pages of the document"
    if not candidate.evidence_sources or not set(candidate.evidence_sources) <= set(EVIDENCE_SOURCES):
        return f"{candidate.evidence_sources} are no evidence sources"
    for name, (start, end) in (("segment", candidate.segment), ("scope", candidate.scope)):
        if not 0 <= start < end <= len(document.pages):
            return f"the {name} {start, end} is no range of pages"
    return ""


_QUOTED = re.compile(r"“[^”]*”")
_NUMBER_LIST = r"(?:\d+(?:\s?[-–]\s?\d+)?(?:,\s*|、|\s+(?:and|or|to|und|oder|bis|et|ou|à)\s+|[和至])?)+"
_PAGES = re.compile(rf"\b(?:pages?|Seiten?)\s+({_NUMBER_LIST})|第\s?({_NUMBER_LIST})\s?页", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)(?:\s?(?:[-–至]|to|bis|à)\s?(\d+))?")
_UNANCHORED = re.compile(
    r"\b(?:the|this|whole|entire)\s+(?:whole\s+|entire\s+)?(?:document|file|pdf)\b|\b(?:le|ce|du) document\b"
    r"|\b(?:das|im|dem|des|dieses) (?:\w+ )?(?:Dokuments?|PDF)\b|(?:整[个篇份]|本)(?:文[档件]|论文)|全文",
    re.IGNORECASE,
)


def _named_pages(question: str) -> set[int]:
    """0-based pages that a question names outside of quotations."""
    named: set[int] = set()
    for match in _PAGES.finditer(_QUOTED.sub("“”", question)):
        for first, last in _RANGE.findall(match[1] or match[2]):
            if int(last or first) - int(first) <= 5000:
                named.update(range(int(first) - 1, int(last or first)))
    return named


def _anchor(candidate: Candidate, document: Document) -> str:
    question, (start, end) = candidate.question, candidate.scope
    named = _named_pages(question)
    if _UNANCHORED.search(_QUOTED.sub("", question)):
        return "it asks about the whole document"
    if named:
        outside = sorted(page + 1 for page in named if not start <= page < end)
        if outside:
            return f"it names pages {outside[:5]} outside of its scope"
        missing = sorted(page + 1 for page in candidate.evidence_pages if page not in named)
        return f"evidence pages {missing[:5]} (1-based) are not named" if missing else ""
    folded = fold(question)
    titles = [s for s in document.sections if len(fold(s.title)) >= 3 and fold(s.title) in folded]
    if any(s.first_page <= start and end <= s.last_page + 1 for s in titles):
        return ""
    return "it names no page and no section that holds its scope"


def _evidence(candidate: Candidate) -> str:
    pages = candidate.evidence_pages
    start, end = candidate.segment
    if pages[0] < start or pages[-1] >= end:
        return f"evidence pages {pages} lie outside of the segment {start, end}"
    if pages[0] < candidate.scope[0] or pages[-1] >= candidate.scope[1]:
        return f"evidence pages {pages} lie outside of the scope {candidate.scope}"
    if candidate.config == "extract_single" and len(pages) > 1:
        return "a single extraction has one evidence page"
    if candidate.config == "extract_multi" and len(pages) < 2 and "fallback" not in candidate.notes:
        return "a multi-page extraction has at least two evidence pages"
    known = _known(candidate.proof)
    if known and operand_pages(candidate.proof) != pages:
        return f"the proof stands on pages {operand_pages(candidate.proof)}, not on {pages}"
    return ""


def _known(proof: dict[str, Any]) -> bool:
    return "operation" in proof and ("operands" in proof or "page" in proof or "pages" in proof)


def _proof(candidate: Candidate, pages: Sequence[PageText], english: bool) -> Iterator[tuple[str, str]]:
    """The checks ``question``, ``answer``, ``rival`` and ``recompute``."""
    proof = candidate.proof
    if not _known(proof):
        yield "answer", _stands(candidate, pages)
        return
    missing = not_asked(proof, candidate.question)
    yield "question", f"it does not name {missing[:60]!r}, which its proof stands on" if missing else ""
    findings = list(_findings(candidate, proof, pages))
    yield "answer", next((finding.missing for finding in findings if finding.missing), "")
    yield "rival", next((finding.rival for finding in findings if finding.rival), "")
    try:
        result = recompute(proof, english)
    except ValueError as error:
        yield "recompute", str(error)
        return
    same = result is not None and _equal(result, candidate.answer, english)
    yield "recompute", "" if same else f"the proof gives {result!s:.80}, the answer is {candidate.answer!s:.80}"


def _findings(candidate: Candidate, proof: dict[str, Any], pages: Sequence[PageText]) -> Iterator[Finding]:
    if "operands" in proof:
        for operand in proof["operands"]:
            yield check_fact(operand, pages, operand_scope(proof["operation"], operand, candidate.scope))
        yield check_layout(proof, pages, candidate.scope)
    elif proof["operation"] in FACTS:
        yield check_fact(proof, pages, candidate.scope)
    elif "rows" in proof:
        yield check_table(proof, pages)


def _equal(result: Answer | Decimal, answer: Answer, english: bool) -> bool:
    if isinstance(answer, list) or isinstance(result, list):
        return result == answer
    if isinstance(answer, str):
        return isinstance(result, str) and result == answer
    if isinstance(result, str):
        value = parse_number(result, english)
        return value is not None and value == Decimal(str(answer))
    value = Decimal(str(answer))
    return abs(Decimal(str(result)) - value) <= Decimal("1e-9") * max(Decimal(1), abs(value))


def _stands(candidate: Candidate, pages: Sequence[PageText]) -> str:
    """Without a proof: every text of the answer stands on an evidence page."""
    answers = candidate.answer if isinstance(candidate.answer, list) else [str(candidate.answer)]
    for answer in answers:
        if not any(pages[page].holds(answer) for page in candidate.evidence_pages):
            return f"{answer[:60]!r} does not stand on the evidence pages"
    return ""


_LABEL = re.compile(r"\b(?:table|figure|fig\.|tab\.|listing|section|chapter|footnote|item)\s+[\d.]+\b", re.IGNORECASE)


_VALUES = ("cloze", "field", "cell")


def _leak(candidate: Candidate) -> str:
    """Whether the question gives its answer away. Choices that it offers are no leak (``proof["choices"]``)."""
    question = candidate.question
    choices = [str(choice) for choice in candidate.proof.get("choices", [])]
    if choices and all(contains_words(fold(question), fold(choice)) for choice in choices):
        return ""
    answer = candidate.answer
    if isinstance(answer, (int, float)):
        bare = _LABEL.sub(" ", _PAGES.sub(" ", question))
        printed = candidate.proof.get("value", answer) if candidate.proof.get("operation") in _VALUES else answer
        forms = {str(answer), f"{answer:,}", str(printed)}
        if any(contains_words(bare, form) for form in forms):
            return f"the question holds the number {answer}"
        return ""
    for text in answer if isinstance(answer, list) else [answer]:
        short = len(text) <= 3  # a grade "A" is not the article
        bare = _LABEL.sub(" ", _PAGES.sub(" ", question)) if text.isdecimal() else question
        if contains_words(bare if short else fold(bare), text if short else fold(text)):
            return f"the question holds the answer {text[:60]!r}"
    return ""
