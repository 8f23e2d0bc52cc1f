"""Families footnote and several_footnotes: what numbered footnotes say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..places import Footnote
from .base import Draft, Family, Where, inside, on_page
from .proofs import combined, phrase_proof


def _proof(note: Footnote) -> dict[str, object]:
    return phrase_proof(note.page, note.block, note.text) | {"prefix": note.marker}


class FootnoteText(Family):
    """The text of one footnote."""

    name = "footnote"
    config = "extract_single"
    weight = 1.0
    wordings = (
        "What does footnote {marker} {where} say?",
        "{Where}, what is the text of footnote {marker}?",
        "Quote footnote {marker} {where}.",
        "Read footnote {marker} at the bottom {where2}. What does it say?",
        "Which remark is made in footnote {marker} {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a footnote."""
        for note in facts.footnotes:
            if inside(segment, note.page):
                slots = {"marker": note.marker, "where2": f"of page {note.page + 1}"}
                proof = _proof(note)
                yield Draft(slots, note.text, "String", [note.page], ["Text", "Layout"], proof, [on_page(note.page)])


class SeveralFootnotes(Family):
    """The texts of two footnotes on different pages."""

    name = "several_footnotes"
    config = "extract_multi"
    weight = 1.0
    wordings = (
        "What do footnote {m} on page {a} and footnote {n} on page {b} say? List both texts in this order.",
        "Quote footnote {m} of page {a} and footnote {n} of page {b}, as a list in this order.",
        "Read footnote {m} at the bottom of page {a} and footnote {n} at the bottom of page {b}. List their texts.",
        "List the texts of two footnotes: number {m} on page {a}, then number {n} on page {b}.",
        "Give the wording of footnote {m} (page {a}) and of footnote {n} (page {b}) as a list.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbours of at most 160 characters."""
        notes = [note for note in facts.footnotes if inside(segment, note.page) and len(note.text) <= 160]
        for first, second in pairwise(notes):
            if first.page == second.page:
                continue
            pages = [first.page, second.page]
            slots = {"m": first.marker, "n": second.marker, "a": str(pages[0] + 1), "b": str(pages[1] + 1)}
            proof = combined("collect", [_proof(first), _proof(second)])
            anchors = [Where("", (pages[0], pages[1] + 1))]
            yield Draft(slots, [first.text, second.text], "List", pages, ["Text", "Layout"], proof, anchors)
