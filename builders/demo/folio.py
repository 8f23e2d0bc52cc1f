"""Demo document: an atlas of orchards with pages of many sizes (A3, A4, A5, square, a strip) and a rotated one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportlab.graphics import renderPDF
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A3, A4, A5, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table, TableStyle

from ..seeding import stable_int
from .charts import sketch_map
from .prose import Bank, Writer, grouped

BANK: Bank = {
    "pattern": [
        "{soil} lies under the rows of {fruit}.", "the {fruit} was grafted by {keeper}.",
        "{keeper} counts {n:40-620} trees.",
        "{feature} marks the {side} boundary.", "in good years the orchard gives {n:3-48} tonnes of {fruit}.",
        "{feature} was drawn from the survey of {n:1871-1928}.", "the {side} slope is reserved for {fruit}.",
        "{soil} holds water until {n:2-9} weeks after the thaw.", "canker was found on {n:2-30} stems of {fruit}.",
        "the contour interval is {n:2-10} metres.",
    ],
    "soil": ["Red marl", "Stony loam", "Warm chalk", "Heavy clay", "Peaty sand", "River silt", "Thin limestone"],
    "fruit": [
        "Bittersweet Foxwhelp", "Black Worcester", "Greengage", "Medlar", "Quince", "Pitmaston Pine", "Damson",
        "Mulberry",
        "Catshead", "Morello", "Cobnut",
    ],
    "keeper": ["Agnes Thrale", "Bernard Loxley", "Clemency Ward", "Jasper Penrose", "Lettice Hume", "Rowland Keast"],
    "feature": ["A dry-stone wall", "The mill leat", "A sunken lane", "The old tithe barn", "A row of poplars",
    "The toll road"],
    "side": ["northern", "southern", "eastern", "western"],
    "orchard": [
        "Bramble Court", "Perry Hill", "Nine Acres", "Dame's Close", "Harp Field", "Shepherd's Hold", "Kingcup",
        "Lower Vane", "Hopyard", "Tanner's Piece", "Wassail Green", "Priory Walk", "Holm End", "Swallow Bank",
        "Cuckoo Pen", "Ridgeway", "Bellfounder's", "Sorrel Garth", "Winterbourne", "Candle Lane", "Ferny Knap",
        "Ladywell", "Osier Bed", "Goose Plat", "Weaver's Gift", "Sundial", "Moorhen Side", "Gallows Tree",
        "Beekeeper's", "Mistle Grove", "Long Furlong",
    ],
    "lot": ["A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2"],
}  # fmt: skip

PLATES = 31
SIZES = (A4, A4, landscape(A4), A5, (560.0, 560.0), A4, landscape(A3), A4, A3, landscape(A5), (420.0, 900.0), A4)


def write(path: Path, seed: int) -> None:
    """Write the atlas (33 pages)."""
    writer = Writer(BANK, seed, "folio")
    hand = writer.random
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    canvas.setTitle("Atlas of the Orchards of Teme Vale")
    names = writer.take("orchard", PLATES)
    facts = [(hand.randrange(24, 310) / 10, hand.randrange(90, 1900)) for _ in names]
    _title(canvas, writer)
    for number, (name, (area, trees)) in enumerate(zip(names, facts, strict=True)):
        size = SIZES[number % len(SIZES)]
        canvas.setPageSize(size)
        # One sheet was bound sideways: its content is drawn turned, /Rotate shows it upright (reportlab swaps the box).
        canvas.setPageRotation(90 if number == 12 else 0)
        if number == 12:
            canvas.translate(size[1], 0)
            canvas.rotate(90)
        _plate(canvas, writer, size, number, name, area, trees, stable_int("demo", seed, "folio", number))
        canvas.showPage()
    canvas.setPageSize(A4)
    canvas.setPageRotation(0)
    _register(canvas, names, facts)
    canvas.save()


def _paragraph(canvas: Any, text: str, x: float, y: float, width: float, size: float = 10.5, **look: Any) -> float:
    """Draw a paragraph below ``y``. Returns where it ends."""
    style = ParagraphStyle("p", **({"fontName": "Times-Roman", "fontSize": size, "leading": size * 1.35} | look))
    paragraph = Paragraph(text, style)
    _, height = paragraph.wrapOn(canvas, width, 2000)
    paragraph.drawOn(canvas, x, y - height)
    return y - float(height)


def _title(canvas: Any, writer: Writer) -> None:
    width, height = A4
    y = _paragraph(canvas, "Atlas of the Orchards of Teme Vale", 60, height - 220, width - 120, 28, alignment=1)
    y = _paragraph(
        canvas, f"Drawn and described by {writer.fill('{keeper}')}", 60, y - 20, width - 120, 14, alignment=1
    )
    _paragraph(canvas, "The sheets are of different sizes. " + writer.paragraph(4, 6), 90, y - 60, width - 180, 11.5)
    canvas.showPage()


def _plate(
    canvas: Any, writer: Writer, size: tuple[float, float], number: int, name: str, area: float, trees: int, seed: int
) -> None:
    """One sheet: heading, map with its caption, a key, a description, a table where there is room."""
    hand = writer.random
    width, height = size
    margin = 40.0
    wide = width > height * 1.2
    room = width - 2 * margin
    y = _paragraph(canvas, f"Plate {number + 1}. {name}", margin, height - margin, room, 17, fontName="Times-Bold")
    map_width = min(room * (0.56 if wide else 1.0), 560)
    map_height = min(map_width * 0.6, (height - 2 * margin) * (0.72 if wide else 0.36))
    lots = list(writer.bank["lot"])[: 4 + 2 * hand.randrange(3)]
    renderPDF.draw(sketch_map([f"Lot {lot}" for lot in lots], seed, map_width, map_height, "Times-Roman"),
                   canvas, margin, y - 10 - map_height)  # fmt: skip
    caption = f"Figure {number + 1}: Lots of {name}"
    below = _paragraph(
        canvas, caption, margin, y - 14 - map_height, map_width, 10, fontName="Times-Italic", alignment=1
    )
    x, text_width = (margin + map_width + 24, room - map_width - 24) if wide else (margin, room)
    y = y - 10 if wide else below - 10
    fields = (
        ("Sheet", f"TV/{number + 1:02d}"), ("Keeper", writer.fill("{keeper}")),
        ("Scale", f"1 : {hand.randrange(2, 11) * 500}"),
        ("Area", f"{area:.1f} ha"), ("Trees", grouped(trees)),
    )  # fmt: skip
    for key, value in fields:
        y = _paragraph(canvas, f"<b>{key}:</b> {value}", x, y - 2, text_width)
    small = min(width, height) < 590
    y = _paragraph(canvas, writer.paragraph(2, 2) if small else writer.paragraph(4, 6), x, y - 8, text_width)
    if not small:
        _lots(canvas, hand, lots, trees, number, name, x, y - 12, text_width)
    canvas.setFont("Times-Roman", 9)
    canvas.drawCentredString(width / 2, 20, f"Atlas of the Orchards of Teme Vale  {number + 2}")


def _lots(
    canvas: Any, hand: Any, lots: Sequence[str], trees: int, number: int, name: str, x: float, y: float, width: float
) -> None:
    cuts = sorted(hand.sample(range(1, trees), len(lots) - 1))
    counts = [stop - start for start, stop in zip([0, *cuts], [*cuts, trees], strict=True)]
    rows = [
        ["Lot", "Trees"],
        *([lot, str(count)] for lot, count in zip(lots, counts, strict=True)),
        ["Total", str(trees)],
    ]
    y = _paragraph(canvas, f"Table {number + 1}: Trees by lot, {name}", x, y, width, 10, fontName="Times-Italic")
    _table(canvas, rows, (90, 70), x, y - 6)


def _table(canvas: Any, rows: list[list[str]], widths: Sequence[float], x: float, y: float) -> None:
    style = TableStyle(
        [
            ("FONT", (0, 0), (-1, -1), "Times-Roman", 9.5), ("FONT", (0, 0), (-1, 0), "Times-Bold", 9.5),
            ("FONT", (0, -1), (-1, -1), "Times-Bold", 9.5), ("ALIGN", (-2 if len(widths) > 2 else -1, 0), (-1, -1),
            "RIGHT"),
            ("GRID", (0, 0), (-1, -1), 0.4, HexColor("#888888")), ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )  # fmt: skip
    table = Table(rows, widths, style=style)
    _, height = table.wrapOn(canvas, 1000, 1000)
    table.drawOn(canvas, x, y - height)


def _register(canvas: Any, names: list[str], facts: list[tuple[float, int]]) -> None:
    y = _paragraph(canvas, "Register of Orchards", 60, A4[1] - 50, 400, 19, fontName="Times-Bold")
    y = _paragraph(
        canvas, f"Table {PLATES + 1}: All orchards of the atlas", 60, y - 10, 400, 10, fontName="Times-Italic"
    )
    rows = [["Plate", "Orchard", "Area (ha)", "Trees"]]
    rows += [[str(i + 1), n, f"{a:.1f}", grouped(t)] for i, (n, (a, t)) in enumerate(zip(names, facts, strict=True))]
    rows.append(["", "Total", f"{sum(a for a, _ in facts):.1f}", grouped(sum(t for _, t in facts))])
    _table(canvas, rows, (50, 180, 80, 80), 60, y - 6)
    canvas.showPage()
