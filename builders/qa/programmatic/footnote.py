"""Family footnote: what a numbered footnote says."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, inside, on_page
from .proofs import phrase_proof


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
                proof = phrase_proof(note.page, note.block, note.text) | {"prefix": note.marker}
                yield Draft(slots, note.text, "String", [note.page], ["Text", "Layout"], proof, [on_page(note.page)])
