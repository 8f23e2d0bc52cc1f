"""What kind of block a group of lines is, and the block made of it."""

from __future__ import annotations

from ..blocks import Block
from .group import Group
from .lines import RawPage, restore_box
from .metrics import Metrics
from .patterns import BULLET, CAPTION, FOOTNOTE, ITEM_NUMBER
from .text import Words, clean, join_lines

FOOTNOTE_ZONE = 0.6
"""Footnotes stand below this part of the page's height."""
MAX_CAPTION_LINES = 8


def classify(group: Group, page: RawPage, metrics: Metrics) -> None:
    """Give a group that is neither heading, title nor table its kind: caption, list, footnote or paragraph."""
    if group.kind:
        return
    text = group.text
    caption = CAPTION.match(text)
    if caption is not None and _is_caption(caption.group(1), caption.group(2), caption.group(3), group):
        group.kind, group.label = "caption", " ".join(caption.group(1).split())
        return
    height = page.upright_size[1]
    small = group.size < 0.93 * metrics.size
    if (
        small
        and not group.mono
        and group.box[1] > FOOTNOTE_ZONE * height
        and FOOTNOTE.match(text)
        and not text[0].isalpha()
    ):
        group.kind = "footnote"
    elif (BULLET.match(text) or ITEM_NUMBER.match(text)) and not group.math:
        group.kind = "list"
    else:
        group.kind = "paragraph"


def _is_caption(label: str, separator: str, rest: str, group: Group) -> bool:
    if not (label[0].isupper() or not label[0].isascii()) or len(group.lines) > MAX_CAPTION_LINES:
        return False
    if separator.strip() or not rest:
        return True
    # "Table 3 shows ..." is a sentence; "Table 3  Volumes by quarter" is a caption.
    return rest[0].isupper() and len(group.lines) <= 2 and not rest.rstrip().endswith((".", ","))


def merge_lists(groups: list[Group]) -> list[Group]:
    """Neighbouring list items as one group; ``items`` holds the positions of the lines that begin an item."""
    merged: list[Group] = []
    for group in groups:
        if group.kind != "list":
            merged.append(group)
            continue
        before = merged[-1] if merged else None
        if before is not None and before.kind == "list" and group.gap < 2.6 and not before.last:
            before.items.append(len(before.lines))
            before.lines += group.lines
            before.last = group.last
        else:
            group.items = [0]
            merged.append(group)
    return merged


def make_block(group: Group, page: RawPage, words: Words) -> Block:
    """The block of a group."""
    lines = [clean(line.text) for line in group.lines]
    if group.kind == "table":
        rows = [[clean(cell) for cell in row] for row in group.rows]
        text = "\n".join(" | ".join(row) for row in rows)
    elif group.kind == "list":
        rows = []
        ends = [*group.items[1:], len(lines)]
        text = "\n".join(join_lines(lines[a:b], words) for a, b in zip(group.items, ends, strict=True))
    else:
        rows = []
        text = join_lines(lines, words)
    box = restore_box(group.box, page.turn, page.width, page.height)
    return Block(page.number, group.kind, box, text, lines, group.level, rows, clean(group.label), group.source)
