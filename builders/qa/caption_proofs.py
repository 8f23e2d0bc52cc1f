"""Proofs that stand on captions: the label and the words after it, no second caption of either, none left uncounted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .findings import Finding
from .page_text import PageText
from .text import squash, tidy

Proof = Mapping[str, Any]
Span = tuple[int, int]
_SURE = ":|–-"
"""Signs after a label that only a caption has there; a full stop may end a sentence."""
_LONG = 20
"""Squashed characters from which on the first line of a caption tells it from others."""


def _starts(label: str, page: PageText) -> Iterator[tuple[str, str, str]]:
    """(sign, space, rest) of the lines that begin with a label, as printed."""
    pattern = re.compile(rf"{re.escape(tidy(label))}(?![^\W_]|[.,-]\d)(\s*[.:|–-]?)(\s*)(.*)", re.IGNORECASE)
    for line in page.printed_lines:
        match = pattern.match(line)
        if match:
            yield match[1].strip(), match[2] if match[1].strip() else match[1] + match[2], match[3]


def _is_caption(start: tuple[str, str, str], own: tuple[str, str, str]) -> bool:
    """Whether a line that begins with a label is a caption, and no sentence about it, given a caption for sure."""
    sign, space, rest = start
    if not rest:
        return sign == ":" and own[0] == ":"  # the title stands on the next line
    if sign:
        return sign in _SURE or sign == own[0]
    return not own[0] and bool(space) == bool(own[1]) and not rest[0].islower()


def _same(title: str, rest: str, least: int) -> bool:
    """Whether the rest of a caption's first line is the beginning of a (squashed) title, or goes on after it."""
    line = squash(rest)
    return min(len(line), len(title)) >= min(least, len(title)) and title.startswith(line[: len(title)])


def _own(operand: Proof, pages: Sequence[PageText]) -> tuple[str, str, str] | None:
    """The line of its page on which a caption begins."""
    title, starts = squash(operand["value"]), _starts(str(operand["label"]), pages[operand["page"]])
    return next((start for start in starts if start[2] and _same(title, start[2], 1)), None)


def check_caption(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A label with its caption stands on its page; in the scope, neither has another."""
    label, title, page = str(proof["label"]), squash(proof["value"]), pages[proof["page"]]
    if squash(label) not in page.squashed or title not in page.squashed:
        return Finding(missing=f"page {proof['page']} has no {label!r} with this caption")
    own = _own(proof, pages)
    if own is None:
        return Finding(missing=f"no line of page {proof['page']} begins with {label!r} and this caption")
    for number in range(*scope):
        least = 1 if number == proof["page"] else _LONG
        for start in _starts(label, pages[number]):
            if _is_caption(start, own) and not _same(title, start[2], least):
                return Finding(rival=f"page {number}: another caption of {label!r}: {start[2][:60]!r}")
        if proof["operation"] == "caption_label":
            other = _other_label(label, title, pages[number])
            if other:
                return Finding(rival=f"page {number}: {other!r} has the same caption")
    return Finding()


def _word(label: str) -> str:
    """``figure`` of ``Figure 3.1``."""
    match = re.match(r"[^\W\d_]+", squash(label))
    return match[0] if match else ""


def _other_label(label: str, title: str, page: PageText) -> str:
    """A label of the same kind but another number that stands right before the (squashed) caption."""
    word = re.escape(_word(label))
    before = re.compile(rf"{word}\.?([\w.]{{1,8}}?)[.:|]?\Z") if word else None
    found = page.squashed.find(title)
    while before is not None and found >= 0:
        match = before.search(page.squashed, max(0, found - 30), found)
        if match and any(c.isdigit() for c in match[1]) and match[0].rstrip(".:|") != squash(label).rstrip(".:|"):
            return match[0]
        found = page.squashed.find(title, found + 1)
    return ""


def check_places(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """Where a question asks for pages: no other page of the scope has a caption of the label, not even the same."""
    for operand in proof["operands"]:
        if operand["operation"] != "caption":
            continue
        label, own = str(operand["label"]), _own(operand, pages)
        for number in range(*scope):
            if own is None or number == operand["page"]:
                continue
            if any(_is_caption(start, own) for start in _starts(label, pages[number])):
                return Finding(rival=f"page {number} has a caption of {label!r}, too")
    return Finding()


_NUMBER = r"\d+(?:[.-]\d+)*[a-z]?"


def check_count(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """Where captions are counted: no line of the scope begins like them with a label that was not counted."""
    operands = proof["operands"]
    if any(operand["operation"] != "caption" for operand in operands):
        return Finding()
    counted = {squash(operand["label"]).rstrip(".") for operand in operands}
    words = {match[0] for operand in operands if (match := re.match(r"[^\W\d_]+\.?", tidy(operand["label"])))}
    own = _own(operands[0], pages)
    if own is None or not words:
        return Finding()
    pattern = re.compile(rf"((?:{'|'.join(map(re.escape, sorted(words)))})\s*{_NUMBER})(?!\w)", re.IGNORECASE)
    for number in range(*scope):
        for line in pages[number].printed_lines:
            match = pattern.match(line)
            if match is None or squash(match[1]).rstrip(".") in counted:
                continue
            if any(_is_caption(start, own) for start in _starts(match[1], pages[number])):
                return Finding(rival=f"page {number}: {line[:60]!r} was not counted")
    return Finding()
