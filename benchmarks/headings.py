"""Headings of born-digital PDFs against their outlines: what a build gives; what the rules give without the outline.

Truth: the outline's entries whose words stand on the page they point to or on one beside it, by the page's raw text,
not by our parser, in documents with at least five of them. Other entries (in a broken encoding, in other words), single
letters (which head the parts of an index), and headings that pair with these count neither way. A heading and an entry
are paired, each once, if they are alike (80 %, their numbers and labels apart) and at most a page from each other.
Recall: paired entries of all entries. Precision: paired headings of all headings. Outlines end at some depth:
"to depth" is the precision without those unpaired headings whose own number has more parts than that of any paired one
of the document. Documents' titles count where they pair, else neither way. Slides are left out, as outlines do not
list their frames.

    python benchmarks/headings.py PDF_FOLDER [--fit] [--pages 100] [--show dev:wrong:40]

Documents are halved by the SHA-256 of the start of their file name (after an underscore), so that variants of one
template stay on one side; the weights of ``layout/heading_rules.py`` are fitted on one half (``--fit`` prints them),
the other is held out.

Needs: pip install -e ".[build,dev]" torch
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path
from statistics import mean
from typing import Any

from mmprolong_builders.layout import heading_rules
from mmprolong_builders.layout import parse as parse_module
from mmprolong_builders.layout.patterns import heading_number, normalized, without_number
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.reasons import DocumentError
from mmprolong_builders.recipe import Parse
from rapidfuzz import fuzz

LEAST = 5
Titled = tuple[int, str]
"""0-based page, text."""


@dataclass
class Found:
    """What one way to find headings gave. ``deeper``: those of ``wrong`` that are deeper than the outline."""

    right: int
    wrong: list[Titled]
    missed: list[Titled]
    deeper: int


@dataclass
class Measured:
    """One document. ``seen``: (pairs with an entry, is deeper than the outline, what is seen of it) of a candidate."""

    name: str
    pages: int
    listed: int
    entries: int
    build: Found
    rules: Found
    milliseconds: float
    seen: list[tuple[bool, bool, list[str]]] = field(default_factory=list)

    @property
    def half(self) -> str:
        """``dev`` or ``held out``."""
        stem = self.name.rpartition("_")[2] if self.name.count("_") == 1 else self.name.partition("_")[2] or self.name
        return "held out" if hashlib.sha256(stem[:5].lower().encode()).digest()[0] % 2 else "dev"


def key(text: str) -> str:
    """A title without its number, for comparison."""
    return normalized(without_number(text)) or normalized(text)


def likeness(heading: str, title: str) -> float:
    """0-100; of two keys. A heading may have a label, a number or a note that the title lacks."""
    found: float = fuzz.ratio(heading, title)
    more = len(heading) - len(title)
    if 0 < more <= 16 and len(title) >= 3 and (heading.endswith(title) or (heading.startswith(title) and more <= 4)):
        rest = heading[:more] if heading.endswith(title) else heading[len(title) :]
        if any(map(str.isdigit, rest)):
            return 100.0
    return found


def paired(entries: list[Titled], headings: list[Titled]) -> tuple[set[int], set[int]]:
    """Indices of the entries and of the headings that are paired, the likest first."""
    pairs = []
    keys = [key(text) for _, text in headings]
    for i, (page, title) in enumerate(entries):
        wanted = key(title)
        for j, (number, _) in enumerate(headings):
            if abs(number - page) <= 1 and (alike := likeness(keys[j], wanted)) >= 80:
                pairs.append((-alike, abs(number - page), i, j))
    one: set[int] = set()
    two: set[int] = set()
    for _, _, i, j in sorted(pairs):
        if i not in one and j not in two:
            one.add(i)
            two.add(j)
    return one, two


def compare(entries: list[Titled], others: list[Titled], document: Any) -> Found:
    """A parsed document's headings against the entries, and the others that count neither way."""
    blocks = [(p.number, b) for p in document.pages for b in p.blocks if b.kind in ("heading", "title")]
    headings = [(page, block.text) for page, block in blocks]
    one, two = paired(entries, headings)
    _, excused = paired(others, headings)
    depth = max((len(heading_number(headings[j][1])) for j in two), default=0)
    wrong = [
        (page, block.text) for j, (page, block) in enumerate(blocks)
        if j not in two | excused and block.kind == "heading" and len(key(block.text)) > 1
    ]  # fmt: skip
    deeper = sum(0 < depth < len(heading_number(text)) for _, text in wrong)
    return Found(len(two), wrong, [entry for i, entry in enumerate(entries) if i not in one], deeper)


def measure(work: tuple[Path, int]) -> Measured | None:
    """Parse one document with and without its outline; None if it tells nothing."""
    path, most = work
    try:
        with open_pdf(path) as pdf:
            outline = pdf.outline()
            if pdf.num_pages > most or len(outline) < LEAST:
                return None
            boxes = [pdf.box(n) for n in range(pdf.num_pages)]
            if 2 * sum(width > height for width, height in boxes) > len(boxes):
                return None
            texts = [normalized(pdf.text(n)) for n in range(pdf.num_pages)]
            entries: list[Titled] = []
            others: list[Titled] = []
            for _, title, page, _ in outline:
                stands = any(key(title) in text for text in texts[max(0, page - 1) : page + 2])
                (entries if stands and len(key(title)) > 1 else others).append((page, title))
            if len(entries) < LEAST:
                return None
            build = compare(entries, others, parse_module.parse_document(pdf, "0" * 64, Parse()))
            pdf.outline = lambda: []  # type: ignore[method-assign]
            candidates: list[Any] = []
            find = parse_module.find_headings

            def observed(*arguments: Any) -> Any:
                candidates.extend(heading_rules.observe(*arguments))
                return find(*arguments)

            parse_module.find_headings = observed
            started = time.process_time()
            try:
                document = parse_module.parse_document(pdf, "0" * 64, Parse())
            finally:
                parse_module.find_headings = find
    except DocumentError:
        return None
    cpu = 1000 * (time.process_time() - started)
    result = Measured(path.name, len(boxes), len(outline), len(entries), build, compare(entries, others, document), cpu)
    _, right = paired(entries, [(c.page, c.text) for c, _ in candidates])
    depth = max((len(candidates[j][0].number) for j in right), default=0)
    for j, (candidate, names) in enumerate(candidates):
        result.seen.append((j in right, j not in right and 0 < depth < len(candidate.number), sorted(names)))
    return result


def report(documents: list[Measured]) -> None:
    """The table."""
    print("| headings by | half | documents | entries | recall | precision | to depth | means of documents |")
    print("|---|---|---|---|---|---|---|---|")
    for way in ("build", "rules"):
        for half in ("dev", "held out"):
            chosen = [d for d in documents if d.half == half]
            if not chosen:
                continue
            found: list[Found] = [getattr(d, way) for d in chosen]
            right, wrong = sum(f.right for f in found), sum(len(f.wrong) for f in found)
            entries, deeper = sum(d.entries for d in chosen), sum(f.deeper for f in found)
            means = (
                mean(f.right / d.entries for d, f in zip(chosen, found, strict=True)),
                mean(f.right / max(1, f.right + len(f.wrong) - f.deeper) for f in found),
            )
            print(
                f"| {'outline' if way == 'build' else 'rules alone'} | {half}"
                f" | {len(chosen)} ({sum(d.pages for d in chosen)} pages)"
                f" | {entries} of {sum(d.listed for d in chosen)} | {right / entries:.3f}"
                f" | {right / (right + wrong):.3f} | {right / (right + wrong - deeper):.3f}"
                f" | {means[0]:.3f}, {means[1]:.3f} |"
            )
    print(
        f"\nrules alone: {sum(d.milliseconds for d in documents) / sum(d.pages for d in documents):.1f} CPU ms a page"
    )


def fit(documents: list[Measured], penalty: float = 2e-4) -> dict[str, float]:
    """Weights by logistic regression on the half ``dev``; many variants of one template weigh as three."""
    import torch

    def family(document: Measured) -> str:
        return re.sub(r"[^a-z]", "", document.name.partition("_")[2].lower())[:7]

    chosen = [d for d in documents if d.half == "dev"]
    families = Counter(map(family, chosen))
    names = sorted({name for d in chosen for _, _, seen in d.seen for name in seen})
    at = {name: i for i, name in enumerate(names)}
    rows = [
        (seen, min(1.0, 3 / families[family(d)])) for d in chosen for seen in d.seen if not seen[1]
    ]  # headings deeper than the outline teach nothing
    x = torch.zeros(len(rows), len(names))
    for i, (seen, _) in enumerate(rows):
        x[i, [at[name] for name in seen[2]]] = 1
    y = torch.tensor([float(seen[0]) for seen, _ in rows])
    weight = torch.tensor([w for _, w in rows])
    values = torch.zeros(len(names), requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(x @ values, y, reduction="none")
        loss = (weight * losses).mean() + penalty * (values**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return {name: round(float(value), 2) for name, value in zip(names, values.tolist(), strict=True)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--pages", type=int, default=100, help="leave out longer documents")
    parser.add_argument("--fit", action="store_true", help="print weights fitted on the half dev")
    parser.add_argument("--show", default="", metavar="HALF:wrong|missed:COUNT", help="a sample to read")
    options = parser.parse_args()
    paths = [(path, options.pages) for path in sorted(options.corpus.glob("*.pdf"))]
    with Pool() as pool:
        documents = [d for d in pool.imap(measure, paths, 8) if d is not None]
    report(documents)
    if options.fit:
        for name, value in fit(documents).items():
            print(f'    "{name}": {value},')
    if options.show:
        half, kind, count = options.show.split(":")
        found = [(d.name, *entry) for d in documents if d.half == half for entry in getattr(d.rules, kind)]
        for name, page, text in random.Random(0).sample(found, min(int(count), len(found))):
            print(f"{name} page {page + 1}: {text}")


if __name__ == "__main__":
    main()
