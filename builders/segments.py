"""Segments: random runs of consecutive sections of 8-15 pages, from which questions are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from .blocks import Document
from .recipe import Segments
from .seeding import stable_int

MIN_SECTIONS = 3
"""Fewer top-level starting points than this are no usable structure."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of pages.

    Attributes:
        start, end: 0-based pages, ``end`` exclusive.
        sections: Indices into ``Document.sections`` of the sections that the run consists of; empty under a fallback.
        fallback: Why pages were cut without regard to sections; "" if they were not.
    """

    start: int
    end: int
    sections: list[int] = field(default_factory=list)
    fallback: str = ""


def choose_segments(document: Document, settings: Segments, seed: int, count: int) -> list[Segment]:
    """``count`` different segments, or as many as there are, in an order that is a hash of seed and document.

    All runs of consecutive sections (siblings or not, at any level) that begin where a section begins and have between
    ``settings.pages[0]`` and ``settings.pages[1]`` pages are candidates; if there are none, all windows of pages are.
    """
    least, most = settings.pages
    pages = len(document.pages)
    if pages <= least:
        return [Segment(0, pages, fallback="short_document")]
    runs, fallback = _section_runs(document, least, most), ""
    if not runs:
        fallback = "few_sections" if len(document.sections) < MIN_SECTIONS else "sections_do_not_fit"
        length = min(most, pages)
        runs = {(start, start + length): [] for start in range(pages - length + 1)}
    order = sorted(runs, key=lambda run: (stable_int(seed, document.doc_id, "segment", *run), run))
    return [Segment(start, end, runs[start, end], fallback) for start, end in order[:count]]


def choose_segment(document: Document, settings: Segments, seed: int) -> Segment:
    """The first of ``choose_segments``."""
    return choose_segments(document, settings, seed, 1)[0]


def _section_runs(document: Document, least: int, most: int) -> dict[tuple[int, int], list[int]]:
    """(start, end) -> sections of every run of consecutive sections whose pages fit."""
    if len(document.sections) < MIN_SECTIONS:
        return {}
    runs: dict[tuple[int, int], list[int]] = {}
    pages = len(document.pages)
    sections = document.sections
    for first, section in enumerate(sections):
        start = section.first_page
        members: list[int] = []
        for i in range(first, len(sections)):
            member = sections[i]
            if member.first_page - start >= most:
                break
            members.append(i)
            if i + 1 < len(sections) and sections[i + 1].parent == i:
                continue  # a parent without its sub-sections is no whole section
            end = min(member.last_page + 1, pages)  # a page shared with the next section belongs to both
            if least <= end - start <= most:
                runs.setdefault((start, end), list(members))
    return runs
