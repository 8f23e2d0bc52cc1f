"""What a card tells of a dataset's content, counted from its index, its document table and its records."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path

from mmprolong_data.manifest import Manifest

from .card_info import Precision, host_of, read_sources
from .report.statistics import Statistics, read_statistics


@dataclass(slots=True)
class CardFacts:
    """Counts of one dataset.

    Attributes:
        languages, licences, sources: Value -> used documents. Sources are hosts.
        licensed: Used documents with a licence.
        pages: (least, median, most, all) pages of a used document.
        tokens: Config -> (least, median, most) tokens of a sample.
        generators, families, formats: Config -> value -> samples of those read.
        checks: Config -> check -> verdict -> samples of those read.
        read, samples: Config -> samples read for the three lines above, and all samples.
    """

    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    licensed: int = 0
    pages: tuple[int, float, int, int] = (0, 0, 0, 0)
    tokens: dict[str, tuple[int, float, int]] = field(default_factory=dict)
    generators: dict[str, Counter[str]] = field(default_factory=dict)
    families: dict[str, Counter[str]] = field(default_factory=dict)
    formats: dict[str, Counter[str]] = field(default_factory=dict)
    checks: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)


def collect_facts(root: Path, manifest: Manifest, counted: Statistics | None = None) -> CardFacts:
    """Count what the card tells.

    Args:
        root: The dataset's folder, with its shards and indexes in place.
        manifest: Of the dataset; the file need not be written yet.
        counted: What ``read_statistics`` gave, where it has been called already.

    Raises:
        FormatError: an index or a shard is damaged.
    """
    counted = counted or read_statistics(root, manifest)
    facts = CardFacts()
    used = {row["doc_id"]: row for row in counted.documents if not row["reason"]}
    facts.languages.update(row["language"] or "und" for row in used.values())
    for row in read_sources(root):
        if row["doc_id"] in used:
            if row["license"]:
                facts.licences[row["license"]] += 1
            if row["source"]:
                facts.sources[host_of(row["source"])] += 1
    facts.licensed = facts.licences.total()
    for name in ("languages", "licences", "sources"):  # equal numbers by name
        setattr(facts, name, Counter(dict(sorted(getattr(facts, name).items()))))
    pages: dict[str, int] = {}
    for (config, _), rows in counted.rows.items():
        pages.update((row.doc_id, row.pages) for row in rows)
        facts.samples[config] = facts.samples.get(config, 0) + len(rows)
    for config in facts.samples:
        lengths = [row.tokens for (name, _), rows in counted.rows.items() if name == config for row in rows]
        facts.tokens[config] = _spread(lengths)
    if pages:
        facts.pages = (*_spread(list(pages.values())), sum(pages.values()))
    for config, records in counted.records.items():
        facts.read[config] = len(records)
        facts.generators[config] = Counter(record["generator"] for record in records)
        facts.families[config] = Counter(str(record["meta"].get("family", "?")) for record in records)
        facts.formats[config] = Counter(record["answer_format"] for record in records)
        verdicts = facts.checks.setdefault(config, {})
        for record in records:
            checks = record["verification"].get("checks")
            for check, verdict in checks.items() if isinstance(checks, dict) else ():
                word = verdict if isinstance(verdict, str) else str(verdict).lower()
                verdicts.setdefault(str(check), Counter())[word] += 1
    return facts


def _spread(values: Sequence[int]) -> tuple[int, float, int]:
    return min(values), statistics.median(values), max(values)


def wilson(row: Precision) -> tuple[float, float, float]:
    """Share that was right, with the 95 % score interval (E. B. Wilson, JASA 22, 1927), in percent."""
    n, p, z = row.checked, row.right / row.checked, 1.959964
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * p, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)
