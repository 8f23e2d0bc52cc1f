"""Families term_pages and term_count: the pages of a range that hold a word."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex
from ..text import squash
from .base import Draft, Family, Where
from .proofs import term_proof

SPANS = (5, 8)
"""Lengths of the page ranges."""
WORDS = 5
"""Words that are tried a range."""
_STOP_WORDS = """
however because therefore without through between another several usually finally example examples section chapter
following follows possible available different general certain against although already perhaps whether whenever
otherwise instead according particular including included provided provides present similar specific standard
various current currently second problem results figures numbers written default simply contents appendix
introduction conclusion references continued beforehand together himself themselves something everything anything
nothing necessary required zwischen können werden beispiel abschnitt kapitel chapitre exemple plusieurs certains
"""
_STOP = frozenset(_STOP_WORDS.split())


Found = tuple[str, list[int], tuple[int, int]]


def finds(facts: FactIndex, segment: Segment) -> list[Found]:
    """(word, its pages, range): words on at least two pages of the range and on not many more than half of it."""
    key = ("term_places", segment.start, segment.end)
    if key not in facts.memo:
        facts.memo[key] = [found for length in SPANS for found in _in_range(facts, segment, length)]
    return facts.memo[key]  # type: ignore[return-value]


def _in_range(facts: FactIndex, segment: Segment, length: int) -> Iterator[Found]:
    if segment.end - segment.start < length:
        return
    doc = facts.document.doc_id
    offset = stable_int(doc, "range", segment.start, length) % (segment.end - segment.start - length + 1)
    start = segment.start + offset
    end = start + length
    if any(page not in facts.usable for page in range(start, end)):
        return
    words = [
        (word, inside)
        for word, pages in facts.word_pages.items()
        if 2 <= len(inside := [page for page in pages if start <= page < end]) <= length // 2 + 1
    ]
    # A few by hash, without a cryptographic hash for each of thousands of words.
    first = stable_int(doc, "term", start, length) % max(len(words), 1)
    step = next(step for step in range(len(words) // 3 + 1, 2 * len(words) + 3) if gcd(step, max(len(words), 1)) == 1)
    squashed = [squash(facts.page_folds[page]) for page in range(start, end)]
    kept = 0
    for turn in range(min(len(words), 40)):
        word, pages = words[(first + turn * step) % len(words)]
        # Neither "words" nor a word broken at a line's end may stand on the other pages.
        if word not in _STOP and sum(word in text for text in squashed) == len(pages):
            kept += 1
            yield word, pages, (start, end)
        if kept == WORDS:
            return


class TermPages(Family):
    """Which pages hold a word."""

    name = "term_pages"
    config = "extract_multi"
    weight = 0.35
    wordings = (
        "On which of the pages {range} does the word “{word}” occur? List the page numbers in ascending order.",
        "List all pages among pages {range} that mention the word “{word}”, in ascending order.",
        "Search pages {range} for the word “{word}”. Which pages contain it? List them in ascending order.",
        "Which pages of pages {range} contain the word “{word}”? Give their numbers as an ascending list.",
        "Going through pages {range}, note every page with the word “{word}”. Which pages are they?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """A few words a range."""
        for word, pages, (start, end) in finds(facts, segment):
            slots = {"word": word, "range": f"{start + 1}-{end}"}
            answer = [str(page + 1) for page in pages]
            proof = term_proof("term_pages", word, pages)
            yield Draft(slots, answer, "List", pages, ["Text"], proof, [Where("", (start, end))])


class TermCount(Family):
    """On how many pages a word stands."""

    name = "term_count"
    config = "reasoning"
    weight = 0.35
    wordings = (
        "On how many of the pages {range} does the word “{word}” occur?",
        "How many pages among pages {range} contain the word “{word}”?",
        "Count the pages within pages {range} on which the word “{word}” appears at least once.",
        "Going through pages {range}, on how many pages do you find the word “{word}”?",
        "What is the number of pages among pages {range} that contain the word “{word}”?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """A few words a range."""
        for word, pages, (start, end) in finds(facts, segment):
            slots = {"word": word, "range": f"{start + 1}-{end}"}
            proof = term_proof("term_count", word, pages)
            yield Draft(slots, len(pages), "Integer", pages, ["Text"], proof, [Where("", (start, end))])
