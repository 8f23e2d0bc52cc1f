"""The kinds of facts: what is known, and on which page and in which block it stands."""

from __future__ import annotations

from dataclasses import dataclass

Place = tuple[int, int]
"""0-based page, and position in ``Page.blocks``."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption. ``kind`` is ``table`` or ``figure``; ``title`` is its text without the label."""

    page: int
    block: int
    kind: str
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading as printed, or the document's title."""

    page: int
    block: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class FieldFact:
    """A line ``Key: value`` of a form-like block."""

    page: int
    block: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class NumberFact:
    """A whole sentence that holds exactly one number: ``before + number + after``."""

    page: int
    block: int
    before: str
    number: str
    after: str


@dataclass(frozen=True, slots=True)
class TableFact:
    """A table with one header row.

    Attributes:
        label, title: Of its caption; empty without one.
        name: What a question calls it, such as ``Table 3 on page 12``.
        header: The cells of the header row.
        rows: The other rows.
        clean: Of every row: all cells are filled and stand on one layout line, in order.
    """

    page: int
    block: int
    label: str
    title: str
    name: str
    header: list[str]
    rows: list[list[str]]
    clean: list[bool]


@dataclass(frozen=True, slots=True)
class ListFact:
    """A list of items (without their bullets), and the sentence or heading above it, without its colon.

    The list takes the blocks from ``block`` to ``last``.
    """

    page: int
    block: int
    last: int
    lead: str
    items: list[str]


@dataclass(frozen=True, slots=True)
class Term:
    """An acronym with its expansion, or a term with its definition; ``sentence`` is the text that says so."""

    page: int
    block: int
    term: str
    meaning: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Footnote:
    """A footnote with its printed number."""

    page: int
    block: int
    marker: str
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A whole sentence that stands once; ``before`` is the sentence right before it in its block, if usable."""

    page: int
    block: int
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class PageBreak:
    """A sentence that begins on ``page`` (in ``block``) and ends on the next one (in ``below``)."""

    page: int
    block: int
    below: int
    begin: str
    end: str
