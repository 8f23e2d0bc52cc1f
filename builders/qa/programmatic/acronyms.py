"""Families acronym and several_acronyms: what abbreviations stand for."""

from __future__ import annotations

from collections.abc import Iterator

from ...segments import Segment
from ..facts import FactIndex
from ..places import Term
from .base import Draft, Family, Where, in_section, inside, name_list, on_page
from .proofs import combined, phrase_proof


def _proof(term: Term) -> dict[str, object]:
    return {**phrase_proof(term.page, term.block, term.meaning), "acronym": term.term, "sentence": term.sentence}


class Acronym(Family):
    """One acronym."""

    name = "acronym"
    config = "extract_single"
    weight = 1.3
    wordings = (
        "What does the abbreviation “{acronym}” stand for {where}?",
        "{Where}, “{acronym}” is introduced as an abbreviation. Of what?",
        "How is “{acronym}” written out {where}?",
        "Give the full form of “{acronym}” as introduced {where}.",
        "{Where}, which words does “{acronym}” abbreviate?",
        "Which term is shortened to “{acronym}” {where}?",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """One draft an acronym."""
        for term in facts.acronyms:
            if inside(segment, term.page):
                anchors = [on_page(term.page), *in_section(facts, (term.page, term.block), segment)]
                yield Draft(
                    {"acronym": term.term}, term.meaning, "String", [term.page], ["Text"], _proof(term), anchors
                )


class SeveralAcronyms(Family):
    """Two or three acronyms that are introduced on different pages."""

    name = "several_acronyms"
    config = "extract_multi"
    weight = 1.3
    wordings = (
        "What do {acronyms}, introduced on pages {range}, stand for? List the full forms in this order.",
        "Write out {acronyms} as they are introduced on pages {range}, as a list in this order.",
        "On pages {range}, the abbreviations {acronyms} are introduced. Give their full forms in this order.",
        "List the full forms of {acronyms}, which are introduced on pages {range}, in the order named.",
        "Which terms are shortened to {acronyms} on pages {range}? Answer with a list in this order.",
    )

    def drafts(self, facts: FactIndex, segment: Segment) -> Iterator[Draft]:
        """Neighbours in page order."""
        terms = [term for term in facts.acronyms if inside(segment, term.page)]
        for size in (2, 3):
            for start in range(len(terms) - size + 1):
                chosen = terms[start : start + size]
                pages = sorted({term.page for term in chosen})
                if len(pages) < 2:
                    continue
                names = name_list([f"“{term.term}”" for term in chosen])
                slots = {"acronyms": names, "range": f"{pages[0] + 1}-{pages[-1] + 1}"}
                proof = combined("collect", [_proof(term) for term in chosen])
                answer = [term.meaning for term in chosen]
                yield Draft(slots, answer, "List", pages, ["Text"], proof, [Where("", (pages[0], pages[-1] + 1))])
