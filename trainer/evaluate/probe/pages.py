"""Pages of samples from shards that stay open: reading a footer for every sample would take longer than its pages."""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError
from mmprolong_data.index import IndexRow
from mmprolong_data.shards import read_sample

OPEN = 32
"""Shards that stay open."""


class ShardPages:
    """Reads pages of samples of a dataset on disk; from any number of threads."""

    def __init__(self, root: Path) -> None:
        """Nothing is opened yet."""
        self._root = root
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Shard] = OrderedDict()

    def read(self, row: IndexRow) -> Sequence[bytes]:
        """The pages of the sample that an index row points to.

        Raises:
            FormatError: the shard is missing or damaged, or another sample stands there; names the shard.
        """
        path = self._root / row.shard
        if path.suffix == ".tar":
            return read_sample(path, row).images
        try:
            key, pages = self._shard(row.shard).read(row.row)
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            raise FormatError(f"{path}: sample {row.key} cannot be read ({error}). Remedy: mmprolong verify") from None
        if key != row.key:
            raise FormatError(f"{path}: sample {row.key} is not at position {row.row}. Remedy: mmprolong verify")
        return pages

    def _shard(self, name: str) -> _Shard:
        with self._lock:
            if name not in self._open:
                self._open[name] = _Shard(self._root / name)
                if len(self._open) > OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]


class _Shard:
    """An open Parquet shard. It is mapped into memory: pages are copied once, not three times."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(self._map)))
        self._lock = threading.Lock()

    def read(self, row: int) -> tuple[str, list[bytes]]:
        """Key and pages of the sample in row group ``row``."""
        with self._lock:  # a reader of pyarrow serves one thread at a time
            group = self._file.read_row_group(row, columns=["id", "images"], use_threads=False)
            # What was read stays in the system's cache; it need not count as ours as well.
            self._map.madvise(mmap.MADV_DONTNEED)
        pages = group["images"].chunk(0).flatten().field("bytes")
        return group["id"][0].as_py(), [page.as_py() for page in pages]
