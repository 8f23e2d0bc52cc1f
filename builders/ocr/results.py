"""Results of PP-StructureV3 and PaddleOCR-VL as blocks in reading order, each with its lines."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

from .engine import PageBlock, PageBlocks, TextLine

KINDS = {
    "doc_title": "title",
    "paragraph_title": "heading",
    "abstract_title": "heading",
    "reference_title": "heading",
    "content_title": "heading",
    "table": "table",
    "figure_title": "caption",
    "table_title": "caption",
    "chart_title": "caption",
    "figure_table_chart_title": "caption",
    "footnote": "footnote",
    "vision_footnote": "footnote",
    "header": "header",
    "footer": "footer",
    "number": "number",
    "aside_text": "header",
    "image": "figure",
    "chart": "figure",
    "flowchart": "figure",
    "figure": "figure",
    "seal": "figure",
    "header_image": "figure",
    "footer_image": "figure",
}
"""PaddleX's labels -> kinds of blocks; all others are text, which the rules for lists and the like look at. A
``number`` is a header or a footer, wherever it stands."""
INSIDE = 0.5
"""A line belongs to the block that covers this part of it."""
_LETTER, _PITCH = 0.5, 1.2
"""Usual width of a letter and distance of lines, in font sizes."""


def structure_blocks(result: Any) -> PageBlocks:
    """The blocks of a ``LayoutParsingResultV2``, with those of its OCR lines that stand in them.

    Lines that no block covers are kept as text, behind the block that ends nearest above them.
    """
    found = result["overall_ocr_res"]
    lines = [
        TextLine(*_box(box), text, float(score))
        for box, text, score in zip(found["rec_boxes"], found["rec_texts"], found["rec_scores"], strict=True)
        if text.strip()
    ]
    blocks = [_typed(block) for block in result["parsing_res_list"]]
    own: list[list[TextLine]] = [[] for _ in blocks]
    left = []
    for line in lines:
        covered = [_covered(line, box) for _, box, _ in blocks]
        best = max(range(len(blocks)), key=covered.__getitem__, default=-1)
        if best >= 0 and covered[best] >= INSIDE:
            own[best].append(line)
        else:
            left.append(line)
    made = []
    for (kind, box, content), inside in zip(blocks, own, strict=True):
        if kind == "figure":
            made.append(PageBlock(kind, box, []))
        elif kind == "formula":
            made.append(PageBlock("", box, _shares(content, box) or inside))
        else:
            rows = table_cells(content) if kind == "table" else []
            made.append(PageBlock(kind, box, inside or _shares(_plain(content), box), rows))
    for line in sorted(left, key=lambda line: (line.y0, line.x0)):
        above = [i for i, block in enumerate(made) if block.box[3] <= line.y1 and block.box[0] < line.x1]
        at = max(above, key=lambda i: made[i].box[3], default=-1)
        made.insert(at + 1, PageBlock("", (line.x0, line.y0, line.x1, line.y1), [line]))
    return PageBlocks([block for block in made if block.lines or block.kind == "figure"], True)


def vl_blocks(result: Any) -> PageBlocks:
    """The blocks of a ``PaddleOCRVLResult``. It has no lines: those of a block share its box."""
    made = []
    for block in result["parsing_res_list"]:
        kind, box, content = _typed(block)
        if kind == "figure":
            made.append(PageBlock(kind, box, []))
            continue
        rows = table_cells(content) if kind == "table" else []
        lines = _shares(content if kind == "formula" else _plain(content), box)
        if lines:
            made.append(PageBlock("" if kind == "formula" else kind, box, lines, rows))
    return PageBlocks(made, False)


def _typed(block: Any) -> tuple[str, tuple[float, float, float, float], str]:
    """Kind, box and content of a result's block."""
    kind = "formula" if "formula" in block.label else KINDS.get(block.label, "")
    return kind, _box(block.bbox), str(block.content or "")


def _shares(content: str, box: tuple[float, float, float, float]) -> list[TextLine]:
    """Lines of a text that is known as a whole: equal shares of its box."""
    texts = [" ".join(line.split()) for line in content.split("\n") if line.strip()]
    height = (box[3] - box[1]) / max(1, len(texts))
    return [
        TextLine(box[0], box[1] + i * height, box[2], box[1] + (i + 1) * height, text, 1.0)
        for i, text in enumerate(texts)
    ]


def font_size(line: TextLine) -> float:
    """The size, in pixels, at which a text fills its box, on as many lines as that takes."""
    height, area = line.y1 - line.y0, (line.x1 - line.x0) * (line.y1 - line.y0)
    return max(1.0, min(height / _PITCH, math.sqrt(area / (_LETTER * _PITCH * max(1, len(line.text))))))


class _Table(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.certain = True
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            spans = [value for name, value in attrs if name in ("colspan", "rowspan")]
            self.certain = self.certain and all(value == "1" for value in spans) and bool(self.rows)
            if self.rows:
                self.rows[-1].append("")
            self._open = True
        elif tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def table_cells(content: str) -> list[list[str]]:
    """The cells of an HTML table; [] where cells are merged, or rows are not of one length."""
    parser = _Table()
    parser.feed(content)
    parser.close()
    rows = [[" ".join(cell.split()) for cell in row] for row in parser.rows if row]
    certain = parser.certain and len(rows) > 1 and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
    return rows if certain else []


def _plain(content: str) -> str:
    """A block's content without its markup; the rows of a table are lines."""
    if not re.search(r"</?(?:table|tr|td|th|div|br|html|body|thead|tbody)\b", content):
        return content
    parts = re.sub(r"<\s*/?\s*(?:tr|div|br|p|table)\b[^>]*>", "\n", content)
    parser = _Text()
    parser.feed(re.sub(r"</?(?:td|th)\b[^>]*>", " ", parts))
    parser.close()
    return "".join(parser.parts)


def _box(values: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1


def _covered(line: TextLine, box: tuple[float, float, float, float]) -> float:
    width, height = min(line.x1, box[2]) - max(line.x0, box[0]), min(line.y1, box[3]) - max(line.y0, box[1])
    return max(0.0, width) * max(0.0, height) / max(1e-6, (line.x1 - line.x0) * (line.y1 - line.y0))
