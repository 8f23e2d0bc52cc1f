"""OCR against the truth of born-digital pages, beside its peers, in one run: characters, order, headings, kinds, cost.

Pages of real PDFs become scans (``ocr_scans.py``); what their text layer says is the truth. A character counts as right
where the nearest passage of an engine's text has it (Levenshtein, by line of the truth); formula lines are left out.
Order is the longest run of lines found in the right sequence, as a share of the lines found; lines whose text comes
back on their page are left out. Peers run in the environments that are named; what is not named is not run.

    python benchmarks/ocr.py PDF_FOLDER [--only text,headings,routing] [--more PDF_FOLDER]
        [--pages 40] [--results FOLDER] [--engines small,tiny,...]
        [--peer tesseract=.venv/bin/python] [--peer rapidocr=OTHER/bin/python]

With ``--results`` the text table is made in parts: a run reads with the engines it names and prints all rows so far.

Needs: pip install -e ".[build,ocr,demo,dev]" rapidfuzz
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ocr_scans
from mmprolong_builders.blocks import Document
from ocr_reading import Ours, normal, parsed
from ocr_routing import routing_table
from ocr_text import text_table
from rapidfuzz import fuzz

HEADED = (
    "acmguide.pdf",
    "bnumexpr.pdf",
    "derivative.pdf",
    "frenchle.pdf",
    "russianb.pdf",
    "multicol.pdf",
    "zhnumber.pdf",
)


def heading_table(corpus: Path, pages: int) -> None:
    """Headings by our rules (the outline is withheld) against the PDF outline."""
    print("\n| headings against the outline | documents | outline entries | recall | precision |")
    print("|---|---|---|---|---|")
    started, total = time.process_time(), 0
    hits = Counter[str]()
    names = sorted(corpus.glob("*.pdf"))
    used = 0
    for path in names:
        with_outline, without = parsed(path), parsed(path, outline=False)
        total += len(without.pages)
        found = outline_of(path, with_outline)
        if len(found) >= 5:
            used += 1
            hits += compare_headings(found, {p.number: p for p in without.pages}, range(len(without.pages)))
    cpu = time.process_time() - started
    report("born-digital, text layer", used, hits)
    hits, used = Counter(), 0
    ours = Ours("tiny")
    for name in HEADED:
        path = corpus / name
        document = parsed(path)
        found = outline_of(path, document)
        counts = Counter(page for page, _ in found)
        first = max(range(1, len(document.pages) - pages), key=lambda n: sum(counts[n + i] for i in range(pages)))
        chosen = range(first, first + pages)
        pictures = [ocr_scans.scan(path, n, "clean 300 grey") for n in chosen]
        folder = Path(tempfile.mkdtemp())
        scanned = ours.read(ocr_scans.write_pdf(folder / "scan.pdf", pictures))
        hits += compare_headings(found, {first + p.number: p for p in scanned.pages}, chosen)
        used += 1
    ours.cost()
    report(f"scans, clean 300 DPI, tiny, {used * pages} pages", used, hits)
    print(f"\ntext layer: {1000 * cpu / (2 * total):.1f} CPU ms a page ({2 * total} pages parsed, all checks included)")


def outline_of(path: Path, document: Document) -> list[tuple[int, str]]:
    """(page, title) of the outline's entries that stand on a page, as the text layer's headings show."""
    return [
        (page.number, normal(b.text)) for page in document.pages for b in page.blocks
        if b.kind == "heading" and b.source == "outline" and len(normal(b.text)) > 1  # letters of an index
    ]  # fmt: skip


def compare_headings(found: list[tuple[int, str]], pages: dict[int, Any], numbers: Any) -> Counter[str]:
    """Counts: wanted, recalled, given, right."""
    hits: Counter[str] = Counter()
    for number in numbers:
        wanted = [title for page, title in found if page == number]
        given = [normal(b.text) for b in pages[number].blocks if b.kind in ("heading", "title")]
        given = given if pages[number].role == "body" else []
        hits["wanted"] += len(wanted)
        hits["given"] += len(given)
        hits["recalled"] += sum(any(fuzz.ratio(w, g) >= 80 for g in given) for w in wanted)
        hits["right"] += sum(any(fuzz.ratio(w, g) >= 80 for w in wanted) for g in given)
    return hits


def report(name: str, documents: int, hits: Counter[str]) -> None:
    """One row."""
    recall, precision = hits["recalled"] / max(1, hits["wanted"]), hits["right"] / max(1, hits["given"])
    print(f"| {name} | {documents} | {hits['wanted']} | {recall:.2f} | {precision:.2f} |", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--more", type=Path, action="append", default=[], help="PDFs for routing, not tuned on")
    parser.add_argument("--documents", type=int, default=110, help="documents of the routing table")
    parser.add_argument("--checked", type=int, default=60, help="text pages of it that the tiny model reads too")
    parser.add_argument("--pages", type=int, default=40, help="pages of the text table")
    parser.add_argument("--engines", default="small,tiny,tesseract", help="our settings to run")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--results", type=Path, help="a folder that keeps the rows of the text table between runs")
    parser.add_argument("--only", default="text,headings,routing")
    options = parser.parse_args()
    peers = dict(item.split("=", 1) for item in options.peer)
    if "routing" in options.only and options.more:
        routing_table(options.more, options.documents, options.checked)
    if "headings" in options.only:
        heading_table(options.corpus, 4)
    if "text" in options.only:
        folders = [options.corpus, *options.more]
        results = options.results or Path(tempfile.mkdtemp())
        text_table(folders, options.pages, [e for e in options.engines.split(",") if e], peers, results)


if __name__ == "__main__":
    sys.exit(main())
