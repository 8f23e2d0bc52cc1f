"""Wordings in other languages than English: used where a document's language and a family have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """How a language asks.

    Attributes:
        page, pages, section, table, only_table: Anchors as parts of a sentence; ``{a}`` and ``{b}`` are 1-based pages.
        last: What stands before the last entry of an enumeration.
        wordings: Family -> format strings of equal meaning, with the slots of the English ones.
    """

    page: str
    pages: str
    section: str
    table: str
    only_table: str
    last: str
    wordings: Mapping[str, Sequence[str]]


ALIKE = {"under_heading_across": "under_heading"}
"""Families that ask like another one."""


def language_of(code: str) -> Language | None:
    """The wordings for an ISO 639-1 code; None for English and for languages without wordings."""
    from .de import GERMAN
    from .fr import FRENCH
    from .zh import CHINESE

    return {"de": GERMAN, "fr": FRENCH, "zh": CHINESE}.get(code)
