"""The text table of ``ocr.py``: characters, order, kinds, cost on scans of pages sampled from real PDFs.

The sample is drawn by hash, so that every run reads the same pages; engines can run in parts, whose rows are kept.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import os
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Container
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ocr_scans
import pypdfium2 as pdfium
from mmprolong_builders.blocks import Document
from mmprolong_builders.language import guess_language
from mmprolong_builders.layout import parse as parse_module
from mmprolong_builders.layout.lines import MATH
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.recipe import Parse
from ocr_reading import Ours, all_lines, normal
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

TESSERACT = {"en": "eng", "fr": "fra", "de": "deu", "zh": "chi_sim", "ru": "rus"}
"""Language -> tesseract's pack. PP-OCRv6 does not know Cyrillic: Russian is a table of its own."""
QUOTAS = {"en": 0.55, "fr": 0.15, "de": 0.2, "zh": 0.1}
"""Largest shares of the sample."""
PART = 1
"""Pages of one PDF: pages of several documents would share one body size and one title."""
LEAST_LINES, MOST_LINES, MOST_PAGES = 12, 90, 40
KINDS = ("title", "heading", "paragraph", "list", "table", "caption", "footnote", "header", "footer")


@dataclass(frozen=True)
class Sample:
    """A page, what it says, and how it is scanned."""

    path: Path
    page: int
    language: str
    variant: str
    hidden: bool
    lines: list[str]


@dataclass(frozen=True)
class Part:
    """Some pages of the sample, as one PDF."""

    name: str
    path: Path
    samples: list[Sample]

    def scanned(self) -> Path:
        """Write the PDF of its scans unless it is there."""
        if not self.path.exists():
            pictures = [ocr_scans.scan(s.path, s.page, s.variant, i) for i, s in enumerate(self.samples)]
            hidden = [poor_text(s.lines, i) if s.hidden else "" for i, s in enumerate(self.samples)]
            unfinished = self.path.with_suffix(f".{os.getpid()}")
            ocr_scans.write_pdf(unfinished, pictures, hidden).rename(self.path)
        return self.path


def text_table(
    folders: list[Path], pages: int, engines: list[str], peers: dict[str, str], results: Path, skip: int = 0
) -> None:
    """Read the sample with the engines and peers that are named, and print all rows that ``results`` holds.

    With ``skip`` the sample is of other documents than the one of so many pages.
    """
    results.mkdir(parents=True, exist_ok=True)
    for languages, count in ((tuple(QUOTAS), pages), (("ru",), max(2, pages // 8))):
        name = "-".join(languages)
        kept = results / f"{name}.sample"
        if not kept.exists():
            before = {s.path for s in sample(folders, languages, skip)} if skip else set()
            drawn = [asdict(s) | {"path": str(s.path)} for s in sample(folders, languages, count, before)]
            kept.write_text(json.dumps(drawn, ensure_ascii=False), encoding="utf-8")
        rows = json.loads(kept.read_text(encoding="utf-8"))
        samples = [Sample(**row | {"path": Path(row["path"])}) for row in rows]
        if not samples:
            continue
        parts = parts_of(samples, results)
        wanted = engines if languages != ("ru",) else [e for e in engines if e == "tesseract"]
        for engine in wanted:
            run_ours(engine, parts, results / f"{name}.ours-{engine}.json")
        for peer, python in peers.items():
            if languages != ("ru",) or peer == "tesseract":
                run_peer(peer, python, parts, results / f"{name}.{peer}.json")
        print_rows(samples, parts, sorted(results.glob(f"{name}.*.json")), ", ".join(languages))


def sample(folders: list[Path], languages: tuple[str, ...], count: int, without: Container[Path] = ()) -> list[Sample]:
    """One page a document, by hash; states go round, so that each takes its share of every language."""
    paths = sorted((p for folder in folders for p in folder.rglob("*.pdf")), key=lambda p: _hash(p.name))
    limits = {language: count * QUOTAS.get(language, 1.0) for language in languages}
    found: list[Sample] = []
    taken: Counter[str] = Counter()
    for path in paths:
        if len(found) >= count:
            break
        if path in without:
            continue
        chosen = _page_of(path, {language for language in languages if taken[language] < limits[language]})
        if chosen is None:
            continue
        page, language, lines = chosen
        rounds, state = divmod(len(found), len(ocr_scans.VARIANTS))
        hidden = rounds % 2 == 1 and language not in ("zh", "ru")  # the layer is of Latin letters
        found.append(Sample(path, page, language, ocr_scans.VARIANTS[state], hidden, lines))
        taken[language] += 1
    return sorted(found, key=lambda s: s.language)


def _page_of(path: Path, languages: set[str]) -> tuple[int, str, list[str]] | None:
    """A page of running text in one of the languages whose text layer can serve as the truth, or None."""
    try:
        with pdfium.PdfDocument(path) as quick:
            middle = quick[len(quick) // 2].get_textpage().get_text_range()
        if guess_language(middle) not in languages:
            return None
        with open_pdf(path) as pdf:
            if not 1 <= pdf.num_pages <= MOST_PAGES:
                return None
            document = parse_module.parse_document(pdf, "0" * 64, Parse())
            if document.language not in languages:
                return None
            order = sorted(range(pdf.num_pages), key=lambda n: _hash(f"{path.name} {n}"))
            for number in order[:4]:
                lines = truth_lines(document, pdf, number)
                if LEAST_LINES <= len(lines) <= MOST_LINES:
                    return number, document.language, lines
    except Exception:  # noqa: BLE001 - what cannot be parsed is no page to measure on
        return None
    return None


def truth_lines(document: Document, pdf: Any, number: int) -> list[str]:
    """Lines of a page in reading order, without running lines and lines that hold formulas; [] if it has too many."""
    page = document.pages[number]
    if page.status != "text" or page.role != "body":
        return []
    raw = parse_module.read_page(number, pdf.text_dict(number), parse_module.FontStyles())
    formulas = {normal(f.text) for f in raw.fragments if f.style & MATH or 4 * f.math > len(f.text)}
    everything = [normal(ln) for b in page.blocks if b.kind not in ("header", "footer") for ln in b.lines]
    everything = [line for line in everything if len(line) >= 4]
    lines = [n for n in everything if not any(f in n for f in formulas if f) and _readable(n)]
    return lines if len(lines) >= 0.7 * len(everything) else []


def _readable(line: str) -> bool:
    """Words, and without signs that a text layer often has wrong: private use, symbols, detached accents."""
    letters = sum(map(str.isalpha, line))
    if 10 * letters < 6 * len(line) or len(set(line)) < 4:
        return False
    return all(unicodedata.category(c) not in ("Co", "Cn", "Cc", "So", "Sk", "Mn") for c in line)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def parts_of(samples: list[Sample], results: Path) -> list[Part]:
    """The sample in parts of one language each, languages by turns, so that a row which is not complete is of all."""
    parts = []
    for language in sorted({s.language for s in samples}):
        own = [s for s in samples if s.language == language]
        for first in range(0, len(own), PART):
            name = f"{language}-{first:02d}"
            parts += [Part(name, results / f"{name}.pdf", own[first : first + PART])]
    return sorted(parts, key=lambda part: (part.name.partition("-")[2], part.name))


def poor_text(lines: list[str], seed: int) -> str:
    """What an older OCR program left behind a scan: one character in 25 is wrong."""
    text = "\n".join(lines)
    return "".join("l1iI|"[(i + seed) % 5] if c != "\n" and (i * 7 + seed) % 25 == 0 else c for i, c in enumerate(text))


def run_ours(engine: str, parts: list[Part], target: Path) -> None:
    """Read with our reader what is not read yet; keep lines, kinds of blocks and cost after each part."""
    row = _load(target)
    readers: dict[str, Ours] = {}
    for part in parts:
        if part.name in row["pages"]:
            continue
        languages = TESSERACT[part.samples[0].language] if engine == "tesseract" else ""
        if languages not in readers:
            readers[languages] = Ours("small", "tesseract", languages) if languages else Ours(engine)
        reader = readers[languages]
        before, _ = reader.usage()
        document = reader.read(part.scanned())
        after, peak = reader.usage()
        row["pages"][part.name] = all_lines(document)
        for read, page in zip(document.pages, part.samples, strict=True):
            row["kinds"] += [[*pair, count] for pair, count in sorted(compare_kinds(page, read.blocks).items())]
        row["cpu"], row["rss"] = row["cpu"] + after - before, max(row["rss"], peak)
        _save(target, row)
    for reader in readers.values():
        reader.close()


def run_peer(name: str, python: str, parts: list[Part], target: Path) -> None:
    """Read with a peer, in its own environment, what is not read yet; one process for all parts."""
    row = _load(target)
    left = [part for part in parts if part.name not in row["pages"]]
    if not left:
        return
    command = [python, str(Path(__file__).with_name("ocr_peers.py")), name]
    command += [f"{part.scanned()}:{TESSERACT[part.samples[0].language]}" for part in left]
    single = os.environ | {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=single) as process:
        assert process.stdout is not None
        for part, line in zip(left, process.stdout, strict=False):
            result = json.loads(line)
            row["pages"][part.name] = result["pages"]
            row["cpu"], row["rss"] = row["cpu"] + result["cpu"], max(row["rss"], result["rss"])
            _save(target, row)
    if process.returncode:
        print(f"{name} failed: run its command to see why: {' '.join(command)}")


def _load(target: Path) -> dict[str, Any]:
    if target.exists():
        return dict(json.loads(target.read_text(encoding="utf-8")))
    return {"pages": {}, "cpu": 0.0, "rss": 0.0, "kinds": []}


def _save(target: Path, row: dict[str, Any]) -> None:
    target.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")


def print_rows(samples: list[Sample], parts: list[Part], rows: list[Path], name: str) -> None:
    """The table: a column for each state of the scans, one for pages with a layer of poor text behind them."""
    groups: dict[str, list[Sample]] = {"all": samples}
    for state in dict.fromkeys(ocr_scans.STATES.values()):
        groups[state] = [s for s in samples if ocr_scans.STATES[s.variant] == state]
    groups["hidden text"] = [s for s in samples if s.hidden]
    print(
        f"\n{name}: {len(samples)} pages of as many PDFs, {sum(len(s.lines) for s in samples)} lines; characters, order"
    )
    print("| engine | " + " | ".join(f"{group} (n = {len(own)})" for group, own in groups.items()), end="")
    print(" | CPU s a page | RSS MB |\n|---|" + "---|" * (len(groups) + 2), flush=True)
    for path in rows:
        row = _load(path)
        scores = {
            (s.path, s.page): score(s.lines, lines)
            for part in parts if part.name in row["pages"]
            for s, lines in zip(part.samples, row["pages"][part.name], strict=True)
        }  # fmt: skip
        cells = []
        for own in groups.values():
            found = [scores[s.path, s.page] for s in own if (s.path, s.page) in scores]
            right, total, ordered, seen = (
                (sum(column) for column in zip(*found, strict=True)) if found else (0, 0, 0, 0)
            )
            cells.append(f"{100 * right / max(1, total):.2f} %, {ordered / max(1, seen):.3f}")
        engine = path.name.split(".", 1)[1].removesuffix(".json")
        engine += "" if len(scores) == len(samples) else f" ({len(scores)} pages so far)"
        cost = f"{row['cpu'] / max(1, len(scores)):.2f} | {row['rss']:.0f}"
        print(f"| {engine} | {' | '.join(cells)} | {cost} |", flush=True)
        worst = sorted((key for key in scores), key=lambda key: scores[key][0] - scores[key][1])[:6]
        with path.with_suffix(".worst").open("w", encoding="utf-8") as file:
            for key in worst:
                right, total, ordered, seen = scores[key]
                file.write(f"{key[0].name} page {key[1] + 1}: {right:.0f} of {total:.0f}, {ordered} of {seen} lines\n")
        if row["kinds"]:
            kinds: Counter[tuple[str, str]] = Counter()
            for a, b, count in row["kinds"]:
                kinds[a, b] += count
            _print_kinds(kinds)


def _print_kinds(kinds: dict[tuple[str, str], int]) -> None:
    print(f"\nKinds, text layer -> scan, {sum(kinds.values())} blocks:")
    for kind in KINDS:
        row = {b: n for (a, b), n in kinds.items() if a == kind}
        if row:
            print(f"  {kind:<10}", ", ".join(f"{b} {n}" for b, n in sorted(row.items(), key=lambda x: -x[1])))


def compare_kinds(page: Sample, blocks: list[Any]) -> Counter[tuple[str, str]]:
    """(kind by the text layer, kind on the scan) of blocks of (nearly) the same text."""
    confusion: Counter[tuple[str, str]] = Counter()
    with open_pdf(page.path) as pdf:
        wanted = parse_module.parse_document(pdf, "0" * 64, Parse()).pages[page.page].blocks
    for block in wanted:
        key = normal(block.text)
        if len(key) < 4:
            continue
        # By the whole text, not by a part: a word of a heading also stands in paragraphs.
        near = max(blocks, key=lambda b: fuzz.ratio(key, normal(b.text)), default=None)
        if near is not None and fuzz.ratio(key, normal(near.text)) >= 75:
            confusion[block.kind, near.kind] += 1
        elif any(fuzz.partial_ratio(key, normal(b.text)) >= 80 for b in blocks):
            confusion[block.kind, "(cut otherwise)"] += 1
    return confusion


def score(truth: list[str], lines: list[str]) -> tuple[float, float, int, int]:
    """(right characters, characters, lines in sequence, lines found) of a page.

    A line whose text comes back on the page, be it within another line, has no one place: it says nothing of the order.
    With such lines the truth's own order would get no more than 0.97 on pages with short or repeated lines.
    """
    text, whole = "".join(normal(line) for line in lines), "".join(truth)
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
        if likeness >= 0.8 and whole.count(line) == 1:
            places.append(hit.dest_start)
    tails: list[int] = []
    for place in places:
        at = bisect.bisect_right(tails, place)
        tails[at : at + 1] = [place]
    return right, total, len(tails), len(places)
