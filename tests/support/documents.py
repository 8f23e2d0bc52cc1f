"""Small PDFs with sections, fields, tables and captions, written by the tests themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

TOWNS = ("Aldermoor", "Brackwell", "Cressing", "Dunholme", "Elmstead", "Farrowby", "Glenthorn", "Hartsmere")
NAMES = ("Ines Okafor", "Tomas Lind", "Priya Nair", "Jonas Weber", "Marta Kowal", "Akira Sato", "Lena Brandt")
NOUNS = ("pump", "valve", "reservoir", "pipeline", "filter", "turbine", "sensor", "gauge", "basin", "culvert")
VERBS = ("was inspected", "was replaced", "was cleaned", "was calibrated", "was repaired", "was tested")


def number(*parts: object) -> int:
    """A fixed pseudo-random number for the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def write_report(path: Path, pages: int = 12, seed: int = 0) -> Path:
    """A report of a made-up water company: a section every second page, fields, a table and a caption on each."""
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    width, height = A4
    canvas.setTitle(f"Water Report {seed}")
    for page in range(pages):
        town = TOWNS[number(seed, page // 2) % len(TOWNS)]
        canvas.setFont("Helvetica", 8)
        canvas.drawString(60, height - 30, f"Regional Water Board - Report {seed}")
        canvas.drawCentredString(width / 2, 30, str(page + 1))
        y = height - 80
        if page % 2 == 0:
            title = f"{page // 2 + 1} Works at {town} {page // 2 + 1}"
            canvas.bookmarkPage(f"p{page}")
            canvas.addOutlineEntry(title, f"p{page}", level=0)
            canvas.setFont("Helvetica-Bold", 16)
            canvas.drawString(60, y, title)
            y -= 34
        canvas.setFont("Times-Roman", 11)
        for line in range(9):
            key = (seed, page, line)
            noun, verb = NOUNS[number(*key) % len(NOUNS)], VERBS[number(*key, "v") % len(VERBS)]
            litres = 100 + number(*key, "n") % 9000
            canvas.drawString(
                60, y, f"The {noun} near {town} {verb} and delivered {litres} litres during test {page}-{line}."
            )
            y -= 15
        y -= 12
        fields = {
            "Inspector": NAMES[number(seed, page, "i") % len(NAMES)],
            "Permit number": f"WB-{number(seed, page, 'p') % 90000 + 10000}",
            "Depth of the shaft": f"{number(seed, page, 'd') % 900 / 10 + 2:.1f} m",
        }
        for key_name, value in fields.items():
            canvas.drawString(60, y, f"{key_name}: {value}")
            y -= 16
        y -= 14
        canvas.setFont("Times-Italic", 10)
        canvas.drawString(60, y, f"Table {page + 1}: Volumes at {town} by quarter")
        y -= 8
        canvas.setFont("Times-Roman", 10)
        top = y
        rows = [("Quarter", "Volume", "Samples")]
        rows += [
            (f"Q{q}", str(number(seed, page, q) % 5000), str(number(seed, page, q, "s") % 90)) for q in range(1, 5)
        ]
        for cells in rows:
            canvas.line(60, y, 360, y)
            y -= 16
            for column, cell in enumerate(cells):
                canvas.drawString(66 + 100 * column, y + 4, cell)
        canvas.line(60, y, 360, y)
        for column in range(4):
            canvas.line(60 + 100 * column, top, 60 + 100 * column, y)
        canvas.showPage()
    canvas.save()
    return path


def write_scan(path: Path, pages: int = 10) -> Path:
    """Pages that hold one grey picture each and no text."""
    import numpy as np
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    for page in range(pages):
        pixels = np.full((280, 200), 235, dtype=np.uint8)
        for line in range(20, 260, 9):
            pixels[line : line + 4, 20 : 120 + number(page, line) % 60] = 40
        canvas.drawImage(ImageReader(Image.fromarray(pixels)), 0, 0, *A4)
        canvas.showPage()
    canvas.save()
    return path


def write_corpus(folder: Path, count: int = 4, pages: int = 12) -> Path:
    """``count`` reports, each of its own content and length."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_report(folder / f"report-{i}.pdf", pages + i % 3, seed=i)
    return folder
