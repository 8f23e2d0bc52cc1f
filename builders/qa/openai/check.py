"""From a model's reply to a checked candidate: the checks of ``qa.verify``, computations, and instructions on pages.

Runs in sandboxed children only: all of it looks at a PDF's text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ...blocks import Document
from ...untrusted import no_surrogates
from ..page_text import PageText, pages_of
from ..protocol import Answer, Candidate
from ..text import fold, parse_number
from ..verify import Verdict, verify_candidate

IN_PICTURE = "in_picture"
"""Reason of the check ``answer`` where the evidence is a figure or a scanned page: only a model can check it."""

_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)*")
_PAGES = re.compile(r"\bpages?\s+((?:\d+(?:\s?[-–]\s?\d+)?(?:,\s*|\s+and\s+|\s+or\s+|\s+to\s+)?)+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)(?:\s?(?:[-–]|to)\s?(\d+))?")
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|rules|prompts?|above|previous)\b"
    r"|\bsystem prompt\b|\byou are (?:now )?(?:an? )?(?:ai|assistant|language model|chatbot)\b|\bas an ai\b"
    r"|<\|[a-z_]+\|>",
    re.IGNORECASE,
)
"""Text that talks to a language model rather than to a reader."""


def candidate_of(reply: dict[str, Any], document: Document, config: str, segment: tuple[int, int]) -> Candidate:
    """The candidate in a reply (``schemas.QuestionReply`` as a dict). Page numbers become 0-based.

    An ``extract_multi`` question on one page becomes ``extract_single``; see ``verify.one_page`` of the recipe for
    what is done with it.
    """
    pages = sorted({page - 1 for page in reply["evidence_pages"]})
    question = " ".join(no_surrogates(reply["question"]).split())
    proof: dict[str, Any] = {}
    if reply["operation"] != "none":
        values = [value | {"page": value["page"] - 1} for value in reply["values"]]
        proof = {"calculation": reply["operation"], "values": values}
    evidence = [entry | {"page": entry["page"] - 1, "content": entry["content"][:500]} for entry in reply["evidence"]]
    notes: dict[str, Any] = {"evidence": evidence}
    if config == "extract_multi" and len(pages) == 1:
        config, notes = "extract_single", notes | {"relabelled": "one_page"}
    return Candidate(
        config=config,
        family=f"model_{_family(reply)}",
        question=question,
        answer=typed_answer(reply["answer"], reply["answer_format"]),
        answer_format=reply["answer_format"],
        evidence_pages=pages,
        evidence_sources=sorted(set(reply["evidence_sources"])),
        segment=segment,
        scope=_scope(question, pages, segment, document),
        proof=proof,
        notes=notes,
    )


def check_candidate(
    candidate: Candidate, document: Document, page_texts: Sequence[PageText] | None = None
) -> list[Verdict]:
    """All checks that need no model. The check ``answer`` has the reason ``IN_PICTURE`` where only a model can tell.

    Args:
        candidate: From ``candidate_of``.
        document: Its document.
        page_texts: Of a second extractor; by default the blocks' text.
    """
    verdicts = verify_candidate(candidate, document, page_texts)
    if len(verdicts) == 1:
        return verdicts
    pages = pages_of(document, page_texts)
    seen = _in_picture(candidate, document)
    if candidate.config == "reasoning":
        verdicts = [verdict for verdict in verdicts if verdict.check != "answer"]
        missing = _missing_values(candidate, pages)
        verdicts.append(_answer(missing, seen))
        wrong = _recompute(candidate, document.language in ("en", "und", ""))
        verdicts.append(Verdict("recompute", not wrong, wrong))
    else:
        verdicts = [_answer(verdict.reason, seen) if verdict.check == "answer" else verdict for verdict in verdicts]
    told = _instruction(candidate, pages)
    verdicts.append(Verdict("instruction", not told, told))
    return verdicts


def typed_answer(answer: Any, answer_format: str) -> Answer:
    """The answer in the type of its format where it is clear what was meant; else as it is."""
    if answer_format == "Integer" and isinstance(answer, float) and answer.is_integer():
        return int(answer)
    if answer_format == "Float" and isinstance(answer, int) and not isinstance(answer, bool):
        return float(answer)
    if answer_format in ("Integer", "Float") and isinstance(answer, str):
        value = parse_number(answer.strip())
        if value is not None:
            return int(value) if answer_format == "Integer" and value == value.to_integral_value() else float(value)
    if answer_format == "String" and isinstance(answer, (int, float)):
        return str(answer)
    if isinstance(answer, str):
        return " ".join(no_surrogates(answer).split())
    if isinstance(answer, list):
        return [" ".join(no_surrogates(str(entry)).split()) for entry in answer]
    kept: Answer = answer
    return kept


def _family(reply: dict[str, Any]) -> str:
    if reply["operation"] != "none":
        return str(reply["operation"])
    sources = sorted(set(reply["evidence_sources"]))
    return sources[0].casefold() if len(sources) == 1 else "mixed"


def _named(question: str) -> list[int]:
    named: list[int] = []
    for match in _PAGES.finditer(question):
        for first, last in _RANGE.findall(match[1]):
            if int(last or first) - int(first) <= 5000:
                named += range(int(first) - 1, int(last or first))
    return named


def _scope(question: str, pages: Sequence[int], segment: tuple[int, int], document: Document) -> tuple[int, int]:
    """Pages that the question's anchor names: page numbers, else the smallest section whose title it holds."""
    named = [page for page in _named(question) if 0 <= page < len(document.pages)]
    if named:
        return min(named), max(named) + 1
    folded = fold(question)
    spans = [
        (section.first_page, section.last_page + 1)
        for section in document.sections
        if len(fold(section.title)) >= 3 and fold(section.title) in folded
    ]
    holding = [span for span in spans if pages and span[0] <= pages[0] and pages[-1] < span[1]]
    return min(holding, key=lambda span: (span[1] - span[0], span)) if holding else segment


def _in_picture(candidate: Candidate, document: Document) -> bool:
    scanned = any(document.pages[page].status != "text" for page in candidate.evidence_pages)
    return scanned or "Figure" in candidate.evidence_sources


def _answer(missing: str, in_picture: bool) -> Verdict:
    if missing and in_picture:
        return Verdict("answer", False, IN_PICTURE)
    return Verdict("answer", not missing, missing)


def _missing_values(candidate: Candidate, pages: Sequence[PageText]) -> str:
    values = candidate.proof.get("values", [])
    if len(values) < 2:
        return "fewer than two data points"
    for value in values:
        page = value["page"]
        if page not in candidate.evidence_pages:
            return f"a data point is on page {page + 1}, which is no evidence page"
        if not pages[page].holds(value["value"]):
            return f"{value['value'][:60]!r} does not stand on page {page + 1}"
    if len({(value["page"], fold(value["name"]), fold(value["value"])) for value in values}) < len(values):
        return "a data point is used twice"
    return ""


def _recompute(candidate: Candidate, english: bool) -> str:
    """What is wrong with the computation; "" if the answer follows from the values."""
    operation, values = candidate.proof.get("calculation", "none"), candidate.proof.get("values", [])
    if operation == "none":
        return "no computation is given"
    if operation == "count":
        return (
            "" if candidate.answer == len(values) else f"{len(values)} values, the answer is {candidate.answer!s:.60}"
        )
    numbers = [_value(value["value"], english) for value in values]
    if any(number is None for number in numbers):
        return "a data point is no number"
    exact = [number for number in numbers if number is not None]
    if not exact:
        return "no data points"
    if operation in ("maximum", "minimum"):
        return _extreme(candidate, operation, values, exact)
    if operation in ("difference", "ratio", "percent_change") and len(exact) != 2:
        return f"a {operation} of {len(exact)} values"
    if operation in ("ratio", "percent_change") and exact[1 if operation == "ratio" else 0] == 0:
        return "division by zero"
    total = sum(exact, Decimal(0))
    if operation == "difference":
        results = {exact[0] - exact[1], abs(exact[0] - exact[1])}
    elif operation == "ratio":
        results = {exact[0] / exact[1]}
    elif operation == "percent_change":
        change = (exact[1] - exact[0]) / abs(exact[0]) * 100
        results = {change, abs(change)}
    else:
        results = {total if operation == "sum" else total / len(exact)}
    answer = candidate.answer
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        return f"the answer {answer!s:.60} is no number"
    given = Decimal(str(answer))
    # What was rounded may be off by half of its last digit.
    slack = (
        Decimal(5).scaleb(int(given.as_tuple().exponent) - 1)
        if operation not in ("sum", "difference")
        else Decimal("1e-9")
    )
    if any(abs(result - given) <= slack for result in results):
        return ""
    return f"{operation} gives {float(min(results)):.10g}, the answer is {answer}"


def _extreme(candidate: Candidate, operation: str, values: Sequence[dict[str, Any]], numbers: list[Decimal]) -> str:
    best = max(numbers) if operation == "maximum" else min(numbers)
    winners = [value for value, number in zip(values, numbers, strict=True) if number == best]
    if len(winners) > 1:
        return f"{len(winners)} values share the {operation}"
    answer = candidate.answer
    if isinstance(answer, (int, float)):
        return "" if Decimal(str(answer)) == best else f"the {operation} is {best}, the answer {answer}"
    right = isinstance(answer, str) and fold(answer) in (fold(winners[0]["name"]), fold(winners[0]["value"]))
    return "" if right else f"the {operation} is {winners[0]['name'][:60]!r}, the answer {answer!s:.60}"


def _value(text: str, english: bool) -> Decimal | None:
    found = _NUMBER.findall(text)
    return parse_number(found[0], english) if len(found) == 1 else None


def _instruction(candidate: Candidate, pages: Sequence[PageText]) -> str:
    """Whether the answer stands in a line that talks to a language model."""
    if _INSTRUCTION.search(candidate.question):
        return "the question talks to a language model"
    answers = candidate.answer if isinstance(candidate.answer, list) else [str(candidate.answer)]
    for page in candidate.evidence_pages:
        lines = pages[page].lines
        for i, line in enumerate(lines):
            if not _INSTRUCTION.search(line):
                continue
            near = " ".join(lines[max(0, i - 1) : i + 3])
            if any(fold(answer) in near for answer in answers):
                return f"page {page + 1}: the answer stands in an instruction to a language model"
    return ""
