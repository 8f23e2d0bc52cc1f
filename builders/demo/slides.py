"""Demo document: a landscape slide deck with few words a page: bullets, key figures, charts, tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportlab.graphics import renderPDF
from reportlab.lib.colors import HexColor, white
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table, TableStyle

from .charts import bars, lines, shares
from .prose import Bank, Writer, grouped

WIDTH, HEIGHT = 960.0, 540.0
DARK, ACCENT = "#123c3a", "#d9902f"

BANK: Bank = {
    "bullet": [
        "Repair cafés met {n:14-96} times in {city}", "{n:120-900} bicycles found a second owner",
        "The {thing} lasts {n:2-9} years longer after a service", "Spare parts arrive within {n:2-12} days",
        "{n:51-94} % of visitors come back", "Volunteers logged {n:800-4900} hours",
        "The tool library in {city} lends {n:140-880} tools", "A repaired {thing} saves {n:8-70} kg of carbon dioxide",
        "Schools in {city} teach soldering", "Waste fees fell by {d:1.5-9.5} %",
        "The {thing} is the item most often brought in", "Open data on {n:30-80} kinds of faults",
        "Two vans collect from {city} on Tuesdays", "Warranty on every repair: {n:3-12} months",
        "Partners: the savings bank and {n:3-14} guilds", "Retired engineers train {n:10-45} newcomers a year",
        "Missing screws cause {n:4-19} % of all delays", "The website is read in {n:3-9} languages",
        "A new workshop opens in {city}", "Textiles: {n:300-990} zips replaced",
    ],
    "city": ["Norrfjord", "Elmsworth", "Kaltenbach", "Vila Serra", "Oakhaven", "Brodno", "Saint-Rieul", "Tamsholm"],
    "thing": ["kettle", "sewing machine", "record player", "lawnmower", "toaster", "office chair", "vacuum cleaner",
    "lamp"],
    "speaker": ["Ingrid Solvang", "Matteo Brusa", "Farah Haddad", "Kofi Ansah", "Petra Zeman", "Ruth Calloway"],
}  # fmt: skip

TOPICS = (
    "Where We Started", "Who Takes Part", "Collection Days", "Workshop Floor", "Textiles", "Electronics", "Furniture",
    "Bicycles", "Money", "Volunteers", "Next Steps",
)  # fmt: skip


class _Deck:
    def __init__(self, path: Path, title: str) -> None:
        self.canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), invariant=1)
        self.canvas.setTitle(title)
        self.canvas.setAuthor("Mend Together")
        self.title, self.number = title, 0

    def begin(self, heading: str) -> None:
        canvas = self.canvas
        self.number += 1
        canvas.setFillColor(HexColor(DARK))
        canvas.rect(0, HEIGHT - 78, WIDTH, 78, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont("Helvetica-Bold", 30)
        canvas.drawString(48, HEIGHT - 51, heading)
        canvas.setFillColor(HexColor(ACCENT))
        canvas.rect(48, HEIGHT - 82, 120, 4, stroke=0, fill=1)
        canvas.setFillColor(HexColor("#666666"))
        canvas.setFont("Helvetica", 11)
        canvas.drawString(48, 20, self.title)
        canvas.drawRightString(WIDTH - 48, 20, str(self.number))

    def end(self) -> None:
        self.canvas.showPage()

    def bullets(self, items: Sequence[str], top: float = HEIGHT - 122) -> float:
        style = ParagraphStyle("bullet", fontName="Helvetica", fontSize=22, leading=28, leftIndent=24, bulletIndent=2)
        y = top
        for item in items:
            paragraph = Paragraph(item, style, bulletText="\u2022")
            _, height = paragraph.wrapOn(self.canvas, WIDTH - 110, 300)
            paragraph.drawOn(self.canvas, 52, y - height)
            y -= height + 14
        return y

    def drawing(self, drawing: Any, y: float, caption: str) -> None:
        width, height = drawing.width, drawing.height
        scale = 320 / height  # the charts are drawn for a printed page; a slide needs larger type
        drawing.scale(scale, scale)
        drawing.width, drawing.height = width * scale, height * scale
        renderPDF.draw(drawing, self.canvas, (WIDTH - drawing.width) / 2, y)
        self.canvas.setFillColor(HexColor("#333333"))
        self.canvas.setFont("Helvetica-Oblique", 14)
        self.canvas.drawCentredString(WIDTH / 2, y - 24, caption)


def write(path: Path, seed: int) -> None:
    """Write the deck (36 slides)."""
    writer = Writer(BANK, seed, "slides")
    hand = writer.random
    year = 2016 + hand.randrange(8)
    deck = _Deck(path, f"Mend Together: review of {year}")
    canvas = deck.canvas
    canvas.setFillColor(HexColor(DARK))
    canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont("Helvetica-Bold", 46)
    canvas.drawString(80, 320, "Mend Together")
    canvas.setFont("Helvetica", 26)
    canvas.drawString(80, 270, f"Review of the repair network, {year}")
    canvas.drawString(80, 200, f"Speaker: {writer.fill('{speaker}')}")
    deck.number += 1
    deck.end()
    deck.begin("Agenda")
    style = ParagraphStyle("agenda", fontName="Helvetica", fontSize=20, leading=31)
    for i, topic in enumerate(TOPICS):
        paragraph = Paragraph(f"{i + 1}. {topic}", style)
        paragraph.wrapOn(canvas, 400, 60)
        paragraph.drawOn(canvas, 60 + 430 * (i // 6), HEIGHT - 160 - 52 * (i % 6))
    deck.end()
    for number, topic in enumerate(TOPICS):
        deck.begin(f"{number + 1}. {topic}")
        deck.bullets(writer.take("bullet", 6))
        deck.end()
        deck.begin(f"{topic}: figures")
        _chart(deck, writer, topic, number, year)
        deck.end()
        deck.begin(f"{topic}: by town")
        _table(deck, writer, topic, number, year)
        deck.end()
    deck.begin("Thank you")
    deck.bullets([f"Contact: {name}" for name in writer.take("speaker", 3)])
    deck.end()
    canvas.save()


def _chart(deck: _Deck, writer: Writer, topic: str, number: int, year: int) -> None:
    hand = writer.random
    caption = f"Figure {number + 1}. {topic}, {year}"
    if number % 3 == 0:
        cities = writer.take("city", 6)
        drawing = bars(cities, [hand.randrange(30, 480) for _ in cities], "items", 400, 180)
    elif number % 3 == 1:
        months = ("Jan", "Mar", "May", "Jul", "Sep", "Nov")
        series = {str(y): [hand.randrange(20, 260) for _ in months] for y in (year - 1, year)}
        drawing = lines(months, series, "items", 400, 180)
    else:
        drawing = shares({t: hand.randrange(8, 60) for t in writer.take("thing", 5)}, 330, 160)
    deck.drawing(drawing, 104, caption)


def _table(deck: _Deck, writer: Writer, topic: str, number: int, year: int) -> None:
    hand = writer.random
    rows = [(city, hand.randrange(20, 700), hand.randrange(10, 90)) for city in writer.take("city", 5)]
    total = ("Total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    cells = [["Town", "Repairs", "Helpers"]] + [[r[0], grouped(r[1]), str(r[2])] for r in [*rows, total]]
    style = TableStyle(
        [
            ("FONT", (0, 0), (-1, -1), "Helvetica", 18), ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 18),
            ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 18), ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("GRID", (0, 0), (-1, -1), 0.6, HexColor("#999999")), ("BACKGROUND", (0, 0), (-1, 0), HexColor("#e4efe9")),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ]
    )  # fmt: skip
    table = Table(cells, (300, 150, 150), 36, style=style)
    _, height = table.wrapOn(deck.canvas, 700, 400)
    deck.canvas.setFillColor(HexColor("#333333"))
    deck.canvas.setFont("Helvetica-Oblique", 14)
    deck.canvas.drawString(180, HEIGHT - 112, f"Table {number + 1}. {topic}: repairs by town, {year}")
    table.drawOn(deck.canvas, 180, HEIGHT - 126 - height)
