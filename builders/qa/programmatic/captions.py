"""Families caption_text and caption_label: from a label to its caption, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..places import Caption
from ..text import fold
from .base import Draft, Family, in_section, inside, on_page
from .proofs import caption_proof


def unique_captions(facts: FactIndex, segment: Segment) -> list[Caption]:
    """Captions of the segment whose label and title no other caption of the file has."""
    labels = Counter(caption.label for caption in facts.captions)
    titles = Counter(fold(caption.title) for caption in facts.captions)
    return [
        c
        for c in facts.captions
        if inside(segment, c.page) and labels[c.label] == 1 and titles[fold(c.title)] == 1 and c.title.count(" ") >= 1
    ]


def _source(caption: Caption) -> list[str]:
    return ["Table" if caption.kind == "table" else "Figure"]


class CaptionText(Family):
    """The caption of a label."""

    name = "caption_text"
    config = "extract_single"
    wordings = (
        "What is the caption of {label} {where}?",
        "{Where}, how is {label} captioned? Leave out the label itself.",
        "Quote the caption of {label} {where}, without the label.",
        "Which caption does {label} {where} carry?",
        "What does the caption of {label} {where} say?",
        "{Where}, what text follows the label {label}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a caption."""
        for caption in unique_captions(facts, segment):
            anchors = [on_page(caption.page), *in_section(facts, (caption.page, caption.block), segment)]
            proof = caption_proof(caption)
            yield Draft(
                {"label": caption.label}, caption.title, "String", [caption.page], _source(caption), proof, anchors
            )


class CaptionLabel(Family):
    """The label of a caption."""

    name = "caption_label"
    config = "extract_single"
    weight = 0.8
    wordings = (
        "Which {kind} {where} is captioned “{title}”? Give its label.",
        "{Where}, what is the label of the {kind} with the caption “{title}”?",
        "What label does the {kind} captioned “{title}” {where} have?",
        "Find the {kind} with the caption “{title}” {where}. How is it labelled?",
        "{Where}, one {kind} has the caption “{title}”. Which label stands before this caption?",
        "Under which label is the {kind} “{title}” found {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a caption."""
        for caption in unique_captions(facts, segment):
            if fold(caption.label) in fold(caption.title):
                continue
            anchors = [on_page(caption.page), *in_section(facts, (caption.page, caption.block), segment)]
            proof = caption_proof(caption) | {"operation": "caption_label"}
            slots = {"kind": caption.kind, "title": caption.title.replace("“", "'").replace("”", "'").rstrip(".")}
            yield Draft(slots, caption.label, "String", [caption.page], _source(caption), proof, anchors)
