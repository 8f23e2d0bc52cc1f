"""Pages of the demo's reports: the look of a document, its running lines, footnotes, outline and contents entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

NOTE_ROOM = 30.0
"""Points kept free above the footer for footnotes."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The look of a document, and its words for captions. Lengths are in points."""

    font: str = "Helvetica"
    bold: str = "Helvetica-Bold"
    italic: str = "Helvetica-Oblique"
    size: float = 10.5
    colour: str = "#1f3b57"
    page: tuple[float, float] = A4
    margin: float = 64.0
    columns: int = 1
    numbered: bool = True
    outline: bool = True
    ruled: bool = True
    header: str = ""
    footer: str = "Page {page}"
    table_word: str = "Table"
    figure_word: str = "Figure"
    caption_mark: str = "."
    contents_word: str = "Contents"

    def style(self, name: str, **changes: Any) -> Any:
        """A paragraph style; what is not given is that of body text."""
        values: dict[str, Any] = {
            "fontName": self.font, "fontSize": self.size, "leading": self.size * 1.38, "spaceAfter": self.size * 0.62,
            "alignment": TA_JUSTIFY, "allowWidows": 0, "allowOrphans": 0,
        }  # fmt: skip
        return ParagraphStyle(name, **(values | changes))


class Note(Flowable):  # type: ignore[misc]
    """Takes no room; puts a footnote on the page that it lands on."""

    def __init__(self, mark: int, text: str) -> None:
        super().__init__()
        self.mark, self.text = mark, text

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        return 0, 0

    def draw(self) -> None:
        self.canv.page_notes = [*getattr(self.canv, "page_notes", []), (self.mark, self.text)]


class ReportTemplate(BaseDocTemplate):  # type: ignore[misc]
    """Knows headings (for outline and contents), running lines and footnotes."""

    def __init__(self, path: str, theme: Theme, title: str, author: str, start: str) -> None:
        super().__init__(
            path, pagesize=theme.page, title=title, author=author, subject=title, creator="mmprolong demo", invariant=1
        )
        self.theme = theme
        self.title_text = title
        self.running = ""
        width, height = theme.page
        margin, gap = theme.margin, 18.0
        bottom = margin + NOTE_ROOM
        column = (width - 2 * margin - gap * (theme.columns - 1)) / theme.columns
        plain = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}

        def frames(top: float) -> list[Any]:
            lefts = [margin + i * (column + gap) for i in range(theme.columns)]
            return [Frame(x, bottom, column, top - bottom, **plain) for x in lefts]

        head = 112.0
        opening = [Frame(margin, height - margin - head, width - 2 * margin, head, **plain)]
        cover = Frame(margin, margin, width - 2 * margin, height - 2 * margin, **plain)
        templates = [
            PageTemplate("cover", [cover]),
            PageTemplate("opening", opening + frames(height - margin - head), onPageEnd=self._page_end),
            PageTemplate("body", frames(height - margin), onPageEnd=self._page_end),
        ]
        self.addPageTemplates(sorted(templates, key=lambda template: template.id != start))

    def beforeDocument(self) -> None:
        self.running = ""

    def afterFlowable(self, flowable: Any) -> None:
        level = getattr(flowable, "heading_level", 0)
        if not level:
            return
        text = flowable.getPlainText()
        if level == 1:
            self.running = text
        key = f"h{self.page}-{round(self.frame._y)}-{level}"
        self.canv.bookmarkPage(key)
        if self.theme.outline:
            self.canv.addOutlineEntry(text, key, level - 1, closed=level > 1)
        if level <= 2:
            self.notify("TOCEntry", (level - 1, text, self.page))

    def _page_end(self, canvas: Any, template: Any) -> None:
        theme = self.theme
        width, height = theme.page
        small = theme.size - 2.5
        canvas.saveState()
        canvas.setFont(theme.font, small)
        canvas.setFillColor(HexColor("#555555"))
        header = theme.header.format(title=self.title_text, chapter=self.running).strip(" |\u2013")
        if header:
            canvas.drawString(theme.margin, height - theme.margin + 20, header)
            canvas.setStrokeColor(HexColor("#999999"))
            canvas.setLineWidth(0.4)
            canvas.line(theme.margin, height - theme.margin + 14, width - theme.margin, height - theme.margin + 14)
        canvas.drawCentredString(width / 2, theme.margin - 28, theme.footer.format(page=self.page))
        notes = getattr(canvas, "page_notes", [])
        canvas.page_notes = []
        if notes:
            y = theme.margin + NOTE_ROOM - 8
            canvas.line(theme.margin, y, theme.margin + 90, y)
            canvas.setFillColor(HexColor("#222222"))
            for mark, text in notes[:3]:
                y -= small + 1.5
                canvas.drawString(theme.margin, y, f"{mark}  {text}")
        canvas.restoreState()
