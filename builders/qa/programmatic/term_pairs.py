"""Families term_both and term_most: comparing the pages of a range that hold two or three words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, Where, name_list
from .proofs import combined, term_proof
from .term_places import Found, finds


def _ranges(facts: FactIndex, segment: Segment) -> list[list[Found]]:
    """The words found, by their range."""
    found: dict[tuple[int, int], list[Found]] = {}
    for entry in finds(facts, segment):
        found.setdefault(entry[2], []).append(entry)
    return list(found.values())


class TermBoth(Family):
    """The pages that hold two words."""

    name = "term_both"
    config = "extract_multi"
    weight = 0.35
    wordings = (
        "Which of the pages {range} contain both the word “{a}” and the word “{b}”? List them in ascending order.",
        "List the pages among pages {range} on which “{a}” and “{b}” both occur, in ascending order.",
        "On which pages of pages {range} do you find “{a}” as well as “{b}”? List their numbers in ascending order.",
        "Search pages {range} for the words “{a}” and “{b}”. Which pages mention both? List them in ascending order.",
        "Which of the pages {range} mention “{a}” and also “{b}”? Answer with an ascending list of page numbers.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Pairs of words with at least two pages in common, and one that they do not share."""
        for entries in _ranges(facts, segment):
            for (a, first, (start, end)), (b, second, _) in combinations(entries, 2):
                common = sorted(set(first) & set(second))
                if len(common) < 2 or set(first) == set(second):
                    continue
                pages = sorted({*first, *second})
                slots = {"a": a, "b": b, "range": f"{start + 1}-{end}"}
                operands = [term_proof("term_pages", a, first), term_proof("term_pages", b, second)]
                answer = [str(page + 1) for page in common]
                anchors = [Where("", (start, end))]
                yield Draft(slots, answer, "List", pages, ["Text"], combined("term_both", operands), anchors)


class TermMost(Family):
    """The word that stands on most pages."""

    name = "term_most"
    config = "reasoning"
    weight = 0.4
    wordings = (
        "Which of the words {words} occurs on the largest number of the pages {range}?",
        "Compare the words {words}: which one appears on most of the pages {range}?",
        "Count, for pages {range}, the pages on which each of the words {words} occurs. Which word has the most?",
        "Of {words}, which word is found on more of the pages {range} than the others?",
        "For each of the words {words}, count the pages among pages {range} that contain it. Which has most pages?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Three words of which one leads."""
        for entries in _ranges(facts, segment):
            for group in combinations(entries, 3):
                counts = sorted((len(pages) for _, pages, _ in group), reverse=True)
                if counts[0] == counts[1]:
                    continue
                start, end = group[0][2]
                answer = max(group, key=lambda entry: len(entry[1]))[0]
                slots = {"words": name_list([f"“{word}”" for word, _, _ in group]), "range": f"{start + 1}-{end}"}
                operands = [term_proof("term_pages", word, pages) for word, pages, _ in group]
                proof = combined("term_most", operands, choices=[word for word, _, _ in group])
                pages = sorted({page for _, own, _ in group for page in own})
                yield Draft(slots, answer, "String", pages, ["Text"], proof, [Where("", (start, end))])
