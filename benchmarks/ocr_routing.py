"""The routing table of ``ocr.py``: which pages go to OCR, on pages of other PDFs and scans made from them.

Another library's text tells what is a page of text. Documents are drawn by hash, up to three pages from each.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from pathlib import Path

import ocr_scans
import pypdfium2 as pdfium
from ocr_reading import parsed

LETTERS = 300
"""A page with fewer is no page of text for this table."""
PAGES, MOST_PAGES = 3, 100


def routing_table(folders: list[Path], documents: int) -> None:
    """Pages as they are, as pictures, and as pictures with invisible text: kept, or read by OCR, as they should be."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    others: Counter[str] = Counter()
    wrong: list[str] = []
    used = 0
    temporary = Path(tempfile.mkdtemp())
    paths = [p for folder in folders for p in folder.rglob("*.pdf")]
    for path in sorted(paths, key=lambda p: hashlib.sha256(f"routing {p.name}".encode()).hexdigest()):
        if used == documents:
            break
        try:
            with pdfium.PdfDocument(path) as document:
                if len(document) > MOST_PAGES:
                    continue
                texts = [page.get_textpage().get_text_range() for page in document]
        except (pdfium.PdfiumError, OSError):
            continue
        full = [n for n, text in enumerate(texts) if sum(map(str.isalpha, text)) >= LETTERS and "\ufffe" not in text]
        chosen = sorted({full[0], full[len(full) // 2], full[-1]})[:PAGES] if full else []
        if not chosen:
            continue
        used += 1
        pages = parsed(path).pages
        others.update(f"{p.status} {p.status_reason}".strip() for p in pages if p.number not in full)
        pictures = [(ocr_scans.render(path, n, 60), 60, 80) for n in chosen]
        made = {
            "born-digital text": [pages[n] for n in chosen],
            "image only": parsed(ocr_scans.write_pdf(temporary / "a.pdf", pictures)).pages,
            "image with invisible text": parsed(
                ocr_scans.write_pdf(temporary / "b.pdf", pictures, [texts[n] for n in chosen])
            ).pages,
        }
        for kind, given in made.items():
            for number, page in zip(chosen, given, strict=True):
                seen[kind] += 1
                if page.status == ("text" if kind == "born-digital text" else "needs_ocr"):
                    right[kind] += 1
                else:
                    wrong.append(f"{path.name} page {number + 1}: {kind} -> {page.status} {page.status_reason}")
                reasons[f"{page.status} {page.status_reason}".strip()] += 1
    print(f"\n| routing, {used} documents | pages | right |")
    print("|---|---|---|")
    for kind in seen:
        print(f"| {kind} | {seen[kind]} | {right[kind]} |")
    print(f"| all | {seen.total()} | {100 * right.total() / max(1, seen.total()):.2f} % |")
    print("reasons:", ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()))
    print(
        "pages of these documents with less text:", ", ".join(f"{r} {n}" for r, n in others.most_common()), flush=True
    )
    for line in wrong[:20]:
        print("  wrong:", line)
