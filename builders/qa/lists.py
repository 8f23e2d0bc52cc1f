"""Finder of lists with items that can be counted and quoted."""

from __future__ import annotations

import re

from .finders import Body
from .places import ListFact
from .text import plain_text

# Two items that the text layer joined in one line.
_TWO = re.compile(r"[;•]\s*[–•*-]\s")
_BULLET = re.compile(r"(?:[•◦▪▫■□●○‣⁃∙·◆►▶➢✓✔❖»\uf0b7\uf0a7*–—-]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)])\s+")


def find_lists(body: Body) -> list[ListFact]:
    """Lists of 3 to 12 items, each of one line of text and 3 to 100 characters, introduced by ``...:``."""
    found = []
    before: tuple[int, str] = (-1, "")
    for page, position, block in body:
        if block.kind == "list":
            marked = [_BULLET.match(line) for line in block.text.split("\n")]
            items = [_BULLET.sub("", line, count=1).strip() for line in block.text.split("\n")]
            lead = before[1] if before[0] == page else ""
            ok = (
                3 <= len(items) <= 12
                and all(marked)
                and all(3 <= len(item) <= 100 and plain_text(item) and not _TWO.search(item) for item in items)
            )
            if ok and lead.endswith(":") and len(set(items)) == len(items):
                found.append(ListFact(page, position, _last_sentence(lead), items))
        before = (page, block.text.strip()) if block.kind in ("paragraph", "heading") else (-1, "")
    return [fact for fact in found if 8 <= len(fact.lead) <= 140 and ":" not in fact.lead and plain_text(fact.lead)]


def _last_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+(?=[A-ZÀ-ÞА-Я])", text)[-1].rstrip(": ").strip()
