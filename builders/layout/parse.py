"""From an open PDF to a ``Document``: its text layer as blocks in reading order, and its sections."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mmprolong_data.settings import from_plain

from ..blocks import Block, Document, Page
from ..language import guess_language
from ..pdf import PdfFile, open_pdf
from ..recipe import Parse
from . import PARSER
from .contents import Contents, is_contents_title, read_contents
from .furniture import Furniture, find_furniture
from .given import add_given_furniture, given_groups, given_regions, mark_given
from .group import Group, group_lines
from .heading_rules import find_headings
from .headings import Heading, outline_headings, rank_levels
from .kinds import classify, make_block, merge_lists
from .line_numbers import remove_line_numbers
from .lines import FontStyles, Fragment, Line, RawPage, make_lines, read_page, restore_box
from .metrics import Metrics, measure
from .order import reading_order
from .patterns import INDEX_LINE, INDEX_TITLE, LEADER, REFERENCES_TITLE, heading_depth, without_number
from .scanned import add_furniture, floats, looks_titled, scanned_page, set_styles, titled_lines, unskewed_box
from .sections import build_sections
from .status import page_status
from .tables import find_tables, is_table_caption, table_rows
from .text import Words, clean

MIN_FIGURE = 0.02
"""Images below this part of the page's area are ornaments."""
LANGUAGE_CHARACTERS = 20_000
MAX_NUMBERED = 4
"""A heading of so many lines is not joined to the number above it."""
TITLE_PAGES, MIN_TITLE = 2, 1.35
"""The title stands on one of the first pages, this many times larger than the body."""


def parse_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Parse one file.

    Args:
        payload: ``{"path", "doc_id", "settings": recipe.Parse as a dict}``, and for a document with scanned pages
            that were read ``"ocr": {"engine": name, "pages": {page: [reason, record of ocr.read]}}``.

    Returns:
        ``{"document": plain Document}``.

    Raises:
        DocumentError: any reason code of opening and reading a PDF.
    """
    with open_pdf(payload["path"]) as pdf:
        settings = from_plain(Parse, payload["settings"])
        document = parse_document(pdf, payload["doc_id"], settings, payload.get("ocr"))
    return {"document": document.to_dict()}


def parse_document(pdf: PdfFile, doc_id: str, settings: Parse, ocr: dict[str, Any] | None = None) -> Document:
    """Read the text layer of all pages, but of those that OCR has read. A pure function of its arguments' content.

    Raises:
        DocumentError: a page cannot be read.
    """
    fonts = FontStyles()
    raws = [read_page(number, pdf.text_dict(number), fonts) for number in range(pdf.num_pages)]
    statuses = [page_status(raw, settings.hidden_text) for raw in raws]
    engine = _take_scanned(raws, statuses, ocr) if ocr else ""
    remove_line_numbers(raws)
    furniture = find_furniture(raws)
    add_furniture(raws, furniture)
    add_given_furniture(raws, furniture)
    regions = [_regions(raw, own) for raw, own in zip(raws, furniture, strict=True)]
    metrics = measure(regions)
    words = Words(line.text for lines in regions for region in lines for line in region)
    outlined = outline_headings(pdf.outline(), regions)
    pages = []
    grouped: list[list[Group]] = []
    for raw, own in zip(raws, regions, strict=True):
        pages.append(Page(raw.number, raw.width, raw.height))
        pages[-1].status, pages[-1].status_reason = statuses[raw.number]
        pages[-1].role = _role(own)
        groups = _groups(raw, own, metrics, outlined, settings)
        grouped.append(groups)
    title = _mark_title(grouped, metrics)
    for groups in grouped:
        mark_given(groups, bool(outlined))
    if not outlined:
        _mark_headings(pages, grouped, metrics, read_contents(regions))
    for page, raw, groups, running in zip(pages, raws, grouped, furniture, strict=True):
        for group in groups:
            classify(group, raw, metrics)
        body = [make_block(group, raw, words) for group in merge_lists(groups)]
        headers = [_furniture(raw, running.headers, "header")]
        footers = [_furniture(raw, running.footers, "footer")]
        page.blocks = [b for part in (headers, body, _figures(raw), footers) for b in part if b is not None]
        if raw.scanned:
            reader = ocr["pages"][raw.number][1].get("engine", engine) if ocr else engine
            for block in page.blocks:
                block.box, block.source = unskewed_box(block.box, raw), f"ocr:{reader}"
    _spread_roles(pages)
    sample = _language_sample(pages)
    document_title = pdf.metadata.get("title", "") or title
    parser = f"{PARSER}+{engine}" if engine else PARSER
    return Document(doc_id, pages, build_sections(pages), guess_language(sample), document_title, parser)


def _take_scanned(raws: list[RawPage], statuses: list[tuple[str, str]], ocr: dict[str, Any]) -> str:
    """Put the pages that OCR has read in the place of their text layer. Returns the engine's name."""
    for number, (reason, record) in ocr["pages"].items():
        if "error" in record:
            statuses[number] = "needs_ocr", f"{reason}; not read: {record['error']}"
            continue
        raws[number] = scanned_page(number, raws[number].width, raws[number].height, record)
        other = f"; read by {record['engine']}: {record['doubt']}" if "engine" in record else ""
        statuses[number] = "ocr", reason + other
    set_styles(raws)
    return str(ocr["engine"])


def _regions(raw: RawPage, furniture: Furniture) -> list[list[Line]]:
    hidden = furniture.headers | furniture.footers
    if raw.blocks is not None:
        return given_regions(raw, hidden)
    body = [f for f in raw.fragments if f.order not in hidden]
    if not body:
        return []
    return [
        make_lines(region) for region in ([body] if raw.plain else reading_order(body, not raw.scanned, floats(raw)))
    ]


def _groups(
    raw: RawPage, regions: list[list[Line]], metrics: Metrics, outlined: dict[int, Heading], settings: Parse
) -> list[Group]:
    """The groups of a page in reading order; tables and headings of the outline have their kind already."""
    if raw.blocks is not None:
        return _outlined(given_groups(raw, regions, metrics), outlined)
    captions = [line for lines in regions for line in lines if is_table_caption(line)]
    titled = titled_lines(raw, regions)
    groups: list[Group] = []
    for lines in regions:
        fixed = {id(line): 0 for line in lines if id(line) in titled}
        for i, line in enumerate(lines):
            heading = outlined.get(id(line))
            if heading is not None:
                fixed.update((id(part), i + 1) for part in lines[i : i + heading.lines])
        tables = find_tables(lines, raw.rules, captions, fixed) if settings.tables and not raw.plain else []
        at = 0
        for first, last in [*tables, (len(lines), len(lines))]:
            groups += group_lines(lines[at:first], metrics, fixed)
            if last > first:
                rows = lines[first:last]
                groups.append(Group(rows, kind="table", rows=table_rows(rows)))
            at = last
    for group in groups:
        group.scanned = raw.scanned
        group.titled = bool(titled) and looks_titled(group, titled)
    return _outlined(groups, outlined)


def _outlined(groups: list[Group], outlined: dict[int, Heading]) -> list[Group]:
    """The groups, with the headings of the outline marked."""
    for group in groups:
        heading = outlined.get(id(group.lines[0]))
        if heading is not None and group.kind in ("", "heading") and len(group.lines) == heading.lines:
            group.kind, group.level, group.source = "heading", heading.level, heading.source
    return groups


def _role(regions: list[list[Line]]) -> str:
    """``contents`` or ``index`` for pages that list other pages, else ``body``."""
    lines = [line for region in regions for line in region]
    if not lines:
        return "body"
    leaders = sum(1 for line in lines if LEADER.search(line.text))
    if leaders >= 4 and 3 * leaders >= len(lines):
        return "contents"
    if any(is_contents_title(line.text) for line in lines[:3]):
        return "contents"
    top = [without_number(line.text).strip() for line in lines[:3]]
    entries = sum(1 for line in lines if INDEX_LINE.search(line.text))
    if entries >= 10 and 2 * entries >= len(lines) and any(INDEX_TITLE.match(text) for text in top):
        return "index"
    if entries >= 20 and 10 * entries >= 7 * len(lines) and len(regions) >= 2:
        return "index"
    return "body"


def _spread_roles(pages: list[Page]) -> None:
    """``references`` from the page that begins with such a heading to the next heading of its level."""
    level = 0
    for page in pages:
        headings = [block for block in page.blocks if block.kind == "heading"]
        if level and any(block.level <= level for block in headings):
            level = 0
        elif level and page.role == "body":
            page.role = "references"
        for block in headings:
            if REFERENCES_TITLE.match(without_number(block.text).strip()):
                level = block.level
                if page.blocks and block is next((b for b in page.blocks if b.kind != "header"), None):
                    page.role = "references"
            elif level and block.level <= level:
                level = 0


def _mark_title(grouped: list[list[Group]], metrics: Metrics) -> str:
    """Mark the largest group of the first pages as the title, if it is large enough. Returns its text."""
    given = next((group for groups in grouped[:TITLE_PAGES] for group in groups if group.kind == "title"), None)
    if given is not None:
        return clean(given.text)
    styles = Counter(style for groups in grouped for style in {_title_style(group) for group in groups})
    candidates = [
        group
        for groups in grouped[:TITLE_PAGES]
        for group in groups
        if not group.kind and len(group.lines) <= 4 and sum(map(str.isalpha, group.text)) >= 3
    ]
    best = max(candidates, key=lambda group: group.size, default=None)
    if best is None or best.size < MIN_TITLE * metrics.size or styles[_title_style(best)] > TITLE_PAGES:
        return ""  # what many pages have is the style of chapters
    best.kind = "title"
    return clean(best.text)


def _title_style(group: Group) -> tuple[int, bool]:
    return round(2 * group.size), group.bold


def _mark_headings(pages: list[Page], grouped: list[list[Group]], metrics: Metrics, contents: Contents) -> None:
    """Without an outline: groups that look like headings become headings, with levels by number or style."""
    found = find_headings(grouped, [page.role for page in pages], metrics, contents)
    for group, _ in found:
        group.kind = "heading"
    # What an engine that reads whole pages takes for headings.
    known = {id(group) for group, _ in found}
    given = [
        (g, page.number) for page, groups in zip(pages, grouped, strict=True) for g in groups if g.kind == "heading"
    ]
    found += [(group, number) for group, number in given if id(group) not in known]
    for groups in grouped:
        _join_numbers(groups)
    rank_levels([(group, number) for group, number in found if group.lines])


def _join_numbers(groups: list[Group]) -> None:
    """A heading that is but a number, as "Chapter 3", and the heading right below it become one."""
    for i in range(len(groups) - 1, 0, -1):
        above, below = groups[i - 1], groups[i]
        alone = above.kind == below.kind == "heading" and not above.last and not without_number(above.text).strip()
        if alone and heading_depth(above.text) and not heading_depth(below.text) and len(below.lines) < MAX_NUMBERED:
            above.lines, above.last = above.lines + below.lines, below.last
            below.lines = []
            del groups[i]


def _furniture(raw: RawPage, orders: set[int], kind: str) -> Block | None:
    fragments: list[Fragment] = [f for f in raw.fragments if f.order in orders]
    if not fragments:
        return None
    lines = make_lines(fragments)
    box = (
        min(f.x0 for f in fragments),
        min(f.y0 for f in fragments),
        max(f.x1 for f in fragments),
        max(f.y1 for f in fragments),
    )
    texts = [clean(line.text) for line in lines]
    return Block(raw.number, kind, restore_box(box, raw.turn, raw.width, raw.height), " ".join(texts), texts)


def _figures(raw: RawPage) -> list[Block]:
    """Images that are no ornaments; they have no text."""
    area = raw.width * raw.height
    blocks = []
    for x0, y0, x1, y1 in sorted(raw.images, key=lambda box: (box[1], box[0]))[:50]:
        if (x1 - x0) * (y1 - y0) >= MIN_FIGURE * area:
            blocks.append(Block(raw.number, "figure", restore_box((x0, y0, x1, y1), 0, raw.width, raw.height), ""))
    return blocks


def _language_sample(pages: list[Page]) -> str:
    """Text of paragraphs from the middle of the document outwards, enough for a guess."""
    parts: list[str] = []
    length = 0
    middle = len(pages) // 2
    for number in sorted(range(len(pages)), key=lambda n: (abs(n - middle), n)):
        for block in pages[number].blocks:
            if block.kind == "paragraph":
                parts.append(block.text)
                length += len(block.text)
        if length > LANGUAGE_CHARACTERS:
            break
    return "\n".join(parts)
