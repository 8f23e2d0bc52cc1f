"""Faults put into accepted questions, to measure what verification finds: used by ``qa_quality.py``."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mmprolong_builders.qa.operations import operand_pages
from mmprolong_builders.qa.page_text import PageText
from mmprolong_builders.qa.protocol import Answer, Candidate
from mmprolong_builders.qa.text import fold

MUTATIONS = ("wrong answer", "wrong answer and proof", "wrong page", "planted rival", "leak", "swapped row")
_NUMBERS = re.compile(r"\d+")
_NAMED = re.compile(r"pages? \d+(?:(?:-|, | and )\d+)*")
_QUOTED = re.compile(r"“[^”]*”")


def mutate(
    candidate: Candidate, pages: Sequence[PageText], others: Sequence[Candidate]
) -> Iterator[tuple[str, Candidate, dict[int, str]]]:
    """(mutation, candidate, page -> text planted on it) of one accepted candidate.

    Args:
        candidate: A candidate that verification accepts.
        pages: What it was checked against.
        others: Further accepted candidates of the document, to take wrong answers from.
    """
    wrong = _other_answer(candidate, others)
    yield "wrong answer", replace(candidate, answer=wrong), {}
    changed = _other_value(candidate, others)
    if changed is not None:
        yield "wrong answer and proof", changed, {}
    moved = _moved(candidate, len(pages))
    if moved is not None:
        yield "wrong page", moved, {}
    for planted in [_rival(candidate), *_caption_rivals(candidate, pages)]:
        if planted:
            yield "planted rival", candidate, planted
    if "choices" not in candidate.proof:
        yield "leak", replace(candidate, question=f"{candidate.question} {_text(candidate.answer)}"), {}
    swapped = _swapped(candidate, others)
    if swapped is not None:
        yield "swapped row", swapped, {}


def _text(answer: Answer) -> str:
    return f"It is {', '.join(answer) if isinstance(answer, list) else answer}."


def _other_answer(candidate: Candidate, others: Sequence[Candidate]) -> Answer:
    answer = candidate.answer
    if isinstance(answer, int):
        return answer + 1
    if isinstance(answer, float):
        return answer + 0.5
    if isinstance(answer, list):
        return answer[:-1] if len(answer) > 2 or answer[0] == answer[-1] else answer[::-1]
    strings = [o.answer for o in others if isinstance(o.answer, str) and o.answer != answer]
    return strings[0] if strings else " ".join(reversed(answer.split())) + " also"


def _other_value(candidate: Candidate, others: Sequence[Candidate]) -> Candidate | None:
    """The value changed in answer and proof alike, as by a generator that misread the page."""
    proof = copy.deepcopy(candidate.proof)
    answer = candidate.answer
    target = proof["operands"][0] if "operands" in proof else proof
    value = target.get("value")
    if not isinstance(value, str):
        return None
    if any(c.isdigit() for c in value):
        new = _NUMBERS.sub(lambda match: str(int(match[0]) + 1), value, count=1)
    else:
        words = value.split(" ")
        new = " ".join([*words[:-1], "elsewhere"]) if len(words) > 1 else value + "al"
    target["value"] = new
    if target.get("operation") == "cell":
        target["row"][target["column"]] = new
    if isinstance(answer, list) and value in answer:
        answer = [new if text == value else text for text in answer]
    elif answer == value:
        answer = new
    elif proof["operation"] == "cloze":
        answer = type(candidate.answer)(float(candidate.answer) + 1)  # type: ignore[arg-type]
    elif isinstance(answer, str) or "operands" in proof:
        return None  # the value is no part of the answer
    return replace(candidate, answer=answer, proof=proof)


def _moved(candidate: Candidate, count: int) -> Candidate | None:
    """Evidence, proof and, where it names single pages, the question moved by one page."""
    step = 1 if candidate.evidence_pages[-1] + 1 < count else -1
    if candidate.evidence_pages[0] + step < 0:
        return None
    proof = copy.deepcopy(candidate.proof)
    for part in [proof, *proof.get("operands", [])]:
        _move(part, step)
    scope, question, answer = candidate.scope, candidate.question, candidate.answer
    pages = [page + step for page in candidate.evidence_pages]
    if scope[1] - scope[0] <= 2 or pages[0] < scope[0] or pages[-1] >= scope[1]:
        scope = (scope[0] + step, scope[1] + step)
        question = _move_words(question, step)
    if "pages" in proof and proof["operation"] == "term_pages":
        answer = [str(page + 1) for page in proof["pages"]]
    elif proof["operation"] == "page_numbers":
        answer = [str(operand["page"] + 1) for operand in proof["operands"]]
    elif proof["operation"] == "place":
        answer = proof["page"] + 1
    if not 0 <= scope[0] < scope[1] <= count or operand_pages(proof) != pages:
        return None
    segment = (min(candidate.segment[0], scope[0]), max(candidate.segment[1], scope[1]))
    return replace(
        candidate, evidence_pages=pages, proof=proof, scope=scope, segment=segment, question=question, answer=answer
    )


def _move(part: dict[str, Any], step: int) -> None:
    if "page" in part:
        part["page"] += step
    if "pages" in part:
        part["pages"] = [page + step for page in part["pages"]]


def _move_words(question: str, step: int) -> str:
    """Page numbers of the question, outside of quotations."""
    parts, at = [], 0
    for match in [*_QUOTED.finditer(question), None]:
        end = match.start() if match else len(question)
        parts.append(_NAMED.sub(lambda named: _count_on(named, step), question[at:end]))
        if match:
            parts.append(match[0])
            at = match.end()
    return "".join(parts)


def _count_on(named: re.Match[str], step: int) -> str:
    return _NUMBERS.sub(lambda number: str(int(number[0]) + step), named[0])


def _rival(candidate: Candidate) -> dict[int, str]:
    """Page -> a line that gives the question a second answer within its scope."""
    proof = candidate.proof
    fact = proof["operands"][0] if "operands" in proof else proof
    operation, (start, end) = fact["operation"], candidate.scope
    own = fact.get("page", -1)
    other = next((page for page in range(start, end) if page != own and page not in fact.get("pages", [])), None)
    if operation == "field":
        return {own: f"{fact['key']}: something else 47"}
    if operation == "cloze":
        return {own: f"{fact['before']}7{fact['value']}{fact['after']}"}
    if operation == "cell":
        return {own: " ".join([fact["row"][0], *map(_alter, fact["row"][1:])])}
    if operation == "phrase":
        if "acronym" in fact:
            return {own: f"Largely Different Words ({fact['acronym']})"}
        return {own: f"{fact['before']} something else entirely."} if fact.get("before") else {}
    if operation in ("list_item", "list_length"):
        return {own: f"{fact['lead']}:"}
    if operation == "page_break":
        return {fact["pages"][0]: f"{fact['begin']} no such end."}
    if other is None:
        return {}
    if operation == "place":
        return {other: fact["value"]}
    if operation in ("term_pages", "term_count"):
        return {other: f"and {fact['term']} again"}
    if operation == "heading" and proof["operation"] in ("page_gap", "page_numbers"):
        return {other: fact["value"]}
    return {}


def _caption_rivals(candidate: Candidate, pages: Sequence[PageText]) -> Iterator[dict[int, str]]:
    """The same label with another caption, and what else makes the answer one of two: in their form.

    For a label: the same caption with another one. For a count: a caption more. For pages: the caption once more.
    """
    proof = candidate.proof
    fact = proof["operands"][0] if "operands" in proof else proof
    if fact["operation"] not in ("caption", "caption_label"):
        return
    label, own = fact["label"], fact["page"]
    form = re.compile(rf"{re.escape(fold(label))}(\W+){re.escape(fold(fact['value'])[:12])}")
    sign = next((match[1] for line in pages[own].lines if (match := form.match(line))), ": ")
    other = next((page for page in range(*candidate.scope) if page != own), own)
    more = _NUMBERS.sub("97", label, count=1)
    yield {other: f"{label}{sign}Another caption"}
    yield {own: f"{label}{sign}Quite another caption"}
    if fact["operation"] == "caption_label":
        yield {other: f"{more}{sign}{fact['value']}"}
    elif proof["operation"] == "count":
        yield {other: f"{more}{sign}Another caption"}
    elif proof["operation"] in ("page_gap", "page_numbers") and other != own:
        yield {other: f"{label}{sign}{fact['value']}"}


def _swapped(candidate: Candidate, others: Sequence[Candidate]) -> Candidate | None:
    """Another row's cell, the neighbouring item of a list, or two entries of the answer exchanged."""
    proof, answer = candidate.proof, candidate.answer
    if proof["operation"] == "cell":
        for other in others:
            row = other.proof.get("row")
            same = other.proof.get("header") == proof["header"] and other.evidence_pages == candidate.evidence_pages
            if same and row and row[0] != proof["row"][0] and row[proof["column"]] != answer:
                changed = copy.deepcopy(proof) | {"row": row, "value": row[proof["column"]]}
                return replace(candidate, answer=row[proof["column"]], proof=changed)
    elif "index" in proof and "items" in proof:
        return replace(candidate, answer=proof["items"][(proof["index"] + 1) % len(proof["items"])])
    elif "rows" in proof and isinstance(answer, str):
        return replace(candidate, answer=next(row[0] for row in proof["rows"] if row[0] != answer))
    elif isinstance(answer, list) and len(answer) > 1 and answer[0] != answer[1]:
        return replace(candidate, answer=[answer[1], answer[0], *answer[2:]])
    return None


def _alter(cell: str) -> str:
    """Another cell with as many words."""
    if any(c.isdigit() for c in cell):
        return re.sub(r"\d", lambda match: str((int(match[0]) + 1) % 10), cell)
    return " ".join(word[::-1] + "x" for word in cell.split(" "))
