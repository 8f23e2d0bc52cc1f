"""Proofs that stand on where things are: a text under a heading, and headings that follow one another without a gap."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .caption_proofs import check_count, check_places
from .findings import Finding
from .numbering import follows, number_of
from .page_text import PageText
from .text import squash

Proof = Mapping[str, Any]
Span = tuple[int, int]


def check_layout(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """What a combined proof claims about places, after its operands were checked; nothing for other operations."""
    if proof["operation"] == "under":
        return _under(proof, pages)
    if proof["operation"] in ("sections", "section_count"):
        return _without_gap(proof, pages, scope)
    if "pick" in proof:
        return _all_children(proof, pages, scope)
    if proof["operation"] in ("page_gap", "page_numbers"):
        return check_places(proof, pages, scope)
    if proof["operation"] == "count":
        return check_count(proof, pages, scope)
    return Finding()


_DOTTED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){1,4})\.?\s+[^\W\d_]")


def _missed(
    pages: Sequence[PageText], span: Span, low: Sequence[int], high: Sequence[int], known: Collection[tuple[int, ...]]
) -> Finding:
    """A line that begins with a section number strictly between two others: a heading that the parser missed.

    That the numbers follow one another is no proof: between 7 and 8 there may be 7.1.
    """
    for page in range(*span):
        for row in (*pages[page].rows, *pages[page].lines):
            match = _DOTTED.match(row)
            if match is None:
                continue
            number = tuple(map(int, match[1].split(".")))
            if tuple(low) < number < tuple(high) and number not in known:
                return Finding(rival=f"page {page}: {row[:60]!r} looks like another heading")
    return Finding()


def _all_children(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """No other line of the scope has the number of a sub-section of the same parent."""
    numbers = [number_of(operand["value"]) for operand in proof["operands"]]
    if not all(numbers):
        return Finding()  # the outline told, and it has no numbers
    parent = numbers[0][:-1]
    if any(number[:-1] != parent for number in numbers):
        return Finding(missing="the headings are not of one level")
    depth = len(numbers[0])
    for page in range(*scope):
        for row in (*pages[page].rows, *pages[page].lines):
            match = _DOTTED.match(row)
            number = tuple(map(int, match[1].split("."))) if match else ()
            if len(number) == depth and number[:-1] == parent and number not in numbers:
                return Finding(rival=f"page {page}: {row[:60]!r} looks like another sub-section")
    return Finding()


def _under(proof: Proof, pages: Sequence[PageText]) -> Finding:
    """The text stands after the heading and before the next numbered one."""
    heading, place = proof["operands"]
    texts = [(heading["page"], squash(heading["printed"])), (place["page"], squash(place["value"]))]
    following = proof.get("next")
    if following is not None:
        if not follows(number_of(heading["printed"]), number_of(following["printed"])):
            return Finding(missing="a heading between this one and the next may have been missed")
        texts.append((following["page"], squash(following["printed"])))
    places = [(page, pages[page].squashed.find(text)) for page, text in texts]
    if any(at < 0 for _, at in places):
        return Finding(missing="a heading does not stand on its page")
    if places != sorted(places):
        return Finding(rival="the text does not stand between this heading and the next")
    if following is None:
        return Finding()
    low, high = number_of(heading["printed"]), number_of(following["printed"])
    return _missed(pages, (heading["page"], place["page"] + 1), low, high, ())


def _without_gap(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """The numbers follow one another, and the headings before and after stand outside of the scope."""
    numbers = [number_of(operand["value"]) for operand in proof["operands"]]
    before, after = proof["before"], proof["after"]
    chain = [tuple(before["number"]), *numbers] if before else numbers
    chain = [*chain, tuple(after["number"])] if after else chain
    if any(not follows(a, b) for a, b in pairwise(chain)):
        return Finding(missing="the numbers of the headings do not follow one another")
    if not before and numbers[0] != (1,):
        return Finding(missing="nothing shows that no heading comes before these")
    if any(neighbour and scope[0] <= neighbour["page"] < scope[1] for neighbour in (before, after)):
        return Finding(rival="another numbered heading stands in the scope")
    if any(not scope[0] <= operand["page"] < scope[1] for operand in proof["operands"]):
        return Finding(missing="a heading stands outside of the scope")
    return _missed(pages, scope, chain[0] if before else (0,), chain[-1], numbers) if after else Finding()
