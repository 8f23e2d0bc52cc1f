"""The headings table of ``ocr.py``: headings of scans against the outlines of PDFs that no rule for scans was tuned on.

Documents are drawn by hash, at most two of a family (the letters that file names have in common); of each, the run of
pages on which most entries of the outline stand. Entries and headings are paired as in ``headings.py``. Beside each
row of scans stand the same pages read from their text layer. The weights of the two signs that only scans have were
chosen on the first 20 documents; the others are held out.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from pathlib import Path

import ocr_scans
from headings import LEAST, Found, Titled, compare, key
from mmprolong_builders.blocks import Document
from mmprolong_builders.language import guess_language
from mmprolong_builders.layout.patterns import normalized
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.reasons import DocumentError
from ocr_reading import Ours, parsed

MOST_PAGES, FAMILY = 100, 2
CHOSEN = 20
"""Documents that weights were chosen on."""
LANGUAGES = ("en", "de", "fr", "zh")


def headings_table(folders: list[Path], models: list[str], documents: int, pages: int, results: Path) -> None:
    """Print the table; ``results`` keeps scans and what was read, so that rules can be tried on them again."""
    results.mkdir(parents=True, exist_ok=True)
    drawn = []
    families: Counter[str] = Counter()
    paths = sorted((p for folder in folders for p in folder.rglob("*.pdf")), key=lambda p: _hash(f"headings {p.name}"))
    for path in paths:
        if len(drawn) == documents:
            break
        family = re.sub(r"[^a-z]", "", path.name.partition("_")[2].casefold())[:6]
        run = _run_of(path, pages) if families[family] < FAMILY else None
        if run is not None:
            families[family] += 1
            drawn.append((path, *run))
    print("\n| headings | documents | entries | recall | precision | to depth |\n|---|---|---|---|---|---|")
    layer = []
    total, cpu = 0, 0.0
    for path, first, entries, others in drawn:
        started = time.process_time()
        document = parsed(path, outline=False)
        cpu += time.process_time() - started
        total += len(document.pages)
        document.pages = document.pages[first : first + pages]
        layer.append(compare(entries, others, _renumbered(document)))
    _rows("text layer of the same pages", layer)
    for model in models:
        found = []
        ours = Ours(model, cache=results / "pages")
        wrong: list[str] = []
        for path, first, entries, others in drawn:
            scan = results / f"{_hash(str(path))[:16]}-{first}-{pages}.pdf"
            if not scan.exists():
                pictures = [ocr_scans.scan(path, first + n, "clean 300 grey") for n in range(pages)]
                ocr_scans.write_pdf(scan, pictures)
            found.append(compare(entries, others, _renumbered(ours.read(scan))))
            for kind, titles in (("wrong", found[-1].wrong), ("missed", found[-1].missed)):
                wrong += [f"{path.name} page {first + page + 1}: {kind}: {title}" for page, title in titles]
        ours.close()
        (results / f"headings-{model}.txt").write_text("\n".join(wrong), encoding="utf-8")
        _rows(f"scans, clean 300 DPI, `{model}`", found)
    print(f"\nReading the text layer of these documents: {1000 * cpu / max(1, total):.1f} CPU ms a page (n = {total})")


def _run_of(path: Path, pages: int) -> tuple[int, list[Titled], list[Titled]] | None:
    """First page of the run with most entries, its entries, and entries near it that do not count."""
    try:
        with open_pdf(path) as pdf:
            outline = pdf.outline()
            if not pages <= pdf.num_pages <= MOST_PAGES or len(outline) < LEAST:
                return None
            width, height = pdf.box(pdf.num_pages // 2)
            texts = [pdf.text(n) for n in range(pdf.num_pages)]
            if width > height or guess_language("".join(texts)[:20_000]) not in LANGUAGES:
                return None
            texts = [normalized(text) for text in texts]
    except DocumentError:
        return None
    entries: list[Titled] = []
    others: list[Titled] = []
    for _, title, page, _ in outline:
        # Printed pages differ from those of the file where an entry points to its neighbour.
        stands = len(key(title)) > 1 and 0 <= page < len(texts) and key(title) in texts[page]
        (entries if stands else others).append((page, title))
    counts = Counter(page for page, _ in entries)
    first = max(range(len(texts) - pages + 1), key=lambda n: sum(counts[n + i] for i in range(pages)))
    inside = [(page - first, title) for page, title in entries if first <= page < first + pages]
    near = [(page - first, title) for page, title in others] + [
        (page - first, title) for page, title in entries if not first <= page < first + pages
    ]
    return (first, inside, near) if len(inside) >= LEAST else None


def _renumbered(document: Document) -> Document:
    for number, page in enumerate(document.pages):
        page.number = number
    return document


def _rows(name: str, found: list[Found]) -> None:
    _row(f"{name}, first {CHOSEN}", found[:CHOSEN])
    if found[CHOSEN:]:
        _row(f"{name}, held out", found[CHOSEN:])


def _row(name: str, found: list[Found]) -> None:
    right, wrong = sum(f.right for f in found), sum(len(f.wrong) for f in found)
    entries, deeper = right + sum(len(f.missed) for f in found), sum(f.deeper for f in found)
    print(
        f"| {name} | {len(found)} | {entries} | {right / max(1, entries):.3f} | {right / max(1, right + wrong):.3f}"
        f" | {right / max(1, right + wrong - deeper):.3f} |",
        flush=True,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
