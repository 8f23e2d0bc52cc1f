"""Families quote_page, quote_pages, quote_order and quote_gap: where passages stand that a question quotes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex
from ..places import Quote
from .base import Draft, Family, Where, name_list
from .proofs import combined, quote_proof

MOST_QUOTED = 140
"""Most characters of a quotation."""


def quoted(text: str, most: int = MOST_QUOTED) -> str:
    """A sentence, or its beginning up to a word's end."""
    if len(text) <= most:
        return text.rstrip(".")
    return text[:most].rsplit(" ", 1)[0].rstrip(" ,;:-–(")


def one_a_page(facts: FactIndex, segment: Segment) -> list[Quote]:
    """One sentence a page of the segment, chosen by a hash."""
    chosen = []
    for page in range(segment.start, segment.end):
        quotes = facts.quotes.get(page, [])
        if quotes:
            chosen.append(quotes[stable_int(facts.document.doc_id, "quote", page) % len(quotes)])
    return chosen


def _range(segment: Segment) -> str:
    return f"{segment.start + 1}-{segment.end}"


def _groups(facts: FactIndex, segment: Segment, size: int) -> Iterator[list[Quote]]:
    """Groups of sentences on different pages, some pages apart, in page order."""
    quotes = one_a_page(facts, segment)
    step = max(1, len(quotes) // size)
    for start in range(len(quotes) - step * (size - 1)):
        yield quotes[start::step][:size]


class QuotePage(Family):
    """The page on which one passage stands."""

    name = "quote_page"
    config = "extract_single"
    weight = 0.3
    wordings = (
        "On which of the pages {range} does the passage “{quote}” stand? Give the page number.",
        "Search pages {range} for “{quote}”. On which page is it found?",
        "Which page, out of pages {range}, contains the words “{quote}”?",
        "Somewhere on pages {range} it says “{quote}”. What is the number of that page?",
        "Find “{quote}” within pages {range} and give its page number.",
        "Look through pages {range}: on which page do you read “{quote}”?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a page."""
        for quote in one_a_page(facts, segment):
            text = quoted(quote.text)
            slots = {"quote": text, "range": _range(segment)}
            anchors = [Where("", (segment.start, segment.end))]
            proof = quote_proof(quote, text)
            yield Draft(slots, quote.page + 1, "Integer", [quote.page], ["Text"], proof, anchors)


class QuotePages(Family):
    """The pages on which two or three passages stand."""

    name = "quote_pages"
    config = "extract_multi"
    weight = 0.3
    wordings = (
        "On which of the pages {range} do these passages stand: {quotes}? List the page numbers in this order.",
        "Search pages {range} for {quotes}. On which page is each found? List the page numbers in this order.",
        "Give the page of each of these passages from pages {range}, in this order: {quotes}.",
        "Find {quotes} within pages {range}. Answer with the list of their page numbers, in this order.",
        "Pages {range} contain the passages {quotes}. List the page of each, in the order given.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Groups of two and three, in a random order."""
        for size in (2, 3):
            for group in _groups(facts, segment, size):
                key = (facts.document.doc_id, "quote_pages", size)
                asked = sorted(group, key=lambda quote: stable_int(*key, quote.page))
                texts = [quoted(quote.text, 90) for quote in asked]
                slots = {"quotes": name_list([f"“{text}”" for text in texts]), "range": _range(segment)}
                proof = combined("page_numbers", [quote_proof(q, t) for q, t in zip(asked, texts, strict=True)])
                answer = [str(quote.page + 1) for quote in asked]
                pages = sorted(quote.page for quote in asked)
                anchors = [Where("", (segment.start, segment.end))]
                yield Draft(slots, answer, "List", pages, ["Text"], proof, anchors)


class QuoteOrder(Family):
    """Three passages put into the order in which they appear."""

    name = "quote_order"
    config = "reasoning"
    weight = 0.3
    wordings = (
        "In which order do these passages appear on pages {range}: {quotes}? Answer with a list of the letters.",
        "Put these passages of pages {range} into their order of appearance: {quotes}. List the letters.",
        "Sort by where they stand on pages {range}, from first to last: {quotes}. Give the letters as a list.",
        "Going through pages {range}, which of these do you meet first, second and third: {quotes}? List the letters.",
        "Arrange {quotes} in the order in which pages {range} print them. Answer with the letters as a list.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Groups of three in a random order that is not their own."""
        for group in _groups(facts, segment, 3):
            key = (facts.document.doc_id, "quote_order")
            asked = sorted(group, key=lambda quote: stable_int(*key, quote.page, quote.block))
            if asked == group:
                asked.reverse()
            texts = [quoted(quote.text, 90) for quote in asked]
            letters = "ABC"
            listed = "; ".join(f"({letter}) “{text}”" for letter, text in zip(letters, texts, strict=True))
            operands = [quote_proof(q, t) for q, t in zip(asked, texts, strict=True)]
            proof = combined("letters", operands, choices=list(letters))
            answer = [letters[asked.index(quote)] for quote in group]
            anchors = [Where("", (segment.start, segment.end))]
            pages = [quote.page for quote in group]
            yield Draft({"quotes": listed, "range": _range(segment)}, answer, "List", pages, ["Text"], proof, anchors)


class QuoteGap(Family):
    """How many pages lie between two passages."""

    name = "quote_gap"
    config = "reasoning"
    weight = 0.2
    wordings = (
        "How many pages after “{a}” does “{b}” stand, on pages {range}?",
        "Find “{a}” and “{b}” on pages {range}. What is the difference of their page numbers?",
        "By how many pages are the passages “{a}” and “{b}” apart, within pages {range}?",
        "Within pages {range}, subtract the page number of “{a}” from that of “{b}”. What is left?",
        "On pages {range} you find “{a}” and later “{b}”. How many pages further on is the second passage?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Pairs of sentences some pages apart."""
        quotes = one_a_page(facts, segment)
        for distance in (1, 2, 3):
            for first, second in pairwise(quotes[::distance]):
                a, b = quoted(first.text, 100), quoted(second.text, 100)
                proof = combined("page_gap", [quote_proof(first, a), quote_proof(second, b)])
                slots = {"a": a, "b": b, "range": _range(segment)}
                anchors = [Where("", (segment.start, segment.end))]
                pages = [first.page, second.page]
                yield Draft(slots, second.page - first.page, "Integer", pages, ["Text"], proof, anchors)
