"""What a report counts: read from manifest, index and a bounded number of records, never from all images."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError
from mmprolong_data.index import IndexRow, read_index
from mmprolong_data.manifest import Manifest, read_manifest
from mmprolong_data.tar_shards import BLOCK

MOST_RECORDS = 2000
"""Records read for each config; a larger dataset is sampled evenly."""
COLUMNS = [
    "id", "config", "num_pages", "num_tokens", "question", "answer", "answer_format", "evidence_pages",
    "evidence_sources", "segment", "generator", "verification", "meta",
]  # fmt: skip


ReadRecords = Callable[[Path, Sequence[IndexRow]], Iterable[dict[str, Any]]]
"""(root, index rows) -> the records of these samples, in order, as ``read_record`` gives them."""


@dataclass(slots=True)
class Statistics:
    """Counts of a dataset.

    Attributes:
        manifest: Of the dataset.
        rows: Index rows by (config, split).
        records: Up to ``MOST_RECORDS`` records a config, without images; each has its ``split`` and ``row``.
        documents: Rows of ``index/documents.parquet``.
    """

    manifest: Manifest
    rows: dict[tuple[str, str], list[IndexRow]] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)

    def families(self) -> dict[str, Counter[str]]:
        """Config -> family -> number, of the records read; transcriptions have no families."""
        counts = {}
        for config, records in self.records.items():
            if not config.startswith("ocr_"):
                counts[config] = Counter(record["meta"].get("family", "?") for record in records)
        return counts

    def depths(self) -> list[tuple[int, float]]:
        """(tokens, depth) of every evidence page of the records read; depth 0 is a document's first page.

        ``ocr_full`` is left out: all its pages are evidence.
        """
        return [
            (record["num_tokens"], (page + 0.5) / record["num_pages"])
            for config, records in self.records.items()
            if config != "ocr_full"
            for record in records
            for page in record["evidence_pages"]
        ]

    def counts(self, name: str) -> Counter[str]:
        """How often each value of a field, or of ``meta``, occurs in the records read."""
        return Counter(
            str(record.get(name, record["meta"].get(name, "?")))
            for records in self.records.values()
            for record in records
        )

    def left_out(self, most: int) -> list[dict[str, Any]]:
        """Documents that were not used, at most ``most``, by reason and name."""
        rows = [row for row in self.documents if row["reason"]]
        return sorted(rows, key=lambda row: (row["reason"], row["name"]))[:most]


def read_statistics(root: Path, manifest: Manifest | None = None, read: ReadRecords | None = None) -> Statistics:
    """Read what the report needs; ``manifest`` where the dataset's is not written yet, ``read``: of shards elsewhere.

    Raises:
        FormatError: there is no dataset, or its index is damaged.
    """
    manifest = manifest or read_manifest(root)
    statistics = Statistics(manifest)
    for config in manifest.configs():
        for split in manifest.samples[config]:
            statistics.rows[config, split] = read_index(root / "index" / f"{config}-{split}.parquet")
        statistics.records[config] = list(_records(root, statistics, config, read or read_records))
    documents = root / "index" / "documents.parquet"
    if documents.is_file():
        statistics.documents = pq.read_table(documents, partitioning=None).to_pylist()
    return statistics


def _records(root: Path, statistics: Statistics, config: str, read: ReadRecords) -> Iterator[dict[str, Any]]:
    rows = [(split, row) for (name, split), own in statistics.rows.items() if name == config for row in own]
    some = rows[:: max(1, -(-len(rows) // MOST_RECORDS))]
    for (split, row), record in zip(some, read(root, [row for _, row in some]), strict=True):
        record["meta"] = json.loads(record["meta"])
        record["verification"] = json.loads(record["verification"])
        yield record | {"split": split, "row": row}


def read_records(root: Path, rows: Sequence[IndexRow]) -> Iterator[dict[str, Any]]:
    """``ReadRecords`` of a folder."""
    return (read_record(root / row.shard, row) for row in rows)


def read_record(path: Path, row: IndexRow) -> dict[str, Any]:
    """A sample's record without its images.

    Raises:
        FormatError: the shard is missing or damaged.
    """
    try:
        with path.open("rb") as stream:
            return records_in(stream, str(path), [row])[0]
    except OSError as error:
        raise _unreadable(str(path), row, error) from None


def records_in(shard: BinaryIO, where: str, rows: Sequence[IndexRow]) -> list[dict[str, Any]]:
    """Records of samples, without their images, in an open shard whose path or URL is ``where``.

    Raises:
        FormatError: the shard is damaged.
        OSError: it cannot be read.
    """
    records = []
    row = rows[0]
    try:
        file = None if where.endswith(".tar") else pq.ParquetFile(shard, pre_buffer=True)
        for row in rows:
            if file is not None:
                records.append(dict(file.read_row_group(row.row, columns=COLUMNS).to_pylist()[0]))
                continue
            shard.seek(row.offset)
            header = tarfile.TarInfo.frombuf(shard.read(BLOCK), "utf-8", "strict")
            record: dict[str, Any] = json.loads(shard.read(header.size))
            records.append({name: record[name] for name in COLUMNS})
    except (ValueError, KeyError, IndexError, tarfile.TarError) as error:
        raise _unreadable(where, row, error) from None
    return records


def _unreadable(where: str, row: IndexRow, error: Exception) -> FormatError:
    return FormatError(f"{where}: sample {row.key} cannot be read ({type(error).__name__}). Try: mmprolong verify")
