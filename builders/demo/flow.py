"""A small report writer over reportlab's platypus: headings, contents, captions, tables, lists, fields, footnotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    CondPageBreak,
    FrameBreak,
    KeepTogether,
    ListFlowable,
    ListItem,
    NextPageTemplate,
    PageBreak,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

from .pages import Note, ReportTemplate, Theme

__all__ = ["Report", "Theme"]


class Report:
    """Collects the content of one document and saves it as a PDF with stable bytes."""

    def __init__(self, theme: Theme, title: str, author: str) -> None:
        self.theme, self.title, self.author = theme, title, author
        self._story: list[Any] = []
        self._start = "body"
        self._numbers = [0, 0, 0]
        self._labels = {"table": 0, "figure": 0, "note": 0}
        self._body = theme.style("body")
        self.width = (theme.page[0] - 2 * theme.margin - 18.0 * (theme.columns - 1)) / theme.columns

    def cover(self, lines: Sequence[str]) -> None:
        """A title page: the title, then centred lines. The next page starts the body."""
        self._start = "cover"
        theme, colour = self.theme, HexColor(self.theme.colour)
        big = theme.style(
            "cover", fontName=theme.bold, fontSize=27, leading=34, alignment=TA_CENTER, textColor=colour, spaceAfter=30
        )
        line = theme.style("coverline", fontSize=13, leading=19, alignment=TA_CENTER)
        self._story += [Spacer(1, theme.page[1] * 0.24), Paragraph(self.title, big)]
        self._story += [Paragraph(text, line) for text in lines]
        self._story += [NextPageTemplate("body"), PageBreak()]

    def opening(self, lines: Sequence[str]) -> None:
        """A paper's head over all columns: the title, then centred lines."""
        self._start = "opening"
        theme = self.theme
        big = theme.style("head", fontName=theme.bold, fontSize=17, leading=21, alignment=TA_CENTER, spaceAfter=10)
        line = theme.style("headline", alignment=TA_CENTER, spaceAfter=3)
        self._story += [Paragraph(self.title, big)] + [Paragraph(text, line) for text in lines]
        self._story += [NextPageTemplate("body"), FrameBreak()]

    def contents(self) -> None:
        """A page with chapters, sections and their page numbers."""
        theme = self.theme
        table = TableOfContents()
        table.dotsMinLevel = 0
        table.levelStyles = [
            theme.style("toc1", fontName=theme.bold, leading=17, spaceAfter=0, spaceBefore=5),
            theme.style("toc2", leftIndent=16, leading=14.5, spaceAfter=0),
        ]
        head = theme.style("tochead", fontName=theme.bold, fontSize=18, leading=24, textColor=HexColor(theme.colour))
        self._story += [Paragraph(theme.contents_word, head), table, PageBreak()]

    def heading(self, level: int, title: str) -> None:
        """A heading of level 1 (starts a page, unless the document has columns), 2 or 3."""
        theme = self.theme
        self._numbers[level - 1] += 1
        self._numbers[level:] = [0] * (3 - level)
        number = ".".join(map(str, self._numbers[:level]))
        columns = theme.columns > 1
        size = {1: 14.0 if columns else 19.0, 2: 12.0 if columns else 14.0, 3: 11.5}[level]
        style = theme.style(
            f"h{level}", fontName=theme.bold, fontSize=size, leading=size * 1.25, textColor=HexColor(theme.colour),
            spaceBefore={1: 14, 2: 12, 3: 8}[level], spaceAfter={1: 9, 2: 6, 3: 4}[level], alignment=0, keepWithNext=1,
        )  # fmt: skip
        if level == 1 and not columns and len(self._story) and not isinstance(self._story[-1], PageBreak):
            self._story.append(PageBreak())
        elif level > 1 or columns:
            self._story.append(CondPageBreak(90))
        paragraph = Paragraph(f"{number}  {title}" if theme.numbered else title, style)
        paragraph.heading_level = level
        self._story.append(paragraph)

    def text(self, text: str, note: str = "") -> None:
        """A paragraph; ``note`` becomes a footnote marked after its first sentence."""
        if note:
            self._labels["note"] += 1
            mark = self._labels["note"]
            # After the first full stop that ends a word, not an initial.
            text = re.sub(r"(?<=\w\w\w)\.( |$)", rf".<super>{mark}</super>\1", text, count=1)
            self._story.append(Note(mark, note))
        self._story.append(Paragraph(text, self._body))

    def small(self, text: str) -> None:
        """A paragraph in small italics, such as the source of a table."""
        theme = self.theme
        size = theme.size - 1.5
        self._story.append(Paragraph(text, theme.style("small", fontName=theme.italic, fontSize=size, leading=12)))

    def items(self, items: Sequence[str], ordered: bool = False) -> None:
        """A bullet list, or a numbered one."""
        style = self.theme.style("item", spaceAfter=3)
        kind: dict[str, Any] = (
            {"bulletType": "1", "bulletFormat": "%s.", "start": None} if ordered else {"start": "\u2022"}
        )
        entries = [ListItem(Paragraph(item, style)) for item in items]
        self._story += [
            ListFlowable(
                entries,
                leftIndent=20,
                bulletFontName=self.theme.font,
                bulletFontSize=self.theme.size,
                **kind,
            ),
            Spacer(1, 6),
        ]

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """``Key: value`` lines."""
        style = self.theme.style("field", spaceAfter=2.5, alignment=0)
        lines = [Paragraph(f"<b>{key}:</b> {value}", style) for key, value in pairs]
        self._story += [KeepTogether(lines), Spacer(1, 6)]

    def definitions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Terms in bold, each with its meaning, in hanging paragraphs."""
        style = self.theme.style("definition", leftIndent=22, firstLineIndent=-22, spaceAfter=4)
        self._story += [Paragraph(f"<b>{term}</b> \u2013 {meaning}", style) for term, meaning in pairs]
        self._story.append(Spacer(1, 4))

    def caption(self, kind: str, text: str) -> tuple[str, Any]:
        """The next label of ``table`` or ``figure`` (such as ``Table 4``) and its caption."""
        theme = self.theme
        self._labels[kind] += 1
        label = f"{theme.table_word if kind == 'table' else theme.figure_word} {self._labels[kind]}"
        style = theme.style(
            "caption", fontName=theme.italic, fontSize=theme.size - 1, leading=theme.size * 1.2, alignment=TA_CENTER,
            spaceBefore=4, spaceAfter=5 if kind == "table" else 10,
        )  # fmt: skip
        return label, Paragraph(f"<b>{label}{theme.caption_mark}</b> {text}", style)

    def table(
        self, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str] = ()
    ) -> str:
        """A table under its caption; the first column is text, cells that look like numbers are set right.

        Returns:
            Its label, such as ``Table 4``.
        """
        theme = self.theme
        label, paragraph = self.caption("table", caption)
        size = theme.size - 1.5
        cells = [list(header), *(list(row) for row in rows), *([list(total)] if total else [])]
        widths = self._widths(cells, size)
        plain = ParagraphStyle("cell", fontName=theme.font, fontSize=size, leading=size * 1.2)
        head = ParagraphStyle("headcell", parent=plain, fontName=theme.bold)
        style: list[tuple[Any, ...]] = [
            ("FONT", (0, 0), (-1, -1), theme.font, size), ("FONT", (0, 0), (-1, 0), theme.bold, size),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("TOPPADDING", (0, 0), (-1, -1), 2.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.4), ("LINEABOVE", (0, 0), (-1, 0), 0.9, HexColor("#333333")),
            ("LINEBELOW", (0, 0), (-1, 0), 0.6, HexColor("#333333")),
            ("LINEBELOW", (0, -1), (-1, -1), 0.9, HexColor("#333333")),
        ]  # fmt: skip
        style += [
            ("ALIGN", (column, 0), (column, -1), "RIGHT")
            for column in range(len(header))
            if any(row[column] for row in cells[1:]) and all(_numeric(row[column]) for row in cells[1:])
        ]
        for number, row in enumerate(cells):
            for column, cell in enumerate(row):
                bold = number == 0 or (bool(total) and number == len(cells) - 1)
                if stringWidth(cell, theme.bold if bold else theme.font, size) > widths[column] - 11:
                    row[column] = Paragraph(cell, head if bold else plain)
        if theme.ruled:
            style.append(("GRID", (0, 0), (-1, -1), 0.35, HexColor("#8a8a8a")))
            style.append(("BACKGROUND", (0, 0), (-1, 0), HexColor("#e9eef3")))
        if total:
            style += [
                ("FONT", (0, -1), (-1, -1), theme.bold, size),
                ("LINEABOVE", (0, -1), (-1, -1), 0.6, HexColor("#333333")),
            ]
        table = Table(cells, widths, repeatRows=1, style=TableStyle(style), hAlign="CENTER")
        self._story += [KeepTogether([paragraph, table]) if len(cells) < 24 else table, Spacer(1, 10)]
        if len(cells) >= 24:
            self._story[-2:-2] = [CondPageBreak(150), paragraph]
        return label

    def _widths(self, cells: list[list[str]], size: float) -> list[float]:
        """Column widths that fit the text column; the widest columns give way first."""
        widths = [max(stringWidth(row[i], self.theme.bold, size) for row in cells) + 13 for i in range(len(cells[0]))]
        while sum(widths) > self.width:
            widest = max(range(len(widths)), key=widths.__getitem__)
            widths[widest] -= 4
        return widths

    def figure(self, caption: str, drawing: Any) -> str:
        """A drawing or an image over its caption. Returns its label."""
        label, paragraph = self.caption("figure", caption)
        drawing.hAlign = "CENTER"
        self._story.append(KeepTogether([Spacer(1, 6), drawing, paragraph]))
        return label

    def new_page(self) -> None:
        """End the page here."""
        self._story.append(PageBreak())

    def banner(self, text: str) -> None:
        """A heading on a coloured bar, which the outline and the contents list as a chapter."""
        theme = self.theme
        style = theme.style(
            "banner", fontName=theme.bold, fontSize=14, leading=18, textColor=white, backColor=HexColor(theme.colour),
            borderPadding=(5, 6, 6, 6), spaceAfter=14, spaceBefore=8, alignment=0,
        )  # fmt: skip
        paragraph = Paragraph(text, style)
        paragraph.heading_level = 1
        self._story += [Spacer(1, 8), paragraph]

    def save(self, path: Path) -> None:
        """Write the PDF; equal content gives equal bytes."""
        ReportTemplate(str(path), self.theme, self.title, self.author, self._start).multiBuild(self._story)


def _numeric(cell: str) -> bool:
    return all(c in "0123456789.,\u2013-+% \u00a0" for c in cell)
