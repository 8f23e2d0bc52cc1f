"""Block, Page, Section and Document: what a parsed PDF is, whatever parsed it (text layer or OCR)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Box = tuple[float, float, float, float]
"""``(x0, y0, x1, y1)`` in points (1/72 inch) of the page as displayed; the origin is its top left corner."""

BLOCK_KINDS = (
    "title",
    "heading",
    "paragraph",
    "list",
    "table",
    "caption",
    "figure",
    "footnote",
    "header",
    "footer",
)


@dataclass(slots=True)
class Block:
    """One layout element of a page.

    Attributes:
        page: 0-based physical page.
        kind: One of ``BLOCK_KINDS``.
        box: Where it stands, in points.
        text: Reading text: lines joined, end-of-line hyphens resolved, Unicode NFC. A list keeps one item a line,
            a table one row a line with cells joined by `` | ``.
        lines: The layout lines as they stand on the page (runs on one baseline joined by one space).
        level: Heading level from 1 (a chapter) down; 0 for everything else.
        rows: The cells of a table, row by row, all rows of equal length; empty for other kinds.
        label: Of a caption: its label as printed, such as ``Table 3``; else empty.
        source: What found it: ``text``, ``outline`` or ``ocr:<engine>``.
    """

    page: int
    kind: str
    box: Box
    text: str
    lines: list[str] = field(default_factory=list)
    level: int = 0
    rows: list[list[str]] = field(default_factory=list)
    label: str = ""
    source: str = "text"


@dataclass(slots=True)
class Page:
    """A page and its blocks in reading order (headers first, footers last).

    ``width`` and ``height`` are in points, as displayed (after rotation). ``status`` is ``text`` (its text layer was
    used), ``ocr``, ``blank``, or ``needs_ocr`` with the rule that fired in ``status_reason``. ``role`` is ``body``, or
    ``contents``, ``index`` or ``references`` for pages that only list what stands elsewhere: no facts to ask for.
    """

    number: int
    width: float
    height: float
    blocks: list[Block] = field(default_factory=list)
    status: str = "text"
    status_reason: str = ""
    role: str = "body"


@dataclass(slots=True)
class Section:
    """A node of the section tree in document order.

    ``first_page`` and ``last_page`` are 0-based and inclusive, and take in all sub-sections; a section that ends in
    mid-page shares that page with its successor. ``block`` is the position of its heading in its first page's blocks
    (-1 where only the outline knows it). ``parent`` is an index into ``Document.sections`` or -1.
    """

    title: str
    level: int
    first_page: int
    last_page: int
    block: int = -1
    parent: int = -1
    source: str = "text"


def _plain(record: Block | Page | Section, **changed: Any) -> dict[str, Any]:
    # dataclasses.asdict copies every list again, which takes longer than the parsing of some pages.
    return {name: getattr(record, name) for name in record.__slots__} | changed


@dataclass(slots=True)
class Document:
    """A parsed PDF. ``doc_id`` is the SHA-256 of its bytes, ``language`` an ISO 639-1 guess or ``und``."""

    doc_id: str
    pages: list[Page]
    sections: list[Section] = field(default_factory=list)
    language: str = "und"
    title: str = ""
    parser: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for msgpack; ``from_dict`` is its inverse."""
        value = {name: getattr(self, name) for name in self.__slots__}
        value["pages"] = [_plain(page, blocks=[_plain(block) for block in page.blocks]) for page in self.pages]
        value["sections"] = [_plain(section) for section in self.sections]
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Document:
        """Rebuild what ``to_dict`` gave (boxes come back as tuples)."""
        pages = []
        for page in value["pages"]:
            blocks = [Block(**{**block, "box": tuple(block["box"])}) for block in page["blocks"]]
            pages.append(Page(**{**page, "blocks": blocks}))
        sections = [Section(**section) for section in value["sections"]]
        return cls(**{**value, "pages": pages, "sections": sections})
