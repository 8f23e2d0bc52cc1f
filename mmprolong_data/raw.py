"""One sample out of the bytes that the index names, in both containers, without a copy of its pages."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import FormatError
from .parquet_shards import arrow_schema, open_parquet
from .records import FIELDS, PageImages, record_json
from .source import Buffer, Source
from .tar_shards import BLOCK, IMAGES_SUFFIX, RECORD_SUFFIX

FOOTER_GUESS = 1 << 16
"""Bytes read from the end of a Parquet shard in the hope that they hold its footer."""


@dataclass(frozen=True, slots=True)
class RawSample:
    """A sample as it lies in a shard.

    Attributes:
        record: All fields but the images.
        pages: The JPEG files, as views of the bytes that were read.
        crc32: Computed from what was read.
    """

    record: dict[str, Any]
    pages: list[memoryview]
    crc32: int


def tar_sample(data: Buffer, where: str) -> RawSample:
    """The sample whose two tar members, with headers and padding, are ``data``.

    Raises:
        FormatError: damaged or incomplete; starts with ``where``.
    """
    view = memoryview(data)
    members: dict[str, memoryview] = {}
    position = 0
    try:
        while position + BLOCK <= len(view):
            header = bytes(view[position : position + BLOCK])
            name = header[:100].rstrip(b"\0").decode("ascii")
            size = int(header[124:136].rstrip(b"\0 ") or b"0", 8)
            if not name or position + BLOCK + size > len(view):
                break
            members[name.partition(".")[2]] = view[position + BLOCK : position + BLOCK + size]
            position += BLOCK + size + -size % BLOCK
        text = bytes(members[RECORD_SUFFIX])
        record = json.loads(text)
        pages = _packed_pages(members[IMAGES_SUFFIX])
    except KeyError as error:
        raise FormatError(f"{where}: the member {error} is missing") from None
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        raise FormatError(f"{where}: damaged ({type(error).__name__}: {error})") from None
    return RawSample(_checked(record, where), pages, zlib.crc32(text, _crc32(pages)))


def _packed_pages(view: memoryview) -> list[memoryview]:
    """The ``bytes`` of a msgpack list of ``{"bytes": ..., "path": ...}``, as views.

    The msgpack library copies every page, which costs as much as reading it. Hence the few forms that a list, a map, a
    string and binary data have are read here; anything else is damage.
    """
    count, position = _length(view, 0, {0xDC: 2, 0xDD: 4}, 0x90)
    pages = []
    for _ in range(count):
        entries, position = _length(view, position, {}, 0x80)
        page = None
        for _ in range(entries):
            size, position = _length(view, position, {0xD9: 1}, 0xA0)
            key, position = bytes(view[position : position + size]), position + size
            size, position = _length(view, position, {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2}, 0xA0)
            value, position = view[position : position + size], position + size
            if key == b"bytes":
                page = value
        if page is None or position > len(view):
            raise ValueError("an image without its bytes")
        pages.append(page)
    if position != len(view):
        raise ValueError("images of another length")
    return pages


def _length(view: memoryview, position: int, heads: dict[int, int], short: int) -> tuple[int, int]:
    """Length and start of the content of the msgpack item at ``position``.

    Args:
        view: The packed data.
        position: Where the item starts.
        heads: First byte -> bytes of the length that follows it.
        short: First byte of the short form, which holds the length itself (4 bits, 5 for strings).
    """
    head = view[position]
    if head in heads:
        width = heads[head]
        return int.from_bytes(view[position + 1 : position + 1 + width], "big"), position + 1 + width
    bits = 0x1F if short == 0xA0 else 0x0F
    if head & ~bits & 0xFF != short:
        raise ValueError(f"unexpected byte {head:#04x} among the images")
    return head & bits, position + 1


def footer(source: Source, name: str, size: int, *, fresh: bool = False) -> pq.FileMetaData:
    """The footer of a Parquet shard.

    Args:
        source, name: Where it lies.
        size: Of the file, in bytes (the manifest knows).
        fresh: See ``Source.read``.

    Raises:
        FormatError: missing, cut, damaged, or not a shard of this format.
    """
    where = f"{source.root}/{name}"
    tail = source.read(name, max(0, size - FOOTER_GUESS), min(size, FOOTER_GUESS), fresh=fresh)
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    if len(tail) < needed <= size:
        tail = source.read(name, size - needed, needed, fresh=fresh)
    metadata: pq.FileMetaData = open_parquet(cast(BinaryIO, RangeFile(tail, size - len(tail), size)), where).metadata
    return metadata


def parquet_table(data: Buffer, offset: int, row: int, metadata: pq.FileMetaData, where: str) -> pa.Table:
    """Row group ``row``, whose bytes are ``data`` from ``offset`` of the file on: a table of one row.

    Raises:
        FormatError: damaged; starts with ``where``.
    """
    try:
        file = pq.ParquetFile(RangeFile(data, offset, offset + len(data)), metadata=metadata)
        table = file.read_row_group(row, use_threads=False)
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise FormatError(f"{where}: damaged ({(str(error).splitlines() or ['?'])[0][:200]})") from None
    if table.num_rows != 1:
        raise FormatError(f"{where}: {table.num_rows} rows, not one")
    return table


def raw_of_table(table: pa.Table, where: str) -> RawSample:
    """The sample in a table of one row; its pages are views of the table's memory."""
    try:
        images = table["images"].combine_chunks()
        images = images.chunk(0) if isinstance(images, pa.ChunkedArray) else images
        column = images.values.field("bytes")
        _, offsets, content = column.buffers()
        ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
        view = memoryview(content).cast("B") if content is not None else memoryview(b"")  # Arrow's views are signed
        pages = [view[start:end] for start, end in pairwise(ends)]
        record = _checked(table.drop_columns(["images"]).to_pylist()[0], where)
    except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise FormatError(f"{where}: damaged ({type(error).__name__}: {error})") from None
    return RawSample(record, pages, zlib.crc32(record_json({k: record[k] for k in FIELDS}), _crc32(pages)))


def table_of_raw(raw: RawSample) -> pa.Table:
    """A sample as a table of one row, with the columns of ``parquet_shards.arrow_schema``."""
    columns = {
        field.name: PageImages(raw.pages).column
        if field.name == "images"
        else pa.array([raw.record[field.name]], type=field.type)
        for field in arrow_schema()
    }
    return pa.table(columns, schema=arrow_schema())


class RangeFile:
    """A file of which only the bytes from ``start`` on are at hand: what pyarrow needs to read one row group."""

    def __init__(self, data: Buffer, start: int, size: int) -> None:
        self._data, self._start, self._size = memoryview(data), start, size
        self._position = 0
        self.closed = False

    def readable(self) -> bool:
        """Part of what pyarrow expects of a file."""
        return True

    def seekable(self) -> bool:
        """Part of what pyarrow expects of a file."""
        return True

    def tell(self) -> int:
        """Position in the whole file."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset`` from the start (0), here (1) or the end (2) of the whole file."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, size: int = -1) -> memoryview:
        """The next bytes, as a view."""
        begin = self._position - self._start
        if begin < 0:
            raise OSError("outside the range that was read")
        end = len(self._data) if size < 0 else min(begin + size, len(self._data))
        self._position = self._start + max(begin, end)
        return self._data[begin:end]

    def close(self) -> None:
        """Part of what pyarrow expects of a file."""
        self.closed = True


def _crc32(pages: Sequence[memoryview]) -> int:
    value = 0
    for page in pages:
        value = zlib.crc32(page, value)
    return value


def _checked(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict) or any(name not in record for name in FIELDS):
        raise FormatError(f"{where}: not a sample of this format")
    return record
