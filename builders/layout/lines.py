"""Fragments of a page: what the text layer gives on one baseline without a gap, as flat records."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

MAX_SPANS = 20_000
"""Spans of a page that are looked at; the rest of the page is dropped, and the page is laid out plainly."""
ASCENT, DESCENT = 0.8, 0.22
"""Height of a line above and below its baseline, in font sizes. Fonts' own boxes vary too wildly to compare."""
JOIN_GAP = 0.8
"""Neighbours on a baseline closer than this many font sizes are one fragment. Gutters are 1.0 and more."""
_LIMIT = 1e5
Box = tuple[float, float, float, float]

_BOLD = re.compile(r"bold|black|heavy|semibd|demi|cmbx|cmssbx|sfbx|sfbxti|ecbx|\bbx\d|-bd|medi\b", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|consol|cmtt|sftt|ectt|cmvtt|typewriter|\bcode|lmtt|-tt\d", re.IGNORECASE)
_ITALIC = re.compile(r"italic|oblique|cmti|cmsl|sfti|sfsl|-it\b|ital\b|slanted", re.IGNORECASE)
_MATH = re.compile(
    r"(cmmi|cmsy|cmex|msam|msbm|mtmi|mtsy|mtex|cmbsy|cmmib|eufm|rsfs|wasy|stmary)\d|math|symbol", re.IGNORECASE
)
_SUPERSCRIPTS = str.maketrans("0123456789+-−()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾")
_SUPERSCRIPT = re.compile(r"[0-9+\-−()]+\Z")
_ACCENTS = {
    "´": "\u0301", "`": "\u0300", "¨": "\u0308", "ˆ": "\u0302", "˜": "\u0303", "ˇ": "\u030c", "˚": "\u030a",
    "¯": "\u0304", "˘": "\u0306", "˝": "\u030b", "˙": "\u0307",
}  # fmt: skip
"""Accents that stand before their letter -> the combining ones that stand after it."""
_ACCENTED = re.compile(r"([´¨ˆ˜ˇ˚¯˘˝˙]|(?<=[^\W\d_])`)([^\W\d_])")
_LEADER = re.compile(r"(?:\. ?){3,}")
_SPACES = re.compile(r"\s{2,}|[\t\n\r\f\v\xa0]")
BOLD, ITALIC, MONO, MATH = 1, 2, 4, 8


@dataclass(slots=True)
class Fragment:
    """Text on one baseline without a gap. ``base`` is the baseline's y; ``order`` its place in the file.

    ``style`` holds the flags (``BOLD`` ...) that most of its characters have, ``math`` the number of characters in
    mathematical fonts. ``group`` is the number of the text layer's own block.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    base: float
    size: float
    text: str
    style: int
    font: str
    math: int
    order: int
    group: int


@dataclass(slots=True)
class Line:
    """A layout line: the fragments (cells) of one baseline within one column, from left to right."""

    x0: float
    y0: float
    x1: float
    y1: float
    base: float
    size: float
    text: str
    style: int
    font: str
    math: int
    cells: list[Fragment]

    @property
    def bold(self) -> bool:
        """Whether most of it is bold."""
        return bool(self.style & BOLD)

    @property
    def mono(self) -> bool:
        """Whether most of it is monospaced."""
        return bool(self.style & MONO)


@dataclass(frozen=True, slots=True)
class GivenBlock:
    """A block as an engine gives it: kind ("lines" is text), box, ``order`` of its lines, a table's cells."""

    kind: str
    box: Box
    orders: list[int]
    rows: list[list[str]]


@dataclass(slots=True)
class RawPage:
    """What the text layer of one page holds. Boxes are in points of the page as displayed.

    Attributes:
        turn: 0, or 1 / 3 where most text runs downwards / upwards (2, of scans alone: upside down): ``fragments``
            then stand in a coordinate system turned so that their text runs to the right (``restore_box`` turns
            boxes back).
        images: Boxes of images.
        rules: Boxes of straight horizontal lines, thin filled boxes included.
        frames: Other vector boxes.
        characters, bad, hidden, alphanumeric: Counts of visible text: all but white space; undecodable ones; ones
            that are not painted; letters and digits.
        dots: Characters of dotted leaders with their spaces, as contents pages have them.
        plain: More spans than ``MAX_SPANS``.
        scanned: Its fragments come from an OCR engine, ``regions`` from a layout model: ``(kind, box)``, in the
            system of the fragments. Their lines fell by ``skew`` degrees on the page.
        blocks: In reading order, where the engine reads whole pages; else None, and our rules find them.
    """

    number: int
    width: float
    height: float
    fragments: list[Fragment] = field(default_factory=list)
    turn: int = 0
    images: list[Box] = field(default_factory=list)
    rules: list[Box] = field(default_factory=list)
    frames: list[Box] = field(default_factory=list)
    vectors: int = 0
    characters: int = 0
    bad: int = 0
    hidden: int = 0
    alphanumeric: int = 0
    dots: int = 0
    plain: bool = False
    scanned: bool = False
    skew: float = 0.0
    regions: list[tuple[str, Box]] = field(default_factory=list)
    blocks: list[GivenBlock] | None = None

    @property
    def upright_size(self) -> tuple[float, float]:
        """Width and height in the system of the fragments."""
        return (self.height, self.width) if self.turn % 2 else (self.width, self.height)


class FontStyles:
    """Style flags by font name and the span's own flags, looked up once a document."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], int] = {}

    def of(self, font: str, flags: int) -> int:
        """``BOLD | ITALIC | MONO | MATH`` of a font; ``flags`` as in ``PdfFile.text_dict``."""
        key = (font, flags & 30)
        style = self._known.get(key)
        if style is None:
            style = BOLD if flags & 16 or _BOLD.search(font) else 0
            style |= ITALIC if flags & 2 or _ITALIC.search(font) else 0
            style |= MONO if flags & 8 or _MONO.search(font) else 0
            style |= MATH if _MATH.search(font) else 0
            if style & MATH:
                style &= ~(BOLD | MONO)
            self._known[key] = style
        return style


def read_page(number: int, content: dict[str, Any], fonts: FontStyles) -> RawPage:
    """Flatten ``PdfFile.text_dict`` into fragments: baselines joined, rotated text set apart, counts taken."""
    page = RawPage(number, float(content["width"]), float(content["height"]))
    across: list[Fragment] = []
    down: list[Fragment] = []
    up: list[Fragment] = []
    spans_left = MAX_SPANS
    order = 0
    for block in content["blocks"]:
        kind = block["type"]
        if kind == 0:
            group = block["number"]
            for line in block["lines"]:
                spans = line["spans"]
                spans_left -= len(spans)
                if spans_left < 0:
                    page.plain = True
                    break
                dx, dy = line["dir"]
                if dx > 0.99:
                    target, turn = across, 0
                elif dy > 0.99:
                    target, turn = down, 1
                elif dy < -0.99:
                    target, turn = up, 3
                else:
                    continue
                fragment = _fragment(spans, page, turn, fonts, order, group)
                if fragment is not None:
                    target.append(fragment)
                    order += 1
        elif kind == 1:
            box = _finite(block["bbox"])
            if box:
                page.images.append(box)
        elif kind == 3:
            page.vectors += 1
            box = _finite(block["bbox"])
            if box:
                if box[3] - box[1] < 2.5 and box[2] - box[0] > 8.0:
                    page.rules.append(box)
                elif box[2] - box[0] > 8.0 and box[3] - box[1] > 8.0:
                    page.frames.append(box)
    letters = [sum(len(f.text) for f in part) for part in (across, down, up)]
    most = max(letters)
    if most > letters[0] and most >= 0.6 * sum(letters):
        page.turn = 1 if letters[1] == most else 3
        across = down if page.turn == 1 else up
        page.rules, page.frames = [], []
    page.fragments = join_fragments(across)
    return page


def _finite(box: Box) -> Box | None:
    x0, y0, x1, y1 = box
    # False for NaN as well.
    if -_LIMIT < x0 <= x1 < _LIMIT and -_LIMIT < y0 <= y1 < _LIMIT:
        return box
    return None


def _fragment(
    spans: list[dict[str, Any]], page: RawPage, turn: int, fonts: FontStyles, order: int, group: int
) -> Fragment | None:
    """One line of the text layer; counts its characters. None for white space and for unusable boxes."""
    texts = []
    first = last = None
    best = total = bold = italic = mono = math = hidden = 0
    size = base = 0.0
    font = ""
    previous = ""
    style = 0
    for span in spans:
        text = span["text"]
        if not text or text.isspace():
            texts.append(" ")
            continue
        count = len(text)
        if span["font"] != previous:
            previous = span["font"]
            style = fonts.of(previous, span["flags"])
        if style:
            if style & BOLD:
                bold += count
            if style & ITALIC:
                italic += count
            if style & MONO:
                mono += count
            if style & MATH:
                math += count
        total += count
        if not span["alpha"]:
            hidden += count
        if count > best:
            best = count
            size = span["size"]
            origin = span["origin"]
            base = origin[0] if turn else origin[1]
            font = previous
        if first is None:
            first = span
        elif span["flags"] & 1 and span["size"] < 0.85 * size and _SUPERSCRIPT.match(text):
            text = text.translate(_SUPERSCRIPTS)
        last = span
        texts.append(text)
    if first is None or last is None:
        return None
    text = "".join(texts).strip()
    if not text.isascii():
        text = _ACCENTED.sub(_composed, text)
    if not text.isascii() or "  " in text or not text.isprintable():
        if not math:  # large delimiters and the like have no code of their own in mathematical fonts
            page.bad += _undecodable(text)
        text = _SPACES.sub(" ", text)
    page.characters += total
    page.hidden += hidden
    # Word counts would do, but letters and digits against all characters is the rule's own measure.
    page.alphanumeric += total if text.isalnum() else sum(map(str.isalnum, text))
    if "...." in text or ". . ." in text:
        page.dots += max(0, total - len(_LEADER.sub("", text)))  # with the white space that ``total`` counted
    a, b = first["bbox"], last["bbox"]
    if turn == 0:
        x0, x1, height = a[0], b[2], a[3] - a[1]
    elif turn == 1:
        x0, x1, base, height = a[1], b[3], page.width - base, a[2] - a[0]
    else:
        x0, x1, height = page.height - a[3], page.height - b[1], a[2] - a[0]
    if not (-_LIMIT < x0 < _LIMIT and -_LIMIT < x1 < _LIMIT and -_LIMIT < base < _LIMIT and 0 < height < _LIMIT):
        return None
    if x1 < x0:
        x0, x1 = x1, x0
    if not 0.3 * height < size < 3.0 * height:
        size = height
    half = total // 2
    flags = (bold > half) * BOLD | (italic > half) * ITALIC | (mono > half) * MONO | (math > half) * MATH
    return Fragment(
        x0, base - ASCENT * size, x1, base + DESCENT * size, base, size, text, flags, font, math, order, group
    )


def _composed(match: re.Match[str]) -> str:
    """An accent and a letter, which old fonts set one over the other, as one letter if there is one."""
    accent, letter = match.groups()
    letter = "i" if letter == "ı" else letter
    whole = unicodedata.normalize("NFC", letter + _ACCENTS[accent])
    return whole if len(whole) == 1 else match.group()


def _undecodable(text: str) -> int:
    """Replacement characters, private-use characters and control characters."""
    return sum(1 for c in text if c == "\ufffd" or "\ue000" <= c <= "\uf8ff" or (c < " " and c not in "\t\n\r\f\v"))


def join_fragments(fragments: list[Fragment]) -> list[Fragment]:
    """Join neighbours in the file that stand on one baseline, closer than ``JOIN_GAP`` font sizes."""
    joined: list[Fragment] = []
    for fragment in fragments:
        if joined:
            before = joined[-1]
            size = max(before.size, fragment.size)
            gap = fragment.x0 - before.x1
            if abs(fragment.base - before.base) < 0.5 * size and -0.3 * size < gap < JOIN_GAP * size:
                _append(before, fragment, gap > 0.12 * size)
                continue
        joined.append(fragment)
    return joined


def _append(before: Fragment, fragment: Fragment, space: bool) -> None:
    if len(fragment.text) > len(before.text):
        before.base, before.size = fragment.base, fragment.size
        before.style, before.font = fragment.style, fragment.font
    before.text += (" " if space else "") + fragment.text
    before.math += fragment.math
    before.x1 = max(before.x1, fragment.x1)
    before.y0, before.y1 = min(before.y0, fragment.y0), max(before.y1, fragment.y1)


def make_lines(fragments: list[Fragment]) -> list[Line]:
    """Fragments of one column as lines from top to bottom: one baseline (or a raised or lowered bit of it) a line."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda f: (f.base, f.x0)):
        if rows:
            lead = max(rows[-1], key=lambda f: f.size) if len(rows[-1]) > 1 else rows[-1][0]
            reach = 0.35 * min(lead.size, fragment.size) if lead.size > 1.6 * fragment.size else 0.45 * fragment.size
            if abs(fragment.base - lead.base) <= reach and not _overlaps(rows[-1], fragment):
                rows[-1].append(fragment)
                continue
        rows.append([fragment])
    return [_line(row) for row in rows]


def _overlaps(row: list[Fragment], fragment: Fragment) -> bool:
    slack = 0.4 * fragment.size
    x0, x1 = fragment.x0 + slack, fragment.x1 - slack
    return any(x0 < f.x1 and f.x0 < x1 for f in row)


def _line(row: list[Fragment]) -> Line:
    if len(row) == 1:
        f = row[0]
        return Line(f.x0, f.y0, f.x1, f.y1, f.base, f.size, f.text, f.style, f.font, f.math, row)
    row.sort(key=lambda f: f.x0)
    lead = max(row, key=lambda f: len(f.text))
    total = sum(len(f.text) for f in row)
    style = 0
    for flag in (BOLD, ITALIC, MONO, MATH):
        if 2 * sum(len(f.text) for f in row if f.style & flag) > total:
            style |= flag
    cells: list[Fragment] = []
    for f in row:
        if cells and f.x0 - cells[-1].x1 < JOIN_GAP * max(f.size, cells[-1].size):
            gap = f.x0 - cells[-1].x1
            cells[-1] = Fragment(**{name: getattr(cells[-1], name) for name in Fragment.__slots__})
            _append(cells[-1], f, gap > 0.12 * f.size)
        else:
            cells.append(f)
    return Line(
        cells[0].x0,
        min(f.y0 for f in row),
        max(f.x1 for f in row),
        max(f.y1 for f in row),
        lead.base,
        lead.size,
        " ".join(f.text for f in cells),
        style,
        lead.font,
        sum(f.math for f in row),
        cells,
    )


def restore_box(box: Box, turn: int, width: float, height: float) -> Box:
    """A box from the turned system of ``RawPage.turn`` in points of the page as displayed, clipped to the page."""
    x0, y0, x1, y1 = box
    if turn == 1:
        x0, y0, x1, y1 = width - y1, x0, width - y0, x1
    elif turn == 2:
        x0, y0, x1, y1 = width - x1, height - y1, width - x0, height - y0
    elif turn == 3:
        x0, y0, x1, y1 = y0, height - x1, y1, height - x0
    return max(0.0, min(x0, width)), max(0.0, min(y0, height)), max(0.0, min(x1, width)), max(0.0, min(y1, height))


def usual(values: list[float], default: float) -> float:
    """Lower median of ``values``, or ``default`` without any."""
    return median_low(values) if values else default
