"""One dataset to compare: in a folder, or at a revision on the Hub; read without its images."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError
from mmprolong_data.index import IndexRow, index_rows, parse_index
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, decode_manifest
from mmprolong_data.records import FIELDS
from mmprolong_data.tar_shards import BLOCK, RECORD_SUFFIX

DOCUMENTS_FILE = "index/documents.parquet"
HUB_NAME = r"(?:hf://)?(?:datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([\w./-]+)"


@dataclass(frozen=True)
class DatasetView:
    """A dataset below ``root`` of a file system.

    Attributes:
        label: What a message calls it.
        filesystem: An ``fsspec`` file system.
        root: The dataset's folder there.
    """

    label: str
    filesystem: Any = field(repr=False)
    root: str

    @cached_property
    def manifest(self) -> Manifest:
        """The checked manifest.

        Raises:
            FormatError: there is none, or it is damaged.
        """
        return decode_manifest(self.read(MANIFEST_NAME), f"{self.label}: {MANIFEST_NAME}")

    def read(self, name: str) -> bytes:
        """The content of a small file.

        Raises:
            FormatError: it is not there.
        """
        try:
            content: bytes = self.filesystem.cat_file(f"{self.root}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            hint = " or no such repository or version" if "@" in self.label else ""
            raise FormatError(f"{self.label}: {name} is missing: no dataset of mmprolong{hint}") from None
        return content

    def rows(self) -> Iterator[tuple[str, str, IndexRow]]:
        """(config, split, index row) of every sample."""
        for config in self.manifest.configs():
            for split in self.manifest.samples[config]:
                name = f"index/{config}-{split}.parquet"
                for row in index_rows(parse_index(self.read(name), f"{self.label}: {name}")):
                    yield config, split, row

    def documents(self) -> list[dict[str, Any]]:
        """The rows of the document table; nothing where the dataset has none."""
        if DOCUMENTS_FILE not in self.manifest.indexes:
            return []
        try:
            rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(self.read(DOCUMENTS_FILE))).to_pylist()
        except (pa.ArrowException, OSError, ValueError):
            raise FormatError(f"{self.label}: {DOCUMENTS_FILE} is damaged") from None
        return rows

    def records(self, shard: str, rows: Iterable[IndexRow]) -> Iterator[dict[str, Any]]:
        """The records, without images, that lie in one shard at ``rows``; only their bytes are read.

        Raises:
            FormatError: the shard is missing, damaged, or holds something else there.
        """
        known = {entry["name"] for entry in self.manifest.shards}
        if shard not in known:
            raise FormatError(f"{self.label}: the index names {shard}, which is no shard of the manifest")
        try:
            with self.filesystem.open(f"{self.root}/{shard}", "rb", cache_type="none") as stream:
                if shard.endswith(".tar"):
                    found = (_tar_record(stream, row) for row in rows)
                else:
                    file = pq.ParquetFile(stream, pre_buffer=True)
                    found = (file.read_row_group(row.row, columns=list(FIELDS)).to_pylist()[0] for row in rows)
                for row, record in zip(rows, found, strict=True):
                    if record["id"] != row.key:
                        raise FormatError(f"{self.label}: {shard}: {record['id']} stands where {row.key} should")
                    yield {name: record[name] for name in FIELDS}
        except FileNotFoundError:
            raise FormatError(f"{self.label}: {shard} is missing") from None
        except (pa.ArrowException, tarfile.TarError, ValueError, KeyError, IndexError) as error:
            raise FormatError(f"{self.label}: {shard} is damaged ({type(error).__name__})") from None


def _tar_record(stream: Any, row: IndexRow) -> dict[str, Any]:
    stream.seek(row.offset)
    header = tarfile.TarInfo.frombuf(stream.read(BLOCK), "utf-8", "strict")
    if header.name.partition(".")[2] != RECORD_SUFFIX:
        raise KeyError(header.name)
    record: dict[str, Any] = json.loads(stream.read(header.size))
    return record


def open_folder(root: Path) -> DatasetView:
    """The dataset in a folder."""
    return DatasetView(str(root), fsspec.filesystem("file"), str(root.absolute()))


def open_hub(repo: str, revision: str, endpoint: str | None = None) -> DatasetView:
    """The dataset at a revision of a repository on the Hub."""
    from huggingface_hub import HfFileSystem

    filesystem = HfFileSystem(endpoint=endpoint, skip_instance_cache=True)
    return DatasetView(f"{repo}@{revision}", filesystem, f"datasets/{repo}@{revision}")


def open_view(name: str) -> DatasetView:
    """The dataset that a user names: a folder, or ``ORG/NAME@REVISION`` on the Hub.

    Raises:
        FormatError: it is neither.
    """
    if Path(name).is_dir():
        return open_folder(Path(name))
    match = re.fullmatch(HUB_NAME, name)
    if match is None:
        raise FormatError(
            f"{name}: neither a folder nor a dataset on the Hub."
            " Write a version on the Hub as ORG/NAME@v1.0.0 (or ORG/NAME@main)"
        )
    return open_hub(match[1], match[2])
