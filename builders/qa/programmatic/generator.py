"""The generator: asks every family for drafts, words them, and puts the candidates into a balanced order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...blocks import Document
from ...seeding import stable_int, stable_unit
from ...segments import Segment
from ..facts import FactIndex, facts_of
from ..protocol import Candidate
from .base import Draft, Family, Names
from .registry import FAMILIES
from .wordings import ALIKE, language_of

PER_FAMILY = 6
"""Most candidates of one family in a segment."""
MAX_QUESTION = 700


class ProgrammaticGenerator:
    """Candidates from facts. See ``registry`` for the families."""

    name = "programmatic/3"

    def generate(self, document: Document, segments: Sequence[Segment], config: str, seed: int) -> list[Candidate]:
        """Candidates of one config.

        The families take turns, so that the first few candidates are of different families; which family comes first is
        a weighted random choice (exponential race: rate = the family's weight). All choices are hashes of seed,
        document, family and what is asked.
        """
        facts = facts_of(document)
        ranked: list[tuple[int, float, int, Candidate]] = []
        for segment in segments:
            span = (segment.start, segment.end)
            for family in FAMILIES:
                if family.config != config:
                    continue
                key = (seed, document.doc_id, family.name)
                turn = -math.log(1.0 - stable_unit(*key, "turn", *span)) / family.weight
                candidates = self._candidates(family, facts, segment, seed)
                ranked += [(rank, turn, span[0], candidate) for rank, candidate in enumerate(candidates)]
        ranked.sort(key=lambda entry: entry[:3])
        return _distinct([candidate for *_, candidate in ranked])

    def _candidates(self, family: Family, facts: FactIndex, segment: Segment, seed: int) -> list[Candidate]:
        drafts = {}
        for draft in family.drafts(facts, segment):
            what = (*sorted(draft.slots.items()), *draft.pages, str(draft.proof.get("pick", "")))
            drafts[stable_int(seed, facts.document.doc_id, family.name, *what)] = draft
        chosen = [(key, drafts[key]) for key in sorted(drafts)[:PER_FAMILY]]
        candidates = [_word(family, draft, key, segment, facts) for key, draft in chosen]
        return [candidate for candidate in candidates if len(candidate.question) <= MAX_QUESTION]


def _word(family: Family, draft: Draft, key: int, segment: Segment, facts: FactIndex) -> Candidate:
    where = draft.anchors[stable_int(key, "anchor") % len(draft.anchors)]
    language = language_of(facts.document.language)
    wordings = language.wordings.get(ALIKE.get(family.name, family.name)) if language else None
    spoken = where.spoken(language)
    if not wordings or spoken is None:
        language, wordings, spoken = None, family.wordings, where.words
    wording = wordings[stable_int(key, "wording") % len(wordings)]
    slots = {name: slot.spoken(language) if isinstance(slot, Names) else slot for name, slot in draft.slots.items()}
    first = spoken[:1].upper() + spoken[1:]
    question = wording.format(where=spoken, Where=first, **slots)
    notes = dict(draft.notes)
    if not facts.english:
        notes["question_language"] = facts.document.language if language else "en"
    return Candidate(
        config=family.config,
        family=family.name,
        question=question,
        answer=draft.answer,
        answer_format=draft.answer_format,
        evidence_pages=draft.pages,
        evidence_sources=draft.sources,
        segment=(segment.start, segment.end),
        scope=where.scope,
        proof=draft.proof,
        notes=notes,
    )


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without questions that were asked before, word for word or in other words about the same facts."""
    seen: set[str] = set()
    kept = []
    for candidate in candidates:
        keys = {candidate.question, f"{candidate.family} {candidate.proof}"}
        if not keys & seen:
            seen |= keys
            kept.append(candidate)
    return kept
