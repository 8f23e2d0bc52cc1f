"""The facts of a document that questions are made of: fields, tables, captions, numbers in sentences, headings ...

``facts_of`` indexes a document; every kind of fact is looked for on first use and kept. A fact names its place as
(page, block): 0-based page and position in ``Page.blocks``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from ..blocks import Block, Document, Section
from . import finders, lists, prose, tables, terms
from .numbering import NUMBERED, follows, number_of
from .places import (
    Caption,
    FieldFact,
    Footnote,
    Heading,
    ListFact,
    NumberFact,
    PageBreak,
    Place,
    Quote,
    TableFact,
    Term,
)
from .text import MONTHS, fold, plain_text

_LEADER = re.compile(r"(?:[.·…‥]\s?){4,}\s*\S{0,8}\s*\Z")
_SPECIAL_ROLES = ("contents", "index", "references")
_LEADER_LINES = 4
_APART = r"\w¨´`ˆ˜\u0300-\u036f-"  # accents that stand apart from their letters, too: "m´ecanique" is no "ecanique"
_LONG_WORD = re.compile(rf"(?<![{_APART}])[^\W\d_\u3040-\u9fff\uac00-\ud7af]{{7,24}}(?![{_APART}])")


_NO_TITLE = re.compile(
    r"\S\s+\d{1,2}(?:\.\d{1,2})+\.?\s"  # two headings that the parser took for one
    r"|\A\d+\s+\d+[.\s]"  # the number of a line before that of the section
    r"|\A[\d.\s]*[•◦▪■●◆»–—*-]"  # an item of a list, or an ornament
    r"|(?:\b[^\W\d_]\s){3}"  # s p a c e d letters
    r"|[^\W\d_]`[^\W\d_]"  # an accent that stands apart from its letter
    r"|[^\W\d_]{3,}\.\s+[A-ZÀ-Þ][^\W\d_]*\s"  # a heading that runs into the text below it
    r"|[;；,，、。：:]\Z"
)


_DAY = re.compile(rf"\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s+(?:{MONTHS})\.?\b", re.IGNORECASE)
"""``14 February 2003`` is a date below a title, no section 14."""


def _names_section(title: str) -> bool:
    """Whether a title is one heading, as a reader would quote it."""
    return plain_text(title) and _NO_TITLE.search(title.strip()) is None and not _DAY.match(title.strip())


SMALLEST_LINE = 4.0
"""Points from line to line below which nobody reads a page at 144 dpi: a page shown as a picture on another page."""


def _too_small(block: Block) -> bool:
    return (block.box[3] - block.box[1]) / max(len(block.lines), 1) < SMALLEST_LINE


@dataclass(frozen=True, slots=True)
class NamedSection:
    """A section that a question can name: its title is unique, and its heading stands on its first page.

    ``begin`` is the place of the heading and ``end`` that of the first block after the section; ``pages`` are all pages
    that hold some of it, end exclusive.
    """

    index: int
    title: str
    begin: Place
    end: Place
    pages: tuple[int, int]

    @property
    def number(self) -> tuple[int, ...]:
        """``(6, 3, 2)`` of ``6.3.2 Title block``; empty without such a number."""
        return number_of(self.title)

    @property
    def bare_title(self) -> str:
        """The title without its number."""
        match = NUMBERED.match(self.title)
        return match[2] if match else self.title

    def holds(self, place: Place) -> bool:
        """Whether a block lies inside the section, below its heading."""
        return self.begin < place < self.end


class FactIndex:
    """Facts of one document. All lists are ordered by page, then block."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.memo: dict[object, object] = {}
        """What families keep for one another, by a key of their own."""
        self.english = document.language in ("en", "und", "")

    @cached_property
    def usable(self) -> frozenset[int]:
        """Pages with a text to ask about: no contents, index or reference lists, nothing blank or unread."""
        pages = []
        for page in self.document.pages:
            if page.status not in ("text", "ocr") or getattr(page, "role", "") in _SPECIAL_ROLES:
                continue
            lines = (line for block in page.blocks for line in (block.lines or [block.text]))
            leaders = sum(1 for line in lines if ("..." in line or ". ." in line) and _LEADER.search(line))
            if leaders < _LEADER_LINES:
                pages.append(page.number)
        return frozenset(pages)

    @cached_property
    def body(self) -> list[tuple[int, int, Block]]:
        """(page, position, block) of all blocks of usable pages but running lines and what is too small to read."""
        return [
            (page.number, position, block)
            for page in self.document.pages
            if page.number in self.usable
            for position, block in enumerate(page.blocks)
            if block.kind not in ("header", "footer") and not _too_small(block)
        ]

    @cached_property
    def captions(self) -> list[Caption]:
        """Captions with a label and a title."""
        return finders.find_captions(self.body)

    @cached_property
    def headings(self) -> list[Heading]:
        """Headings that read like headings."""
        return finders.find_headings(self.body)

    @cached_property
    def fields(self) -> list[FieldFact]:
        """Lines ``Key: value`` of form-like blocks."""
        return finders.find_fields(self.body)

    @cached_property
    def numbers(self) -> list[NumberFact]:
        """Whole sentences with one number."""
        return finders.find_numbers(self.body, self.english)

    @cached_property
    def tables(self) -> list[TableFact]:
        """Tables whose cells can be named."""
        return tables.find_tables(self.body, self.captions)

    @cached_property
    def lists(self) -> list[ListFact]:
        """Lists with one item a line of their text."""
        return lists.find_lists(self.body)

    @cached_property
    def acronyms(self) -> list[Term]:
        """``Long Form (LF)``."""
        return terms.find_acronyms(self.body)

    @cached_property
    def definitions(self) -> list[Term]:
        """``An X is defined as Y.``"""
        return terms.find_definitions(self.body) if self.english else []

    @cached_property
    def footnotes(self) -> list[Footnote]:
        """Footnotes with a number."""
        return terms.find_footnotes(self.body)

    @cached_property
    def sentences(self) -> dict[int, list[tuple[int, str]]]:
        """Page -> (block, sentence): whole sentences of 14 to 30 plain words that begin alike nowhere else."""
        return prose.find_sentences(self.body)

    @cached_property
    def quotes(self) -> dict[int, list[Quote]]:
        """Page -> whole sentences that can be searched for."""
        return prose.find_quotes(self.body)

    @cached_property
    def page_breaks(self) -> list[PageBreak]:
        """Sentences that turn a page."""
        return prose.find_page_breaks(self.body)

    @cached_property
    def page_folds(self) -> list[str]:
        """The folded text of every page, furniture included."""
        return [
            fold(" ".join(block.text for block in page.blocks)) if page.number in self.usable else ""
            for page in self.document.pages
        ]

    @cached_property
    def sections(self) -> list[NamedSection]:
        """Sections that can be named, in document order."""
        titles = Counter(fold(section.title) for section in self.document.sections)
        named = []
        for index, section in enumerate(self.document.sections):
            place = self._heading_place(section)
            if place is None or titles[fold(section.title)] > 1 or not _names_section(section.title):
                continue
            end = self._section_end(index, section)
            end = min(end, (section.last_page + 1, 0))
            if end > place:
                pages = (section.first_page, section.last_page + 1)
                named.append(NamedSection(index, section.title.strip(), place, end, pages))
        return named

    def children(self, parent: NamedSection) -> list[NamedSection]:
        """The sub-sections of a section if they are surely all: their numbers, or the outline, tell; else none."""
        named = {section.index: section for section in self.sections}
        sections = self.document.sections
        below = [i for i, section in enumerate(sections) if section.parent == parent.index]
        if len(below) < 2 or any(child not in named for child in below):
            return []
        parts = [named[child] for child in below]
        if all(part.number for part in parts):
            first = parts[0].number
            wanted = [(*first[:-1], first[-1] + i) for i in range(len(parts))]
            whole = [part.number for part in parts] == wanted and (len(first) == 1 or first[-1] == 1)
            whole = whole and parent.number in ((), first[:-1])  # else the parser missed a heading between them
        else:
            whole = all(sections[part.index].source == "outline" for part in parts)
        return parts if whole else []

    @cached_property
    def numbered(self) -> list[NamedSection]:
        """Sections with a number that no other section has, and a title that no other has."""
        numbers = Counter(section.number for section in self.sections)
        titles = Counter(fold(section.bare_title) for section in self.sections)
        return [
            section
            for section in self.sections
            if section.number and numbers[section.number] == 1 and titles[fold(section.bare_title)] == 1
        ]

    @cached_property
    def runs(self) -> list[list[NamedSection]]:
        """Runs of sections whose numbers follow one another without a gap: between them, no numbered one is missing."""
        named = {section.index: section for section in self.numbered}
        runs: list[list[NamedSection]] = [[]]
        for index in range(len(self.document.sections)):
            section = named.get(index)
            if section is None:
                runs.append([])  # a section that cannot be named stands between the others all the same
            elif not runs[-1] or follows(runs[-1][-1].number, section.number):
                runs[-1].append(section)
            else:
                runs.append([section])
        return [run for run in runs if run]

    @cached_property
    def word_pages(self) -> dict[str, list[int]]:
        """Long word (folded) -> the pages whose text holds it as a whole word: words on 2 pages up to half of all."""
        found: dict[str, list[int]] = {}
        for page, text in enumerate(self.page_folds):
            for word in set(_LONG_WORD.findall(text)):
                found.setdefault(word, []).append(page)
        most = max(len(self.document.pages) // 2, 2)
        return {word: pages for word, pages in sorted(found.items()) if 2 <= len(pages) <= most}

    def _heading_place(self, section: Section) -> Place | None:
        """Where the section's heading really stands; an outline's entry may point to the wrong page."""
        page = section.first_page
        if not (page in self.usable and 3 <= len(section.title.strip()) <= 100):
            return None
        blocks = self.document.pages[page].blocks
        if not 0 <= section.block < len(blocks) or blocks[section.block].kind not in ("heading", "title"):
            return None
        heading, title = fold(blocks[section.block].text), fold(section.title)
        return (page, section.block) if heading.endswith(title) or title.endswith(heading) else None

    def _section_end(self, index: int, section: Section) -> Place:
        for later in self.document.sections[index + 1 :]:
            if later.level <= section.level:
                # Without the heading's block, all of that page is left to the later section.
                return later.first_page, max(later.block, 0)
        return len(self.document.pages), 0

    def section_of(self, place: Place) -> NamedSection | None:
        """The innermost section that can be named and holds the block."""
        best = None
        for section in self.sections:
            if section.begin >= place:
                break
            if section.holds(place):
                best = section
        return best


_LAST: list[FactIndex] = []


def facts_of(document: Document) -> FactIndex:
    """The index of a document; the last one is kept, as the same document is asked about for several configs."""
    if not _LAST or _LAST[0].document is not document:
        _LAST[:] = [FactIndex(document)]
    return _LAST[0]
