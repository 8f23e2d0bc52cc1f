"""What programmatic questions are worth: how many and how different, what verification finds, and a sheet to read.

    python benchmarks/qa_quality.py yield PDF_FOLDER        # items a family and a document, shares, CPU ms a page
    python benchmarks/qa_quality.py recall PDF_FOLDER       # faults put into accepted items, and who finds them
    python benchmarks/qa_quality.py sheet PDF_FOLDER OUT    # OUT/index.html: items beside their evidence pages

``--half a`` or ``--half b`` takes one half of the files, by a hash of their names: develop on one, read the other.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import simplejpeg
from mmprolong_builders.blocks import Document
from mmprolong_builders.layout.parse import parse_document
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.qa.page_text import PageText
from mmprolong_builders.qa.programmatic import ProgrammaticGenerator
from mmprolong_builders.qa.protocol import Candidate
from mmprolong_builders.qa.second_text import SecondText
from mmprolong_builders.qa.verify import verify_candidate
from mmprolong_builders.reasons import DocumentError
from mmprolong_builders.recipe import QA, Recipe
from mmprolong_builders.segments import choose_segments
from mmprolong_builders.tasks import TaskResult, make_items
from qa_mutations import MUTATIONS, mutate

from mmprolong_data.schema import VQA_CONFIGS


def files(options: argparse.Namespace) -> list[Path]:
    """The PDFs of the chosen half, in an order that is a hash of their names."""
    names = {path: hashlib.sha256(b"qa-half-17" + path.name.encode()).digest() for path in options.folder.glob("*.pdf")}
    halves = {"a": (0,), "b": (1,), "both": (0, 1)}[options.half]
    return sorted((path for path, key in names.items() if key[-1] % 2 in halves), key=lambda path: names[path])


@dataclass
class Parsed:
    """A document with its file and the CPU seconds of parsing."""

    path: Path
    document: Document
    seconds: float


def documents(options: argparse.Namespace) -> Iterator[Parsed]:
    """Parsed documents with a fit number of pages; those that cannot be parsed, or are scans, are left out."""
    count = 0
    for path in files(options):
        if count == options.most:
            return
        try:
            with open_pdf(path) as pdf:
                if not options.pages[0] <= pdf.num_pages <= options.pages[1]:
                    continue
                started = time.process_time()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                document = parse_document(pdf, digest, Recipe().parse)
                seconds = time.process_time() - started
        except DocumentError:
            continue
        if sum(page.status == "needs_ocr" for page in document.pages) > 0.1 * len(document.pages):
            continue
        count += 1
        yield Parsed(path, document, seconds)


@dataclass
class Yield:
    """Counts of one setting of ``qa.per_document``."""

    quota: int
    items: list[list[Any]] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def measure(parsed: Sequence[Parsed], quota: int, seed: int) -> Yield:
    """Make the items of all documents as a build does."""
    recipe = replace(Recipe(), seed=seed, qa=QA(per_document=quota))
    result = Yield(quota)
    for one in parsed:
        started = time.process_time()
        with SecondText(one.path, one.document) as pages:
            made: TaskResult = make_items(one.document, recipe, VQA_CONFIGS, {"name": one.path.name}, pages)
        result.seconds += time.process_time() - started
        result.items.append(made.items)
        for entry in made.rejected:
            result.rejected[entry["config"], entry["family"]] += 1
            result.failed[entry["failed"][0]["check"]] += 1
    return result


def show_yield(options: argparse.Namespace) -> None:
    """Tables: families, documents, depth, cost."""
    parsed = list(documents(options))
    pages = sum(len(one.document.pages) for one in parsed)
    print(f"{len(parsed)} documents, {pages} pages")
    for quota in (1, options.quota):
        found = measure(parsed, quota, options.seed)
        items = [item for own in found.items for item in own]
        families = Counter((item.config, json.loads(item.meta)["family"]) for item in items)
        totals = Counter(item.config for item in items)
        print(f"\nqa.per_document = {quota}: {len(items)} items, {sum(found.rejected.values())} candidates rejected")
        print(f"{'config':15} {'family':22} {'items':>6} {'share':>7} {'rejected':>9}")
        for (config, family), count in sorted(families.items(), key=lambda entry: (entry[0][0], -entry[1])):
            share = count / totals[config]
            print(f"{config:15} {family:22} {count:6} {100 * share:6.1f}% {found.rejected[config, family]:9}")
        counts = [len(own) for own in found.items]
        print(f"items a document: median {statistics.median(counts)}, least {min(counts)}, most {max(counts)}")
        for config in VQA_CONFIGS:
            own_counts = [sum(item.config == config for item in own) for own in found.items]
            kinds = Counter(config for config, _ in families)[config]
            print(f"  {config}: median {statistics.median(own_counts)}, {kinds} families,", end=" ")
            print(f"none in {own_counts.count(0)} documents")
        multi = [item for item in items if item.config == "extract_multi"]
        spans = sum(len(item.evidence_pages) >= 2 for item in multi)
        print(f"extract_multi with evidence on >= 2 pages: {spans} of {len(multi)}")
        questions = [_frame(item.question) for item in items]
        distinct = len({item.question for item in items})
        print(f"distinct questions {distinct / len(items):.3f}; distinct wordings {len(set(questions))}")
        depth: Counter[int] = Counter()
        for own, one in zip(found.items, parsed, strict=True):
            for item in own:
                depth.update(min(9, 10 * page // len(one.document.pages)) for page in item.evidence_pages)
        shares = " ".join(f"{100 * depth[i] / sum(depth.values()):.0f}%" for i in range(10))
        print(f"evidence by depth, tenths of the document: {shares}")
        print(f"rejected by check: {dict(found.failed.most_common())}")
        print(f"CPU: parsing {sum(one.seconds for one in parsed) / pages:.4f} s a page,", end=" ")
        print(f"questions and verification {found.seconds / pages:.4f} s a page")


def _frame(question: str) -> str:
    """The question without what stands in quotation marks and without numbers."""
    parts = question.split("“")
    return " ".join([parts[0], *(part.partition("”")[2] for part in parts[1:])]).translate(
        str.maketrans("", "", "0123456789")
    )


def show_recall(options: argparse.Namespace) -> None:
    """A table of mutations against the checks that found them."""
    tried: Counter[str] = Counter()
    found: Counter[str] = Counter()
    by_check: dict[str, Counter[str]] = defaultdict(Counter)
    missed: dict[str, Counter[str]] = defaultdict(Counter)
    for one in documents(options):
        with SecondText(one.path, one.document) as pages:
            accepted = list(_accepted(one.document, pages, options.seed))
            for candidate in accepted:
                others = [other for other in accepted if other.family == candidate.family and other is not candidate]
                for name, changed, planted in mutate(candidate, pages, others):
                    texts = [_planted(pages[i], planted[i]) if i in planted else pages[i] for i in range(len(pages))]
                    failed = [v.check for v in verify_candidate(changed, one.document, texts) if not v.ok]
                    tried[name] += 1
                    found[name] += bool(failed)
                    by_check[name].update(failed)
                    if not failed:
                        missed[name][candidate.family] += 1
    print(f"{'mutation':24} {'tried':>6} {'found':>6} {'recall':>7}  found by check; missed in family")
    for name in MUTATIONS:
        checks = ", ".join(f"{check} {count}" for check, count in by_check[name].most_common())
        misses = ", ".join(f"{family} {count}" for family, count in missed[name].most_common(6))
        recall = 100 * found[name] / max(tried[name], 1)
        print(f"{name:24} {tried[name]:6} {found[name]:6} {recall:6.1f}%  {checks}; {misses}")


def _accepted(document: Document, pages: SecondText, seed: int, most: int = 2) -> Iterator[Candidate]:
    """Up to ``most`` accepted candidates of every family."""
    generator = ProgrammaticGenerator()
    segments = choose_segments(document, Recipe().segments, seed, 4)
    for config in VQA_CONFIGS:
        counts: Counter[str] = Counter()
        for candidate in generator.generate(document, segments, config, seed):
            if counts[candidate.family] == most:
                continue
            if all(verdict.ok for verdict in verify_candidate(candidate, document, pages)):
                counts[candidate.family] += 1
                yield candidate


def _planted(page: PageText, line: str) -> PageText:
    """A page with one more line: at the end of its text, in the middle of its rows."""
    half = len(page.rows) // 2
    return PageText("\n".join([*page.lines, line]), "\n".join([*page.rows[:half], line, *page.rows[half:]]))


def write_sheet(options: argparse.Namespace) -> None:
    """A seeded sample of accepted items, as many of each config, as HTML with pictures and as JSON."""
    pool: dict[str, list[tuple[Parsed, Any]]] = defaultdict(list)
    for one in documents(options):
        for item in measure([one], options.quota, options.seed).items[0]:
            pool[item.config].append((one, item))
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [entry for config in VQA_CONFIGS for entry in _spread(pool[config], options.each, options.seed)]
    cards, records = [], []
    for number, (one, item) in enumerate(chosen):
        pictures = []
        with open_pdf(one.path) as pdf:
            for page in item.evidence_pages:
                name = f"{number:03d}-p{page + 1}.jpg"
                width, height = pdf.box(page)
                pixels = pdf.render(page, options.width, round(options.width * height / width))
                (options.out / name).write_bytes(simplejpeg.encode_jpeg(pixels, 80, "RGB"))
                pictures.append(name)
        records.append(
            {"number": number, "file": one.path.name, "id": item.id, "family": json.loads(item.meta)["family"],
             "config": item.config, "question": item.question, "answer": item.answer,
             "pages": [page + 1 for page in item.evidence_pages]}
        )  # fmt: skip
        images = "".join(f'<img src="{name}" loading="lazy" alt="{name}">' for name in pictures)
        cards.append(
            f"<section><div><h2>{number} · {html.escape(item.config)} · {records[-1]['family']}</h2>"
            f"<p>{html.escape(item.question)}</p><pre>{html.escape(item.answer)}</pre>"
            f"<p class=soft>{html.escape(one.path.name)}, pages {records[-1]['pages']}</p>"
            f"<p>right ☐ &nbsp; wrong ☐ &nbsp; unclear ☐</p></div><div class=pages>{images}</div></section>"
        )
    style = (
        "body{font:15px/1.5 system-ui;margin:24px}section{display:grid;grid-template-columns:340px 1fr;gap:20px;"
        "border-top:1px solid #ccc;padding:16px 0}img{width:46%;min-width:380px;"
        "border:1px solid #ddd;margin:0 8px 8px 0}"
        "pre{white-space:pre-wrap;background:#f4f5f7;padding:8px}h2{font-size:15px}.soft{color:#667}"
    )
    page = f"<!doctype html><meta charset=utf-8><title>Questions to read</title><style>{style}</style>{''.join(cards)}"
    (options.out / "index.html").write_text(page, encoding="utf-8")
    (options.out / "items.json").write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"{len(chosen)} items over {len({one.path for one, _ in chosen})} documents: {options.out / 'index.html'}")


def _spread(entries: list[tuple[Parsed, Any]], count: int, seed: int) -> list[tuple[Parsed, Any]]:
    """A seeded sample in which documents take turns."""
    shuffled = sorted(entries, key=lambda entry: hashlib.sha256(f"{seed} {entry[1].id}".encode()).digest())
    turns: Counter[Path] = Counter()
    ranked = []
    for position, entry in enumerate(shuffled):
        ranked.append((turns[entry[0].path], position, entry))
        turns[entry[0].path] += 1
    return [entry for _, _, entry in sorted(ranked, key=lambda rank: rank[:2])[:count]]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("yield", "recall", "sheet"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("qa-sheet"))
    parser.add_argument("--half", choices=("a", "b", "both"), default="both")
    parser.add_argument("--pages", type=int, nargs=2, default=(32, 50), metavar=("LEAST", "MOST"))
    parser.add_argument("--most", type=int, default=100, help="documents at the most")
    parser.add_argument("--quota", type=int, default=30, help="qa.per_document")
    parser.add_argument("--each", type=int, default=50, help="items of each config on the sheet")
    parser.add_argument("--width", type=int, default=900, help="pixels of a page on the sheet")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    {"yield": show_yield, "recall": show_recall, "sheet": write_sheet}[options.part](options)


if __name__ == "__main__":
    main()
