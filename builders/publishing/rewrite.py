"""From rewritten shards to a dataset again: shard names, indexes, document table, manifest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError
from mmprolong_data.index import IndexRow, write_index
from mmprolong_data.manifest import Manifest
from mmprolong_data.records import sample_crc32
from mmprolong_data.schema import Sample
from mmprolong_data.shards import EXTENSION, ShardInfo, open_writer

from ..workspace import atomic_stream, file_sha256
from .views import DOCUMENTS_FILE


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard in its place: its entry in the manifest, and its index rows with the shard's path."""

    entry: dict[str, Any]
    rows: list[IndexRow]

    def renamed(self, name: str) -> Shard:
        """The same bytes under another path."""
        return Shard(self.entry | {"name": name}, [replace(row, shard=name) for row in self.rows])


def shard_name(config: str, split: str, number: int, count: int, container: str) -> str:
    """The path of a shard below the dataset's folder."""
    return f"data/{config}/{split}-{number:05d}-of-{count:05d}{EXTENSION[container]}"


def shard_of(config: str, split: str, name: str, info: ShardInfo) -> Shard:
    """A shard that has just been written, to be found under ``name``."""
    entry = {"config": config, "split": split, "name": name, "sha256": info.sha256, "bytes": info.bytes}
    entry |= {"samples": info.samples, "tokens": info.tokens}
    return Shard(entry, [replace(row, shard=name) for row in info.rows])


def write_samples(path: Path, container: str, samples: Iterable[Sample], rows: Sequence[IndexRow]) -> ShardInfo:
    """Write a shard from samples read elsewhere, and check each against the index row that it had there.

    Raises:
        FormatError: a sample is not the one that its row describes; nothing is left at ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = open_writer(container, path)
    try:
        expected = iter(rows)
        for sample in samples:
            row = next(expected, None)
            if row is None or sample.id != row.key or sample_crc32(sample) != row.crc32:
                raise FormatError(f"sample {sample.id} is not what its index says. Try: mmprolong verify")
            writer.add(sample)
        if (row := next(expected, None)) is not None:
            raise FormatError(f"{row.shard}: sample {row.key} is missing. Try: mmprolong verify")
        return writer.close()
    except BaseException:
        writer.abort()
        raise


def write_tables(root: Path, base: Manifest, shards: Sequence[Shard], documents: pa.Table | None) -> Manifest:
    """Write ``index/`` below ``root``. Returns ``base`` with the new shards, indexes and counts; writes no manifest.

    Args:
        root: Where ``index/`` is made.
        base: The manifest that all else is taken from.
        shards: All shards, in the manifest's order.
        documents: The document table; None where the dataset has none.
    """
    samples: dict[str, dict[str, int]] = {}
    tokens: dict[str, dict[str, int]] = {}
    rows: dict[tuple[str, str], list[IndexRow]] = {}
    for shard in shards:
        config, split = shard.entry["config"], shard.entry["split"]
        rows.setdefault((config, split), []).extend(shard.rows)
        for table, name in ((samples, "samples"), (tokens, "tokens")):
            counts = table.setdefault(config, {})
            counts[split] = counts.get(split, 0) + shard.entry[name]
    (root / "index").mkdir(parents=True, exist_ok=True)
    indexes = {}
    for (config, split), own in rows.items():
        path = root / "index" / f"{config}-{split}.parquet"
        write_index(path, own)
        indexes[f"index/{path.name}"] = file_sha256(path)
    if documents is not None:
        with atomic_stream(root / DOCUMENTS_FILE) as stream:
            pq.write_table(documents, stream, compression="zstd")
        indexes[DOCUMENTS_FILE] = file_sha256(root / DOCUMENTS_FILE)
    entries = [shard.entry for shard in shards]
    return replace(base, shards=entries, indexes=indexes, samples=samples, tokens=tokens)
