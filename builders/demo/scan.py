"""Demo document: typed minutes as an image-only scan, grey and slightly skewed, without any text layer."""

from __future__ import annotations

import io
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ..seeding import stable_int
from .picture import scanned_page, wrap_text
from .prose import Bank, Writer

PAGES = 34

BANK: Bank = {
    "pattern": [
        "{person} moved that {motion}.", "the motion was {vote}.", "{person} reported that {news}.", "{news}.",
        "after some debate it was agreed that {motion}.", "{person} asked whether {motion}.",
    ],
    "person": [
        "Captain Orme", "Mrs Devereux", "Alderman Pike", "Mr Selwyn", "Dr Fairbairn", "the harbour master",
        "Miss Tolliver", "the treasurer", "Mr Gough",
    ],
    "motion": [
        "the east quay be dredged to {n:4-9} fathoms", "pilot fees rise by {n:2-9} per cent",
        "the lamp on Gull Rock be lit from dusk", "herring barrels no longer block the slip",
        "a second crane be bought for {n:400-980} pounds", "the tide gauge be moved to the north pier",
        "the customs shed be let for {n:3-12} months", "mooring rings be renewed",
        "the ferry be allowed to berth on Sundays", "salt be stored under cover",
    ],
    "news": [
        "the brig {ship} had parted her cable", "{n:14-77} vessels entered in the month", "the fog bell was cracked",
        "the {ship} landed {n:90-600} crans of herring", "ice closed the basin for {n:2-11} days",
        "the keel of the {ship} had touched the bar", "a buoy was adrift off the spit",
        "the sluice worked well at spring tides", "the rope walk had taken {n:3-15} boys",
    ],
    "ship": ["Constance", "Good Intent", "Nimble", "Sarah Ann", "Kittiwake", "Providence", "Ocean Pride"],
    "vote": ["carried", "lost by two votes", "carried without a division", "put off to the next meeting", "withdrawn"],
}  # fmt: skip

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip


def write(path: Path, seed: int) -> None:
    """Write the minutes (34 scanned pages)."""
    writer = Writer(BANK, seed, "scan")
    year = 1887 + writer.random.randrange(20)
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    canvas.setTitle("Minutes of the Harbour Board")
    for number in range(1, PAGES + 1):
        lines = _page(writer, number, year)
        picture = scanned_page(lines, number, stable_int("demo", seed, "scan", number) % 2**32)
        canvas.drawImage(ImageReader(io.BytesIO(picture)), 0, 0, *A4)
        canvas.showPage()
    canvas.save()


def _page(writer: Writer, number: int, year: int) -> list[tuple[str, str]]:
    """The typed lines of one page; they fit it."""
    hand = writer.random
    month = MONTHS[(number - 1) % 12]
    lines = [("head", f"Harbour Board, {month} {year + (number - 1) // 12}"), ("gap", "")]
    present = ", ".join(writer.take("person", 4))
    lines += [("text", line) for line in wrap_text(f"Present: {present}.")] + [("gap", "")]
    for heading in range(2):
        lines.append(("head", f"{2 * number + heading - 1}. {('Works and dredging', 'Shipping and dues')[heading]}"))
        for _ in range(4):
            lines += [("text", line) for line in wrap_text(writer.paragraph(4, 5))] + [("gap", "")]
    lines.append(("head", "Account of dues"))
    rows = [(ship, hand.randrange(1, 9), hand.randrange(10, 90)) for ship in writer.take("ship", 4)]
    lines.append(("cell", "Vessel\tVoyages\tPounds"))
    lines += [("cell", f"{ship}\t{voyages}\t{pounds}") for ship, voyages, pounds in rows]
    lines.append(("cell", f"Total\t{sum(row[1] for row in rows)}\t{sum(row[2] for row in rows)}"))
    return lines
