"""Families list_item and list_length: one item of a list, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from .base import Draft, Family, inside, on_page
from .proofs import list_proof

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


class ListItem(Family):
    """An item by its position, or the last one."""

    name = "list_item"
    config = "extract_single"
    weight = 1.2
    wordings = (
        "{Where}, what is the {ordinal} item of the list introduced by “{lead}:”?",
        "Which item comes {ordinal} in the list after “{lead}:” {where}?",
        "Quote the {ordinal} entry of the list that follows “{lead}:” {where}.",
        "{Where} a list begins after “{lead}:”. What is its {ordinal} item?",
        "What does the {ordinal} point of the list below “{lead}:” {where} say?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """The first six items and the last one."""
        for fact in facts.lists:
            if not inside(segment, fact.page):
                continue
            places = [(word, index) for index, word in enumerate(_ORDINALS[: len(fact.items)])]
            for ordinal, index in [*places, ("last", len(fact.items) - 1)]:
                slots = {"ordinal": ordinal, "lead": fact.lead}
                proof = list_proof("list_item", fact, index)
                item = fact.items[index].rstrip(";,")
                if item == fact.items[index]:
                    yield Draft(slots, item, "String", [fact.page], ["Text", "Layout"], proof, [on_page(fact.page)])


class ListLength(Family):
    """How many items a list has."""

    name = "list_length"
    config = "reasoning"
    wordings = (
        "{Where}, how many items does the list introduced by “{lead}:” have?",
        "Count the items of the list that follows “{lead}:” {where}.",
        "How many entries are there in the list after “{lead}:” {where}?",
        "{Where} a list begins after “{lead}:”. How many points does it have?",
        "What is the number of points listed below “{lead}:” {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a list that ends on its page."""
        for fact in facts.lists:
            blocks = facts.document.pages[fact.page].blocks
            after = [
                block.kind for block in blocks[fact.block + 1 :] if block.kind not in ("header", "footer", "footnote")
            ]
            if inside(segment, fact.page) and after and after[0] != "list":
                proof = list_proof("list_length", fact)
                count = len(fact.items)
                anchors = [on_page(fact.page)]
                yield Draft({"lead": fact.lead}, count, "Integer", [fact.page], ["Text", "Layout"], proof, anchors)
