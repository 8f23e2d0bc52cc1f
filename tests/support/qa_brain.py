"""A model that makes and answers questions about the reports of ``documents.write_report``, by rule."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from .llm_server import Body, text_of

FIELDS = ("Inspector", "Permit number", "Depth of the shaft")
_PAGE = re.compile(r"^Page (\d+)$", re.MULTILINE)
_FIELD = re.compile(r"(Inspector): (\w+ \w+)|(Permit number): (WB-\d+)|(Depth of the shaft): ([\d.]+ m)")


def pages_of(body: Body) -> dict[int, dict[str, str]]:
    """Page (as labelled) -> field -> value, of the pages that the user's message shows."""
    text = text_of(body, "user")
    marks = list(_PAGE.finditer(text))
    starts = [mark.start() for mark in marks]
    pages: dict[int, dict[str, str]] = {}
    for mark, end in zip(marks, [*starts[1:], len(text)], strict=False):
        pages[int(mark[1])] = {}
        for groups in _FIELD.findall(text[mark.end() : end]):
            name, value = filter(None, groups)
            pages[int(mark[1])][name] = value
    return pages


def qa_brain(body: Body) -> str:
    """Says something sensible to every prompt of the generator and of the checks."""
    system = text_of(body, "system")
    if "You write questions" in system:
        return json.dumps(question(body))
    if "You check questions" in system:
        return json.dumps(
            {"reason": "Looks right.", "correct": True, "unique": True, "clear": True, "worthwhile": True}
        )
    if "You reword questions" in system:
        return json.dumps({"question": "Please tell me: " + text_of(body, "user")})
    return json.dumps(answer(body))


def bad_at_times(wrong: Callable[[Body], bool]) -> Callable[[Body], str]:
    """A brain that makes up the answers of some questions."""

    def brain(body: Body) -> str:
        said: Body = json.loads(qa_brain(body))
        if "evidence_pages" in said and wrong(body):
            said |= {"answer": "Zacharias Quint", "answer_format": "String", "operation": "none", "values": []}
        return json.dumps(said)

    return brain


def question(body: Body) -> Body:
    """A question of the kind that the last instruction asks for."""
    pages = {page: fields for page, fields in pages_of(body).items() if len(fields) == len(FIELDS)}
    digest = hashlib.sha256(text_of(body).encode()).digest()
    first = sorted(pages)[digest[0] % (len(pages) - 1)]
    second = sorted(pages)[sorted(pages).index(first) + 1]
    task = text_of(body, "user").rsplit("These were pages", 1)[1]
    said: Body = {"operation": "none", "values": [], "evidence_sources": ["Text"]}

    def evidence(field: str, *numbers: int) -> None:
        said["evidence_pages"] = list(numbers)
        said["evidence"] = [{"page": n, "source": "Text", "content": f"{field}: {pages[n][field]}"} for n in numbers]

    if "single fact" in task:
        evidence("Inspector", first)
        said |= {"answer": pages[first]["Inspector"], "answer_format": "String"}
        said["question"] = f"Who is named as the Inspector on page {first}?"
    elif "at least two pages" in task:
        evidence("Permit number", first, second)
        said |= {"answer": [pages[n]["Permit number"] for n in (first, second)], "answer_format": "List"}
        said["question"] = f"Which Permit number stands on page {first} and which on page {second}, in that order?"
    else:
        field = "Depth of the shaft"
        evidence(field, first, second)
        values = [float(pages[n][field].split()[0]) for n in (first, second)]
        said |= {"answer": round(sum(values), 1), "answer_format": "Float", "operation": "sum"}
        said["values"] = [{"page": n, "name": f"page {n}", "value": pages[n][field]} for n in (first, second)]
        said["question"] = (
            f"What is the sum, in metres, of the Depth of the shaft on page {first} and on page {second}?"
        )
    return said


def answer(body: Body) -> Body:
    """The answer to a question of ``question``, if the pages for it are shown."""
    pages = pages_of(body)
    asked = text_of(body, "user").rsplit("Question: ", 1)[1]
    field = next((name for name in FIELDS if name in asked), "")
    numbers = [int(number) for number in re.findall(r"page (\d+)", asked)]
    found = [pages[n][field] for n in numbers if field in pages.get(n, {})]
    if not numbers or len(found) < len(numbers):
        return {"answerable": False, "answer": ""}
    if field == "Depth of the shaft":
        return {"answerable": True, "answer": f"{sum(float(v.split()[0]) for v in found):.1f} m"}
    return {"answerable": True, "answer": " ; ".join(found)}
