"""What differs between two datasets: documents, samples and answers added, removed and changed."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mmprolong_data.index import IndexRow
from mmprolong_data.records import FIELDS, record_json
from mmprolong_data.settings import differences

from .views import DatasetView

LEVELS = ("none", "metadata", "content", "schema")
"""How deep a change goes, from nothing to what readers have to be changed for."""
READERS = 8
Progress = Callable[[int, int], None]
"""Called with (samples compared, samples to compare)."""


@dataclass(frozen=True, slots=True)
class SampleChange:
    """A sample that both datasets have. ``fields`` differ: names of ``FIELDS``, ``images`` or ``split``."""

    key: str
    config: str
    doc_id: str
    fields: tuple[str, ...]


@dataclass(slots=True)
class Difference:
    """What has to be done to the first dataset to get the second.

    Attributes:
        documents_added, documents_removed: ``doc_id`` -> file name, of used documents.
        samples_added, samples_removed: config -> number of keys.
        changed: Samples whose content differs.
        rebuilt: Samples that differ in nothing but the version they were built for.
        settings: Lines for recipe, tools and licences that differ.
        schema: Lines for what readers would notice: format, container, configs that are gone.
    """

    documents_added: dict[str, str] = field(default_factory=dict)
    documents_removed: dict[str, str] = field(default_factory=dict)
    samples_added: Counter[str] = field(default_factory=Counter)
    samples_removed: Counter[str] = field(default_factory=Counter)
    changed: list[SampleChange] = field(default_factory=list)
    rebuilt: int = 0
    settings: list[str] = field(default_factory=list)
    schema: list[str] = field(default_factory=list)

    @property
    def level(self) -> str:
        """One of ``LEVELS``: the deepest kind of change."""
        if self.schema:
            return "schema"
        parts = (self.documents_added, self.documents_removed, self.samples_added, self.samples_removed, self.changed)
        if any(parts):
            return "content"
        return "metadata" if self.settings or self.rebuilt else "none"

    def counts(self) -> dict[str, dict[str, int]]:
        """``{"documents": {...}, "samples": {...}}``: numbers added, removed and changed."""
        documents = {change.doc_id for change in self.changed}
        return {
            "documents": {
                "added": len(self.documents_added),
                "removed": len(self.documents_removed),
                "changed": len(documents - set(self.documents_added) - set(self.documents_removed)),
            },
            "samples": {
                "added": self.samples_added.total(),
                "removed": self.samples_removed.total(),
                "changed": len(self.changed),
            },
        }

    def answers_changed(self) -> int:
        """Samples that both have, with another answer."""
        return sum("answer" in change.fields for change in self.changed)


def compare(old: DatasetView, new: DatasetView, progress: Progress | None = None) -> Difference:
    """Compare two datasets, of either container.

    Only records whose checksum differs are read, and never an image.

    Raises:
        FormatError: one of them is no dataset, or is damaged.
    """
    found = Difference()
    _settings(old, new, found)
    before = {(config, row.key): (split, row) for config, split, row in old.rows()}
    after = {(config, row.key): (split, row) for config, split, row in new.rows()}
    for config, _ in after.keys() - before.keys():
        found.samples_added[config] += 1
    for config, _ in before.keys() - after.keys():
        found.samples_removed[config] += 1
    _documents(old, new, before, after, found)

    pairs: dict[tuple[str, str], list[tuple[str, IndexRow, IndexRow, bool]]] = defaultdict(list)
    moved = []
    for place in sorted(before.keys() & after.keys()):
        (old_split, old_row), (new_split, new_row) = before[place], after[place]
        if old_row.crc32 != new_row.crc32:
            pairs[old_row.shard, new_row.shard].append((place[0], old_row, new_row, old_split != new_split))
        elif old_split != new_split:
            moved.append(SampleChange(place[1], place[0], new_row.doc_id, ("split",)))
    total, done = sum(map(len, pairs.values())), 0
    with ThreadPoolExecutor(READERS) as pool:
        for changes in pool.map(lambda item: list(_changes(old, new, *item)), sorted(pairs.items())):
            for change in changes:
                if change.fields == ("version",):
                    found.rebuilt += 1
                else:
                    found.changed.append(change)
            done += len(changes)
            if progress is not None:
                progress(done, total)
    found.changed = sorted([*found.changed, *moved], key=lambda change: (change.config, change.key))
    return found


def _settings(old: DatasetView, new: DatasetView, found: Difference) -> None:
    before, after = old.manifest, new.manifest
    for name in ("format_version", "container"):
        if getattr(before, name) != getattr(after, name):
            found.schema.append(f"{name}: {getattr(before, name)} -> {getattr(after, name)}")
    found.schema += [f"config {name}: removed" for name in sorted(set(before.configs()) - set(after.configs()))]
    found.settings += [f"recipe: {line}" for line in differences(before.recipe, after.recipe)]
    found.settings += [f"tool: {line}" for line in differences(before.tools, after.tools)]


def _documents(
    old: DatasetView,
    new: DatasetView,
    before: dict[tuple[str, str], tuple[str, IndexRow]],
    after: dict[tuple[str, str], tuple[str, IndexRow]],
    found: Difference,
) -> None:
    """Documents that have samples on one side only, with the names of the document tables."""
    ids = [{row.doc_id for _, row in rows.values()} for rows in (before, after)]
    for view, own, others, target in (
        (new, ids[1], ids[0], found.documents_added),
        (old, ids[0], ids[1], found.documents_removed),
    ):
        missing = own - others
        if missing:
            names = {row["doc_id"]: row["name"] for row in view.documents() if not row["reason"]}
            target.update({doc_id: names.get(doc_id, "") for doc_id in sorted(missing)})


def _changes(
    old: DatasetView,
    new: DatasetView,
    shards: tuple[str, str],
    pairs: list[tuple[str, IndexRow, IndexRow, bool]],
) -> Iterator[SampleChange]:
    """The changes between the samples of one old and one new shard."""
    records = [
        view.records(shard, rows)
        for view, shard, rows in (
            (old, shards[0], [pair[1] for pair in pairs]),
            (new, shards[1], [pair[2] for pair in pairs]),
        )
    ]
    for (config, old_row, new_row, other_split), before, after in zip(pairs, *records, strict=True):
        fields = [name for name in FIELDS if before[name] != after[name]]
        if not _same_images(old_row, before, new_row, after):
            fields.append("images")
        if other_split:
            fields.append("split")
        yield SampleChange(new_row.key, config, new_row.doc_id, tuple(fields))


def _same_images(old_row: IndexRow, before: dict[str, Any], new_row: IndexRow, after: dict[str, Any]) -> bool:
    """True if two samples have the same page bytes, judged by their checksums and texts alone.

    A checksum covers pages + text. CRC-32 is affine over GF(2): for texts x, y of equal length,
    crc(p + x) ^ crc(p + y) = crc(x) ^ crc(y) whatever the pages p. Zeros make the lengths equal.
    """
    x, y = record_json(before), record_json(after)
    longest = max(len(x), len(y))
    with_pages, without = (
        [zlib.crc32(bytes(longest - len(text)), crc) for text, crc in zip((x, y), crcs, strict=True)]
        for crcs in ((old_row.crc32, new_row.crc32), (zlib.crc32(x), zlib.crc32(y)))
    )
    return with_pages[0] ^ with_pages[1] == without[0] ^ without[1]
