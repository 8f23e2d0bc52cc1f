"""Shards: the two containers of the same records, behind one writer and one reader."""

from __future__ import annotations

import contextlib
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import FormatError
from .index import IndexRow
from .records import PageImages, page_images, record_crc32, record_json, record_of
from .schema import Sample

EXTENSION = {"parquet": ".parquet", "webdataset": ".tar"}
"""Container -> file name extension of its shards."""


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """What a finished shard is. ``rows`` carry the shard's own file name in ``shard``."""

    name: str
    sha256: str
    bytes: int
    samples: int
    tokens: int
    rows: list[IndexRow]


class HashingFile:
    """A writable file that hashes what passes, so that no shard is read again for its SHA-256."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._hash = hashlib.sha256()
        self._position = 0

    @property
    def closed(self) -> bool:
        """True once the file is closed."""
        return self._stream.closed

    def writable(self) -> bool:
        """Part of what pyarrow expects of a file."""
        return True

    def write(self, data: bytes | memoryview) -> int:
        """Write and hash."""
        self._stream.write(data)
        self._hash.update(data)
        size = memoryview(data).nbytes
        self._position += size
        return size

    def tell(self) -> int:
        """Bytes written so far."""
        return self._position

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._stream.flush()

    def close(self) -> None:
        """Make the content durable and close."""
        if not self._stream.closed:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()

    def discard(self) -> None:
        """Close without care for the content."""
        with contextlib.suppress(OSError):
            self._stream.close()

    def hexdigest(self) -> str:
        """SHA-256 (hex) of everything written."""
        return self._hash.hexdigest()


class ShardWriter(ABC):
    """Writes samples to ``path.tmp``; ``close`` gives the file its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".tmp")
        self._file = HashingFile(self._temporary)
        self._rows: list[IndexRow] = []
        self._done = False

    def add(self, sample: Sample) -> None:
        """Append one sample.

        Samples of the same document should share one ``PageImages``: what is derived from it is then made once.
        """
        images = page_images(sample.images)
        record = record_of(sample)
        text = record_json(record)
        offset, size = self._write(sample.id, images, record, text)
        self._rows.append(
            IndexRow(
                sample.id, self._path.name, len(self._rows), offset, size, sample.num_pages, sample.num_tokens,
                sample.doc_id, record_crc32(images, text),
            )
        )  # fmt: skip

    def close(self) -> ShardInfo:
        """Finish the file and give it its name."""
        places = self._finish()
        self._file.close()
        self._temporary.replace(self._path)
        self._done = True
        rows = self._rows
        if places:
            from dataclasses import replace

            rows = [replace(row, offset=o, size=s) for row, (o, s) in zip(rows, places, strict=True)]
        return ShardInfo(
            self._path.name,
            self._file.hexdigest(),
            self._file.tell(),
            len(rows),
            sum(row.tokens for row in rows),
            rows,
        )

    def abort(self) -> None:
        """Throw the unfinished file away; after ``close`` nothing happens."""
        if not self._done:
            self._file.discard()
            self._temporary.unlink(missing_ok=True)

    @abstractmethod
    def _write(self, key: str, images: PageImages, record: dict[str, object], text: bytes) -> tuple[int, int]:
        """Append one record; returns its offset and size as far as they are known yet."""

    @abstractmethod
    def _finish(self) -> list[tuple[int, int]]:
        """Write the end of the file; returns offset and size of every record if only now known, else nothing."""


def open_writer(container: str, path: Path) -> ShardWriter:
    """A writer of the container ``parquet`` or ``webdataset``."""
    if container == "parquet":
        from .parquet_shards import ParquetShardWriter

        return ParquetShardWriter(path)
    if container == "webdataset":
        from .tar_shards import TarShardWriter

        return TarShardWriter(path)
    raise FormatError(f"unknown container {container!r}: must be one of {', '.join(EXTENSION)}")


def read_shard(path: Path) -> Iterator[Sample]:
    """All samples of a shard, in order.

    Raises:
        FormatError: missing, damaged, or not of this format; names the shard.
    """
    if path.suffix == ".tar":
        from .tar_shards import read_tar

        return read_tar(path)
    from .parquet_shards import read_parquet

    return read_parquet(path)


def read_sample(path: Path, row: IndexRow) -> Sample:
    """The one sample that an index row points to.

    Raises:
        FormatError: the shard is missing or damaged, or another sample stands there.
    """
    try:
        with path.open("rb") as stream:
            sample = _read_from(stream, path, row)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    if sample.id != row.key:
        raise FormatError(f"{path}: sample {row.key} expected at position {row.row}, {sample.id} found")
    return sample


def _read_from(stream: BinaryIO, path: Path, row: IndexRow) -> Sample:
    if path.suffix == ".tar":
        from .tar_shards import sample_from_tar_bytes

        stream.seek(row.offset)
        return sample_from_tar_bytes(stream.read(row.size), f"{path}: {row.key}")
    from .parquet_shards import sample_from_row_group

    return sample_from_row_group(stream, row.row, f"{path}: {row.key}")
