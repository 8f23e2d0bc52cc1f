"""Finder of lists with items that can be counted and quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..blocks import Block
from .finders import Body
from .places import ListFact
from .text import plain_text

MOST_ITEMS, LONGEST_ITEM = 12, 200
# Two items that the text layer joined in one line.
_TWO = re.compile(r"[;•]\s*[–•*-]\s")
# Below the last item, a line of its own may have been taken for its continuation.
_GOES_ON = re.compile(r"[。！？；]\s*\S|[.!?;]\s+[\"“(\[]?[A-ZÀ-ÞА-Я]")
_BULLET = re.compile(r"([•◦▪▫■□●○‣⁃∙·◆►▶➢✓✔❖»\uf0b7\uf0a7*–—-]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)、])\s*(?=\S)")


def _runs(body: Body) -> Iterator[tuple[int, list[tuple[int, Block]], str]]:
    """(page, consecutive list blocks, the text right before them) of every list of a page."""
    run: list[tuple[int, Block]] = []
    page, lead, above = -1, "", ""
    for number, position, block in body:
        if run and (number != page or block.kind != "list"):
            yield page, run, lead
            run, above = [], ""
        if number != page:
            page, above = number, ""
        if block.kind == "list":
            lead = lead if run else above
            run.append((position, block))
        else:
            above = block.text.strip() if block.kind in ("paragraph", "heading") else ""
    if run:
        yield page, run, lead


def find_lists(body: Body) -> list[ListFact]:
    """Lists of 3 to 12 items with bullets of one kind, below a line that introduces them and stands on their page."""
    found = []
    for page, run, lead in _runs(body):
        lines = [line.strip() for _, block in run for line in block.text.split("\n") if line.strip()]
        marks = [match for line in lines if (match := _BULLET.match(line))]
        if not 3 <= len(lines) <= MOST_ITEMS or len(marks) < len(lines) or not _one_kind([m[1] for m in marks]):
            continue
        items = [line[mark.end() :].strip() for line, mark in zip(lines, marks, strict=True)]
        if len(set(items)) < len(items) or any(not _readable(item) for item in items) or _GOES_ON.search(items[-1]):
            continue
        lead = _last_sentence(lead)
        if 8 <= len(lead) <= 140 and ":" not in lead and plain_text(lead) and not re.search(r"[“”\"]", lead):
            found.append(ListFact(page, run[0][0], run[-1][0], lead, items))
    return found


def _one_kind(marks: list[str]) -> bool:
    """Whether all items have the same bullet, or numbers that count from one."""
    if len(set(marks)) == 1:
        return not any(c.isalnum() for c in marks[0])
    numbers = [re.sub(r"\D", "", mark) for mark in marks]
    letters = [re.sub(r"[\W\d]", "", mark) for mark in marks]
    count = len(marks)
    return numbers == [str(i + 1) for i in range(count)] or letters == [chr(ord("a") + i) for i in range(count)]


def _readable(item: str) -> bool:
    return 3 <= len(item) <= LONGEST_ITEM and plain_text(item) and _TWO.search(item) is None


def _last_sentence(lead: str) -> str:
    return re.split(r"(?<=[.!?])\s+(?=[A-ZÀ-ÞА-Я])|(?<=[。！？])", lead.rstrip("：: "))[-1].rstrip(".：: ").strip()
