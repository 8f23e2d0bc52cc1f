"""OCR against the truth of born-digital pages, beside its peers, in one run: characters, order, headings, kinds, cost.

Pages of real PDFs become scans (``ocr_scans.py``); what their text layer says is the truth. A character counts as right
where the nearest passage of an engine's text has it (Levenshtein, by line of the truth); formula lines are left out.
Order is the longest run of lines found in the right sequence, as a share of the lines found. Peers run in the
environments that are named; what is not named is not run.

    python benchmarks/ocr.py PDF_FOLDER [--only text,headings,routing] [--pages 6]
        [--peer tesseract=.venv/bin/python] [--peer rapidocr=OTHER/bin/python] [--more PDF_FOLDER] [--demo FOLDER]

Needs: pip install -e ".[build,ocr,demo,dev]" rapidfuzz
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import ocr_scans
import pypdfium2 as pdfium
from mmprolong_builders.blocks import Document
from mmprolong_builders.layout import parse as parse_module
from mmprolong_builders.layout.lines import MATH
from mmprolong_builders.ocr.run import PageReader
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.recipe import Ocr, OcrLimits, Parse, Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.stages import unpack_record
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from mmprolong_data.settings import to_plain

BASE = (
    ("multicol.pdf", 4, "eng"), ("ctex-faq.pdf", 12, "chi_sim"), ("frenchle.pdf", 6, "fra"),
    ("paper.pdf", 2, "deu"), ("DEMO/paper-two-columns.pdf", 4, "eng"),
    ("metropolistheme.pdf", 5, "eng"), ("bnumexpr.pdf", 4, "eng"), ("uantwerpendocs.pdf", 6, "eng"),
)  # fmt: skip
HEADED = (
    "acmguide.pdf",
    "bnumexpr.pdf",
    "derivative.pdf",
    "frenchle.pdf",
    "russianb.pdf",
    "multicol.pdf",
    "zhnumber.pdf",
)
KINDS = ("title", "heading", "paragraph", "list", "table", "caption", "footnote", "header", "footer")
_SAME = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "‐": "-", "…": "..."})


def normal(text: str) -> str:
    """What two right readings of a line have in common."""
    text = unicodedata.normalize("NFKC", text.replace("\xad", "-")).translate(_SAME)
    return re.sub(r"\s+", "", text)


def parsed(path: Path, outline: bool = True, tables: bool = True) -> Document:
    """The text layer's document, in this process; without its outline if need be."""
    with open_pdf(path) as pdf:
        if not outline:
            pdf.outline = lambda: []  # type: ignore[method-assign]
        return parse_module.parse_document(pdf, "0" * 64, Parse(tables=tables))


def truth_lines(path: Path, page: int) -> list[str]:
    """Lines of a page in reading order, without running lines and lines that hold formulas."""
    document = parsed(path)
    with open_pdf(path) as pdf:
        fonts = parse_module.FontStyles()
        raw = parse_module.read_page(page, pdf.text_dict(page), fonts)
    formulas = {normal(f.text) for f in raw.fragments if f.style & MATH or 4 * f.math > len(f.text)}
    lines = [line for b in document.pages[page].blocks if b.kind not in ("header", "footer") for line in b.lines]
    return [n for n in map(normal, lines) if len(n) >= 4 and not any(f in n for f in formulas if f)]


def score(truth: list[str], lines: list[str]) -> tuple[float, float, int, int]:
    """(right characters, characters, lines in sequence, lines found) of a page."""
    text = "".join(normal(line) for line in lines)
    right = total = 0.0
    places: list[int] = []
    for line in truth:
        total += len(line)
        hit = fuzz.partial_ratio_alignment(line, text) if text else None
        if hit is None:
            continue
        likeness = max(
            Levenshtein.normalized_similarity(line, text[max(0, hit.dest_start + a) : hit.dest_end + b])
            for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)
        )  # fmt: skip
        right += likeness * len(line)
        if likeness >= 0.8:
            places.append(hit.dest_start)
    tails: list[int] = []
    for place in places:
        at = bisect.bisect_right(tails, place)
        tails[at : at + 1] = [place]
    return right, total, len(tails), len(places)


class Ours:
    """Our reader in genuine children, without a cache."""

    def __init__(self, model: str, engine: str = "paddleocr", languages: str = "eng") -> None:
        ocr = Ocr(model=model, engine=engine, languages=languages, max_errors=1.0, check=0.0)  # type: ignore[arg-type]
        self.recipe = Recipe(ocr=ocr, ocr_limits=OcrLimits(workers=1))
        self.folder = tempfile.TemporaryDirectory()
        self.pdfs = SandboxPool(1, Sandbox())
        self.reader = PageReader(self.recipe, self.pdfs, Path(self.folder.name), 1)

    def read(self, path: Path) -> Document:
        """A scanned PDF as a document."""
        settings = to_plain(replace(self.recipe.parse, max_scanned=1.0))
        payload: dict[str, Any] = {"path": str(path), "doc_id": os.urandom(32).hex(), "settings": settings}
        payload["route"] = {"check": 0.0, "seed": 0}
        outcome = self.reader.complete(payload, self.pdfs.call("parse_stage", payload))
        assert outcome.value is not None, outcome.detail
        return Document.from_dict(unpack_record(outcome.value["document"]))

    def cost(self) -> tuple[float, float]:
        """CPU seconds and peak memory (MB) so far; ends the children."""
        peak = 0.0
        for child in self.reader._pool._idle:
            status = Path(f"/proc/{child._process.pid}/status").read_text()
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
        cpu = self.reader.cpu_seconds + self.pdfs.cpu_seconds
        self.reader.close()
        self.pdfs.close()
        return cpu, peak


def body_lines(document: Document) -> list[list[str]]:
    """Lines of every page as they stand, in our reading order, without running lines."""
    return [[ln for b in p.blocks if b.kind not in ("header", "footer") for ln in b.lines] for p in document.pages]


def text_table(corpus: Path, demo: Path, pages: int, peers: dict[str, str]) -> None:
    """Characters and order of every engine on every variant."""
    base = [(demo / n.removeprefix("DEMO/") if n.startswith("DEMO/") else corpus / n, p, lang) for n, p, lang in BASE]
    base = base[:pages]
    truth = [truth_lines(path, page) for path, page, _ in base]
    languages = "+".join(sorted({language for _, _, language in base}))
    folder = Path(tempfile.mkdtemp())
    files = {}
    for variant in ocr_scans.VARIANTS:
        pictures = [ocr_scans.scan(path, page, variant, i) for i, (path, page, _) in enumerate(base)]
        files[variant] = ocr_scans.write_pdf(folder / f"{variant.replace(' ', '-')}.pdf", pictures)
    print(f"\n{len(base)} pages a variant, {sum(map(len, truth))} lines; {languages}")
    print("| engine | " + " | ".join(f"{v}: characters, order" for v in files) + " | CPU s a page | RSS MB |")
    print("|---|" + "---|" * (len(files) + 2), flush=True)
    confusion: Counter[tuple[str, str]] = Counter()

    def row(name: str, results: dict[str, list[list[str]]], cpu: float, rss: float) -> None:
        cells = []
        for variant in files:
            right = total = ordered = found = 0.0
            for lines, wanted in zip(results[variant], truth, strict=True):
                a, b, c, d = score(wanted, lines)
                right, total, ordered, found = right + a, total + b, ordered + c, found + d
            cells.append(f"{100 * right / total:.2f} %, {ordered / max(1, found):.3f}")
        count = len(files) * len(base)
        # The program that an engine of ours starts is no child of ours: its CPU time is not known here.
        seconds = "not known" if name == "ours, tesseract" else f"{cpu / count:.2f}"
        print(f"| {name} | {' | '.join(cells)} | {seconds} | {rss:.0f} |", flush=True)

    for model in ("small", "tiny"):
        ours = Ours(model)
        documents = {variant: ours.read(path) for variant, path in files.items()}
        row(f"**ours, {model}**", {v: body_lines(d) for v, d in documents.items()}, *ours.cost())
        if model == "small":
            count_kinds(base, documents, confusion)
    if "tesseract" in peers:
        ours = Ours("small", "tesseract", languages)
        row("ours, tesseract", {v: body_lines(ours.read(path)) for v, path in files.items()}, *ours.cost())
    for name, python in peers.items():
        results, cpu, rss = {}, 0.0, 0.0
        for variant, path in files.items():
            command = [python, str(Path(__file__).with_name("ocr_peers.py")), name, str(path)]
            single = {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "OCR_LANGUAGES": languages}
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | single, check=False)
            if done.returncode:
                print(f"{name} failed: {done.stderr[-400:]}")
                break
            result = json.loads(done.stdout)
            results[variant], cpu, rss = result["pages"], cpu + result["cpu"], max(rss, result["rss"])
        else:
            row(name, results, cpu, rss)
    print(f"\nKinds, text layer -> ours (small), all variants, {sum(confusion.values())} blocks:")
    for kind in KINDS:
        row_ = {b: n for (a, b), n in confusion.items() if a == kind}
        if row_:
            print(f"  {kind:<10}", ", ".join(f"{b} {n}" for b, n in sorted(row_.items(), key=lambda x: -x[1])))


def count_kinds(base: list[Any], documents: dict[str, Document], confusion: Counter[tuple[str, str]]) -> None:
    """Compare the kinds of blocks of (nearly) the same text."""
    for i, (path, number, _) in enumerate(base):
        wanted = parsed(path).pages[number].blocks
        for document in documents.values():
            for block in wanted:
                key = normal(block.text)
                if len(key) < 4:
                    continue
                near = max(
                    document.pages[i].blocks, key=lambda b: fuzz.partial_ratio(key, normal(b.text)), default=None
                )
                if near is not None and fuzz.partial_ratio(key, normal(near.text)) >= 80:
                    confusion[block.kind, near.kind] += 1


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


def routing_table(folders: list[Path], wanted: int) -> None:
    """Routing of pages of other PDFs: as they are, as pictures, as pictures with invisible text, and empty ones."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    wrong = []
    temporary = Path(tempfile.mkdtemp())
    paths = [p for folder in folders for p in sorted(folder.rglob("*.pdf"))]
    for path in paths[:: max(1, len(paths) // wanted)]:
        try:
            with pdfium.PdfDocument(path) as document:
                number = min(len(document) - 1, 5)
                text = document[number].get_textpage().get_text_range()
        except (pdfium.PdfiumError, OSError):
            continue
        if sum(map(str.isalpha, text)) < 300 or "\ufffe" in text:
            continue
        picture = (ocr_scans.render(path, number, 60), 60, 80)
        made = {
            "text": (path, number),
            "image only": (ocr_scans.write_pdf(temporary / "a.pdf", [picture]), 0),
            "invisible text": (ocr_scans.write_pdf(temporary / "b.pdf", [picture], [text]), 0),
        }
        for kind, (file, page) in made.items():
            status = parsed(file).pages[page].status
            seen[kind] += 1
            if status == ("text" if kind == "text" else "needs_ocr"):
                right[kind] += 1
            else:
                wrong.append(f"{path.name} page {page + 1}: {kind} -> {status}")
        if sum(seen.values()) >= wanted:
            break
    print("\n| routing | pages | right |")
    print("|---|---|---|")
    for kind in seen:
        print(f"| {kind} | {seen[kind]} | {right[kind]} |")
    print(f"| all | {seen.total()} | {100 * right.total() / seen.total():.1f} % |")
    for line in wrong[:10]:
        print("  wrong:", line)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--more", type=Path, action="append", default=[], help="PDFs for routing, not tuned on")
    parser.add_argument("--demo", type=Path, help="the demo's PDFs; written if not given")
    parser.add_argument("--pages", type=int, default=6)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--only", default="text,headings,routing")
    options = parser.parse_args()
    demo = options.demo or Path(tempfile.mkdtemp())
    if not options.demo:
        from mmprolong_builders.demo import write_corpus

        write_corpus(demo)
    peers = dict(item.split("=", 1) for item in options.peer)
    if "routing" in options.only and options.more:
        routing_table(options.more, 330)
    if "headings" in options.only:
        heading_table(options.corpus, 4)
    if "text" in options.only:
        text_table(options.corpus, demo, options.pages, peers)


if __name__ == "__main__":
    sys.exit(main())
