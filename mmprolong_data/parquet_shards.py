"""The Parquet container: flat typed columns that stock ``datasets`` reads, one sample a row group."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import FormatError
from .records import FIELDS, IMAGES_TYPE, PageImages, sample_of
from .schema import Sample
from .shards import ShardWriter

_TYPES = {
    "num_pages": pa.int32(),
    "num_tokens": pa.int32(),
    "messages": pa.list_(
        pa.struct(
            [
                ("role", pa.string()),
                ("content", pa.list_(pa.struct([("type", pa.string()), ("text", pa.string())]))),
            ]
        )
    ),
    "evidence_pages": pa.list_(pa.int32()),
    "evidence_sources": pa.list_(pa.string()),
    "segment": pa.struct([("start", pa.int32()), ("end", pa.int32())]),
}
COLUMNS = (*FIELDS[: FIELDS.index("messages")], "images", *FIELDS[FIELDS.index("messages") :])
"""Column order: the fields of ``Sample``."""


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """The description that ``datasets`` stores for a column type (checked against ``hf.features`` by a test)."""
    if kind == IMAGES_TYPE:
        return {"feature": {"_type": "Image"}, "_type": "List"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": str(kind), "_type": "Value"}


def arrow_schema() -> pa.Schema:
    """The columns of a shard, with the metadata that makes ``images`` a ``List(Image())`` in stock ``datasets``."""
    schema = pa.schema([(name, IMAGES_TYPE if name == "images" else _TYPES.get(name, pa.string())) for name in COLUMNS])
    info = {"info": {"features": {field.name: _feature(field.type) for field in schema}}}
    return schema.with_metadata({"huggingface": json.dumps(info)})


class ParquetShardWriter(ShardWriter):
    """One sample a row group; pages are stored as they are, text columns compressed with zstd."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schema = arrow_schema()
        self._metadata: list[pq.FileMetaData] = []
        text = ["question", "answer", "verification", "meta", "messages.list.element.content.list.element.text"]
        compression = dict.fromkeys(_leaves(self._schema), "NONE")
        compression |= dict.fromkeys(text, "zstd")
        self._writer = pq.ParquetWriter(
            self._file,
            self._schema,
            compression=compression,
            use_dictionary=False,
            write_statistics=False,
            data_page_size=1 << 30,  # a page of the file for a document: fewer copies
            metadata_collector=self._metadata,
        )

    def _write(self, key: str, images: PageImages, record: dict[str, object], text: bytes) -> tuple[int, int]:
        arrays = [
            images.column if field.name == "images" else pa.array([record[field.name]], type=field.type)
            for field in self._schema
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=1)
        return 0, 0

    def _finish(self) -> list[tuple[int, int]]:
        self._writer.close()
        return row_group_ranges(self._metadata[0])

    def abort(self) -> None:
        """See ``ShardWriter.abort``."""
        if not self._done:
            self._file.discard()
            with contextlib.suppress(OSError, ValueError, RuntimeError, pa.ArrowException):
                self._writer.close()  # it cannot write its footer into a closed file, and need not
            self._writer.is_open = False
        super().abort()


def row_group_ranges(metadata: pq.FileMetaData) -> list[tuple[int, int]]:
    """Offset and size (bytes) of every row group of a file."""
    ranges = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(i) for i in range(group.num_columns)]
        starts = [min(filter(None, (c.dictionary_page_offset, c.data_page_offset))) for c in columns]
        ends = [start + c.total_compressed_size for start, c in zip(starts, columns, strict=True)]
        ranges.append((min(starts), max(ends) - min(starts)))
    return ranges


def open_parquet(source: Path | BinaryIO, where: str) -> pq.ParquetFile:
    """Open a shard and check that it has our columns.

    Raises:
        FormatError: missing, damaged or of another format; starts with ``where``.
    """
    try:
        file = pq.ParquetFile(source)
    except FileNotFoundError:
        raise FormatError(f"{where}: missing. Remedy: build or download the dataset again") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"{where}: damaged ({_line(error)}). Remedy: build or download it again") from None
    if tuple(file.schema_arrow.names) != COLUMNS:
        raise FormatError(f"{where}: not a shard of this format")
    return file


def read_parquet(path: Path) -> Iterator[Sample]:
    """All samples of a shard."""
    file = open_parquet(path, str(path))
    for number in range(file.num_row_groups):
        yield _read_group(file, number, f"{path}: row group {number}")


def sample_from_row_group(stream: BinaryIO, number: int, where: str) -> Sample:
    """The sample in row group ``number`` of an open file (any file object with ``seek`` and ``read``)."""
    return _read_group(open_parquet(stream, where), number, where)


def _read_group(file: pq.ParquetFile, number: int, where: str) -> Sample:
    try:
        rows = file.read_row_group(number, use_threads=False).to_pylist()
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise FormatError(f"{where}: damaged ({_line(error)})") from None
    if len(rows) != 1:
        raise FormatError(f"{where}: {len(rows)} rows, not one")
    return sample_of(rows[0], rows[0]["images"] or [], where)


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet paths of all leaf columns."""

    def walk(name: str, kind: pa.DataType) -> Iterator[str]:
        if pa.types.is_list(kind):
            yield from walk(f"{name}.list.element", kind.value_type)
        elif pa.types.is_struct(kind):
            for field in kind:
                yield from walk(f"{name}.{field.name}", field.type)
        else:
            yield name

    return [leaf for field in schema for leaf in walk(field.name, field.type)]


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
