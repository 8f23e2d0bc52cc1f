"""The index: one small Parquet table a config and split that tells where each sample lies and how long it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import FormatError

INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("pages", pa.int32()),
        ("tokens", pa.int64()),
        ("doc_id", pa.string()),
        ("crc32", pa.uint32()),
    ]
)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """Where a sample lies.

    Attributes:
        key: The sample's id.
        shard: Path of its shard, relative to the dataset's folder.
        row: Its position in the shard, from 0; in Parquet also the number of its row group.
        offset, size: The bytes of the shard that hold it: its row group, or its tar members with headers and padding.
        pages, tokens: Length.
        doc_id: SHA-256 of the PDF.
        crc32: Of the sample's pages and record (``records.record_crc32``).
    """

    key: str
    shard: str
    row: int
    offset: int
    size: int
    pages: int
    tokens: int
    doc_id: str
    crc32: int


def index_table(rows: Iterable[IndexRow]) -> pa.Table:
    """The rows as a table of ``INDEX_SCHEMA``."""
    columns = list(zip(*(astuple(row) for row in rows), strict=True)) or [()] * len(INDEX_SCHEMA)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, INDEX_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=INDEX_SCHEMA)


def write_index(path: Path, rows: Iterable[IndexRow]) -> None:
    """Write an index file, under a temporary name first."""
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(index_table(rows), temporary, compression="zstd")
    temporary.replace(path)


def read_index_table(path: Path) -> pa.Table:
    """The index file as a table.

    Raises:
        FormatError: missing, damaged, or of another shape.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FormatError(f"{path}: missing. Remedy: build or download the dataset again") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_index(content, str(path))


def parse_index(content: bytes | memoryview, where: str) -> pa.Table:
    """The index whose file holds ``content``, as a table.

    Raises:
        FormatError: damaged, or of another shape; starts with ``where``.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"{where}: damaged ({_first_line(error)}). Remedy: build or download it again") from None
    if table.schema.names != INDEX_SCHEMA.names:
        raise FormatError(f"{where}: not an index of this format: columns {', '.join(table.schema.names)}")
    try:
        return table.cast(INDEX_SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"{where}: not an index of this format: {_first_line(error)}") from None


def read_index(path: Path) -> list[IndexRow]:
    """The rows of an index file.

    Raises:
        FormatError: missing, damaged, or of another shape.
    """
    return index_rows(read_index_table(path))


def index_rows(table: pa.Table) -> list[IndexRow]:
    """The rows of an index table."""
    columns = [table[field.name].to_pylist() for field in fields(IndexRow)]
    return [IndexRow(*values) for values in zip(*columns, strict=True)]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
