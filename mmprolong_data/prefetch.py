"""Samples read and decoded ahead by threads, handed out in order, bounded in bytes."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .catalog import Entry
from .errors import FormatError
from .patches import Layout, decode_page, empty_patches, page_rows
from .raw import RawSample, footer, parquet_table, raw_of_table, table_of_raw, tar_sample
from .source import Source

FRESH_READS = 4
"""How often a sample of a remote source is read again where its checksum is wrong."""
FOOTERS = 512
"""Footers of Parquet shards kept in memory."""
Want = Literal["patches", "jpeg", "none"]


class Reader:
    """Samples of one source, checked against the index. Safe to use from several threads."""

    def __init__(self, source: Source) -> None:
        self.root = source.root
        self._source = source
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, entry: Entry) -> RawSample:
        """Read a sample.

        Raises:
            FormatError: missing or damaged; names shard and key.
            SourceError: the bytes could not be fetched.
        """
        return self._read(entry)[0]

    def read_table(self, entry: Entry) -> pa.Table:
        """Read a sample as a table of one row, columns as ``parquet_shards.arrow_schema``. Raises as ``read`` does."""
        raw, table = self._read(entry)
        return table if table is not None else table_of_raw(raw)

    def _read(self, entry: Entry) -> tuple[RawSample, pa.Table | None]:
        try:
            return self._read_once(entry, fresh=False)
        except FormatError:
            if not self._source.remote:
                raise
        for _ in range(FRESH_READS - 1):  # damaged on its way, or in a cache
            with contextlib.suppress(FormatError):
                return self._read_once(entry, fresh=True)
        return self._read_once(entry, fresh=True)

    def _read_once(self, entry: Entry, fresh: bool) -> tuple[RawSample, pa.Table | None]:
        where = f"{self._source.root}/{entry.shard}: {entry.key}"
        data = self._source.read(entry.shard, entry.offset, entry.size, fresh=fresh)
        table = None
        if entry.shard.endswith(".tar"):
            raw = tar_sample(data, where)
        else:
            table = parquet_table(data, entry.offset, entry.row, self._footer(entry, fresh), where)
            raw = raw_of_table(table, where)
        if raw.record["id"] != entry.key:
            raise FormatError(f"{where}: another sample stands there: {str(raw.record['id'])[:80]}")
        if len(raw.pages) != entry.pages:
            raise FormatError(f"{where}: {len(raw.pages)} pages, {entry.pages} expected")
        if raw.crc32 != entry.crc32:
            raise FormatError(f"{where}: damaged (its checksum is not the index's). Remedy: build or download it again")
        return raw, table

    def _footer(self, entry: Entry, fresh: bool) -> pq.FileMetaData:
        with self._lock:
            metadata = self._footers.get(entry.shard)
            if metadata is not None and not fresh:
                self._footers.move_to_end(entry.shard)
                return metadata
        metadata = footer(self._source, entry.shard, entry.shard_bytes, fresh=fresh)
        with self._lock:
            self._footers[entry.shard] = metadata
            if len(self._footers) > FOOTERS:
                self._footers.popitem(last=False)
        return metadata


@dataclass(slots=True)
class Item:
    """A sample on its way. ``raw`` and ``pixels`` are set when ``ready`` is, unless ``error`` is."""

    entry: Entry
    ready: threading.Event = field(default_factory=threading.Event)
    raw: RawSample | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    grid_thw: npt.NDArray[np.int64] | None = None
    error: Exception | None = None
    decoding: bool = False
    open_pages: int = 0


class Prefetcher:
    """Runs ahead of its consumer within ``budget`` bytes.

    Counted are the bytes read and the pixels of all samples between the start of their reading and their delivery. A
    quarter of the budget is for reading ahead, which is cheap, the rest for decoded pages. The sample that is due next
    is always worked on, whatever its size.
    """

    def __init__(
        self, reader: Reader, entries: Iterator[Entry], want: Want, layout: Layout, threads: int, readers: int, budget:
            int
    ) -> None:  # fmt: skip
        self._reader, self._entries, self._want, self._layout = reader, entries, want, layout
        self._read_budget = budget // 4 if want == "patches" else budget
        self._pixel_budget = budget - budget // 4
        self._read_bytes = self._pixel_bytes = 0
        self._most = 4 * readers
        self._lock = threading.Lock()
        self._queue: deque[Item] = deque()
        self._next: Entry | None = None
        self._ended = self._closed = False
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="mmprolong-read")
        self._decoders = ThreadPoolExecutor(threads, thread_name_prefix="mmprolong-decode")

    def __iter__(self) -> Iterator[Item]:
        """The samples in the order of the entries; a bad one comes with its ``error``."""
        while True:
            with self._lock:
                self._pump()
                if not self._queue:
                    return
                head = self._queue[0]
            head.ready.wait()
            with self._lock:
                self._queue.popleft()
                self._read_bytes -= head.entry.size
                if head.decoding and head.pixels is not None:
                    self._pixel_bytes -= head.pixels.nbytes
                self._pump()
            yield head

    def queued(self) -> list[Item]:
        """The samples that are on their way, in order."""
        with self._lock:
            return list(self._queue)

    def close(self) -> None:
        """Stop; what is being read or decoded is thrown away."""
        with self._lock:
            self._closed = self._ended = True
            self._next = None
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._decoders.shutdown(wait=True, cancel_futures=True)
        self._queue.clear()

    def _pump(self) -> None:
        """Start whatever the budget allows, in order. The lock is held."""
        while len(self._queue) < self._most or not self._queue:
            if self._next is None and not self._ended:
                self._next = next(self._entries, None)
                self._ended = self._next is None
            if self._next is None:
                break
            if self._queue and self._read_bytes + self._next.size > self._read_budget:
                break
            item = Item(self._next)
            self._next = None
            self._read_bytes += item.entry.size
            self._queue.append(item)
            self._readers.submit(self._fetch, item)
        if self._want != "patches":
            return
        for number, item in enumerate(self._queue):
            if item.decoding or item.error is not None:
                continue
            if item.raw is None or item.pixels is None or item.grid_thw is None:
                break  # still being read; those behind it wait, so that the budget goes to what is due first
            if number and self._pixel_bytes + item.pixels.nbytes > self._pixel_budget:
                break
            item.decoding = True
            self._pixel_bytes += item.pixels.nbytes
            for page, rows in zip(item.raw.pages, page_rows(item.pixels, item.grid_thw), strict=True):
                self._decoders.submit(self._decode, item, page, rows)

    def _fetch(self, item: Item) -> None:
        """Read a sample (in a reading thread). Its buffer takes no memory until pixels are written into it."""
        error: Exception | None = None
        raw, pixels, grid = None, None, None
        try:
            raw = self._reader.read(item.entry)
            if self._want == "patches":
                pixels, grid = empty_patches(raw.pages)
        except ValueError as damage:
            error = self._bad_page(item, damage)
        except Exception as other:  # noqa: BLE001 - handed to the consumer, who waits for it
            error = other
        with self._lock:
            item.raw, item.pixels, item.grid_thw, item.error = raw, pixels, grid, error
            item.open_pages = len(raw.pages) if raw is not None else 0
            if error is not None or self._want != "patches" or not item.open_pages:
                item.ready.set()
            if not self._closed:
                self._pump()

    def _decode(self, item: Item, page: memoryview, rows: npt.NDArray[np.uint8]) -> None:
        """Decode a page (in a decoding thread)."""
        error: Exception | None = None
        try:
            if item.error is None:
                decode_page(page, rows, self._layout)
        except ValueError as damage:
            error = self._bad_page(item, damage)
        except Exception as other:  # noqa: BLE001 - handed to the consumer, who waits for it
            error = other
        with self._lock:
            item.error = item.error or error
            item.open_pages -= 1
            if not item.open_pages:
                item.ready.set()

    def _bad_page(self, item: Item, error: Exception) -> FormatError:
        where = f"{self._reader.root}/{item.entry.shard}: {item.entry.key}"
        return FormatError(f"{where}: a page cannot be decoded ({error})")
