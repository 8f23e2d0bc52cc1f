"""Families list_item, list_merge and list_length: an item of a list, the items of two, how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...segments import Segment
from ..facts import FactIndex
from ..places import ListFact
from .base import Draft, Family, Where, inside, on_page
from .proofs import combined, list_proof

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


class ListItem(Family):
    """An item by its position, or the last one."""

    name = "list_item"
    config = "extract_single"
    weight = 1.2
    wordings = (
        "{Where}, what is the {ordinal} item of the list introduced by “{lead}”?",
        "Which item comes {ordinal} in the list after “{lead}” {where}?",
        "Quote the {ordinal} entry of the list that follows “{lead}” {where}.",
        "{Where} a list begins after “{lead}”. What is its {ordinal} item?",
        "What does the {ordinal} point of the list below “{lead}” {where} say?",
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
                item = fact.items[index].rstrip(";,；，、")
                if item == fact.items[index]:
                    yield Draft(slots, item, "String", [fact.page], ["Text", "Layout"], proof, [on_page(fact.page)])


class ListMerge(Family):
    """All items of two lists on different pages."""

    name = "list_merge"
    config = "extract_multi"
    weight = 1.5
    wordings = (
        "Join the lists after “{x}” on page {a} and after “{y}” on page {b}. List all their items in order.",
        "Page {a} has a list after “{x}”, page {b} one after “{y}”. Give the items of both as one list, in order.",
        "List the items that follow “{x}” (page {a}), then those that follow “{y}” (page {b}).",
        "Collect every item of the list below “{x}” on page {a} and of the one below “{y}” on page {b}, in order.",
        "Which items stand in the lists introduced by “{x}” on page {a} and “{y}” on page {b}? Give one list.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbours with at most ten items in all."""
        whole = [fact for fact in facts.lists if inside(segment, fact.page) and _ends(facts, fact)]
        for first, second in pairwise(whole):
            items = [*first.items, *second.items]
            if first.page == second.page or len(items) > 10 or any(item[-1] in ";,；，、" for item in items):
                continue
            pages = [first.page, second.page]
            slots = {"x": first.lead, "y": second.lead, "a": str(pages[0] + 1), "b": str(pages[1] + 1)}
            proof = combined("merge", [list_proof("list_length", first), list_proof("list_length", second)])
            anchors = [Where("", (pages[0], pages[1] + 1))]
            yield Draft(slots, items, "List", pages, ["Text", "Layout"], proof, anchors)


def _ends(facts: FactIndex, fact: ListFact) -> bool:
    """Whether a list ends on its page."""
    blocks = facts.document.pages[fact.page].blocks[fact.last + 1 :]
    after = [block.kind for block in blocks if block.kind not in ("header", "footer", "footnote")]
    return bool(after) and after[0] != "list"


class ListLength(Family):
    """How many items a list has."""

    name = "list_length"
    config = "reasoning"
    wordings = (
        "{Where}, how many items does the list introduced by “{lead}” have?",
        "Count the items of the list that follows “{lead}” {where}.",
        "How many entries are there in the list after “{lead}” {where}?",
        "{Where} a list begins after “{lead}”. How many points does it have?",
        "What is the number of points listed below “{lead}” {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft a list that ends on its page."""
        for fact in facts.lists:
            if inside(segment, fact.page) and _ends(facts, fact):
                proof = list_proof("list_length", fact)
                count = len(fact.items)
                anchors = [on_page(fact.page)]
                yield Draft({"lead": fact.lead}, count, "Integer", [fact.page], ["Text", "Layout"], proof, anchors)
