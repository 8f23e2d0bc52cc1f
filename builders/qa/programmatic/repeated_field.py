"""Family repeated_field: the values of one field on several pages."""

from __future__ import annotations

from collections.abc import Iterator

from ...seeding import stable_int
from ...segments import Segment
from ..facts import FactIndex
from ..places import FieldFact
from .base import Draft, Family, Where, inside, page_list
from .proofs import combined, field_proof


def once_a_page(facts: FactIndex, segment: Segment) -> dict[str, list[FieldFact]]:
    """Key -> its fields in page order, for the pages of a segment that hold the key exactly once."""
    places: dict[str, dict[int, list[FieldFact]]] = {}
    for fact in facts.fields:
        if inside(segment, fact.page):
            places.setdefault(fact.key, {}).setdefault(fact.page, []).append(fact)
    return {
        key: [pages[page][0] for page in sorted(pages) if len(pages[page]) == 1]
        for key, pages in sorted(places.items())
    }


class RepeatedField(Family):
    """One key, two to five pages."""

    name = "repeated_field"
    config = "extract_multi"
    weight = 1.5
    wordings = (
        "List what is given as “{key}” on each of pages {pages}, in page order.",
        "What is stated for “{key}” on pages {pages}? List the values in page order.",
        "Collect the values of the field “{key}” from pages {pages}, one for each page, in order.",
        "For pages {pages}, give the entry “{key}” of each page, in this order.",
        "Which values stand next to “{key}” on pages {pages}? Answer with a list, one value a page.",
        "Pages {pages} each have an entry “{key}”. List these entries in page order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Up to two choices of pages a key."""
        for key, fields in once_a_page(facts, segment).items():
            for size in (3, 5) if len(fields) >= 5 else (min(len(fields), 3),):
                if size < 2:
                    continue
                mixed = sorted(fields, key=lambda fact: stable_int(facts.document.doc_id, key, size, fact.page))
                chosen = sorted(mixed[:size], key=lambda fact: fact.page)
                pages = [fact.page for fact in chosen]
                values = [fact.value for fact in chosen]
                proof = combined("collect", [field_proof(fact) for fact in chosen])
                anchors = [Where("", (pages[0], pages[-1] + 1))]
                yield Draft({"key": key, "pages": page_list(pages)}, values, "List", pages, ["Text"], proof, anchors)
