"""Documents made of blocks, for tests that know every word on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmprolong_builders.blocks import Block, Document, Page, Section
from mmprolong_builders.qa.programmatic import ProgrammaticGenerator
from mmprolong_builders.qa.protocol import Candidate
from mmprolong_builders.qa.verify import verify_candidate
from mmprolong_builders.segments import Segment


def block(kind: str, text: str, **more: Any) -> Block:
    """A block whose lines are those of its text."""
    lines = more.pop("lines", text.split("\n"))
    return Block(0, kind, (50.0, 50.0, 500.0, 80.0), text, lines, **more)


def document(
    pages: Sequence[Sequence[Block]], sections: Sequence[tuple[str, int, int]] = (), language: str = "en"
) -> Document:
    """A document; ``sections`` are (title, first page, last page), their headings are found among the blocks."""
    made = []
    for number, blocks in enumerate(pages):
        for one in blocks:
            one.page = number
        made.append(Page(number, 595.0, 842.0, list(blocks)))
    found = []
    for title, first, last in sections:
        place = next(i for i, one in enumerate(made[first].blocks) if one.text == title)
        found.append(Section(title, 1, first, last, place))
    return Document("ab" * 32, made, found, language)


def candidates(made: Document, family: str, config: str, seed: int = 0) -> list[Candidate]:
    """The candidates of one family over the whole document."""
    segment = Segment(0, len(made.pages))
    found = ProgrammaticGenerator().generate(made, [segment], config, seed)
    return [candidate for candidate in found if candidate.family == family]


def failed(candidate: Candidate, made: Document, texts: Sequence[str] | None = None) -> list[str]:
    """The checks that refuse a candidate."""
    return [verdict.check for verdict in verify_candidate(candidate, made, texts) if not verdict.ok]
