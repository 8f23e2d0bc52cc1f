"""The inventory: one row for every file of a corpus, with what planning needs or the reason why it is left out."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmprolong_data.settings import to_plain

from .corpus import find_files
from .recipe import Recipe
from .sandbox import SandboxPool
from .untrusted import real_path, stored_path
from .workspace import atomic_stream

INVENTORY_VERSION = 2
"""Raised when rows mean something else: an older inventory is then made anew."""

INVENTORY_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("name", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("pages", pa.int32()),
        ("widths", pa.list_(pa.float64())),
        ("heights", pa.list_(pa.float64())),
        ("repeats", pa.list_(pa.int32())),
        ("producer", pa.string()),
        ("language", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""``path``: absolute, a ``file:`` URI where it is not UTF-8 (``untrusted.real_path``). ``widths``, ``heights``: points
of the pages as displayed, once for each run of ``repeats`` pages of equal size. ``reason``: empty, or a code of
``reasons.DOCUMENT_REASONS``. ``sha256``: empty for what could not or should not be read. Sorted by (sha256, path); all
but the first of equal files are ``duplicate``."""

_CHUNK_ROWS = 1024
_LOAD_DEPENDENT = ("crash", "timeout", "memory")
_NEVER_READ = ("unreadable", "empty_file", "too_large")

Row = dict[str, Any]
Progress = Callable[[int, int], None]


def take_inventory(
    corpus: Sequence[str | Path],
    inventory_path: Path,
    recipe: Recipe,
    pool: SandboxPool,
    on_progress: Progress | None = None,
) -> pa.Table:
    """Look at every file of a corpus and write the inventory.

    Files whose path, size and time stamp are those of the last inventory are not read again, nor are those that an
    interrupted inventory had come to (its journal lies beside ``inventory_path``).

    Args:
        corpus: See ``corpus.find_files``.
        inventory_path: The Parquet file; replaced as a whole once it is complete.
        recipe: Uses ``ingest`` and ``sandbox``.
        pool: Children that read the files.
        on_progress: Called with (files done, files in all), first when the files are listed.

    Returns:
        A table of ``INVENTORY_SCHEMA``.

    Raises:
        SettingsError: The corpus does not exist or holds no PDF.
    """
    files = find_files(corpus)
    settings = _settings(recipe)
    known = _Known(inventory_path, settings)
    table = _Builder()
    waiting: list[str] = []
    for path in files:
        row = _row_from_stat(path, recipe.ingest.max_bytes)
        old = None if row["reason"] else known.take(row)
        if row["reason"] or old is not None:
            table.add(old or row)
        else:
            waiting.append(path)
    done = len(files) - len(waiting)
    if on_progress is not None:
        on_progress(done, len(files))
    with known.journal() as journal:
        for row in _inspect(waiting, recipe, pool):
            _append(journal, row)
            table.add(row)
            done += 1
            if on_progress is not None:
                on_progress(done, len(files))
    result = _mark_duplicates(table.finish())
    inventory = result.replace_schema_metadata({"mmprolong_inventory": settings})
    with atomic_stream(inventory_path) as stream:
        pq.write_table(inventory, stream, compression="zstd")
    known.forget_journal()
    return result


def _inspect(paths: list[str], recipe: Recipe, pool: SandboxPool) -> Iterator[Row]:
    begun: deque[Row] = deque()

    def payloads() -> Iterator[dict[str, Any]]:
        for path in paths:
            row = _row_from_stat(path, recipe.ingest.max_bytes)
            begun.append(row)
            yield {"path": row["path"], "max_pages": recipe.ingest.max_pages}

    for outcome in pool.map("inspect", payloads()):
        row = begun.popleft()
        if outcome.value is not None:
            yield row | outcome.value
        elif outcome.reason == "unreadable":
            yield row | {"reason": outcome.reason, "detail": outcome.detail}
        else:
            # The child is gone, and its hash with it. Reading bytes is safe here; interpreting them is not.
            yield row | {"sha256": _sha256(row["path"]), "reason": outcome.reason, "detail": outcome.detail}


def _row_from_stat(path: str, max_bytes: int) -> Row:
    row: Row = {
        "path": stored_path(path),
        "name": os.fsencode(os.path.basename(path)).decode(errors="backslashreplace"),  # noqa: PTH119 - any bytes
        "sha256": "", "bytes": 0, "mtime_ns": 0, "pages": 0, "widths": [], "heights": [], "repeats": [],
        "producer": "", "language": "", "reason": "", "detail": "",
    }  # fmt: skip
    try:
        status = os.stat(path)  # noqa: PTH116 - any bytes
    except (OSError, ValueError) as error:
        return row | {"reason": "unreadable", "detail": getattr(error, "strerror", None) or "not a file name"}
    row |= {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    if not stat.S_ISREG(status.st_mode):
        # A pipe or a device would block whoever opens it.
        kind = "a folder that cannot be read" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        return row | {"bytes": 0, "reason": "unreadable", "detail": kind}
    if status.st_size == 0:
        return row | {"reason": "empty_file"}
    if status.st_size > max_bytes:
        return row | {"reason": "too_large", "detail": f"{status.st_size} bytes, ingest.max_bytes is {max_bytes}"}
    return row


def _sha256(path: str) -> str:
    try:
        with open(real_path(path), "rb") as file:  # noqa: PTH123 - any bytes
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _settings(recipe: Recipe) -> str:
    """What rows depend on, beside the files."""
    plain = {
        "version": INVENTORY_VERSION,
        "pymupdf": metadata.version("pymupdf"),
        "max_pages": recipe.ingest.max_pages,
        "sandbox": to_plain(recipe.sandbox),
    }
    return json.dumps(plain, sort_keys=True)


class _Known:
    """Rows of the last inventory and of an interrupted one, as far as they still hold."""

    def __init__(self, inventory_path: Path, settings: str) -> None:
        self._settings = settings
        self._journal = inventory_path.with_name(inventory_path.name + ".journal")
        self._rows: dict[str, bytes] = {}  # packed: Python objects take ten times the memory
        self._read_inventory(inventory_path)
        self._valid_bytes = self._read_journal()

    def take(self, row: Row) -> Row | None:
        """The known row of a file that has not changed, once."""
        packed = self._rows.pop(row["path"], None)
        if packed is None:
            return None
        old: Row = msgpack.unpackb(packed)
        unchanged = (old["bytes"], old["mtime_ns"]) == (row["bytes"], row["mtime_ns"])
        # What could not be read may have become readable without any change of the file.
        return old if unchanged and old["reason"] not in _NEVER_READ else None

    def journal(self) -> BinaryIO:
        """The journal, open to append."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        stream = self._journal.open("ab")
        stream.truncate(self._valid_bytes)
        if not self._valid_bytes:
            _append(stream, self._settings)
        return stream

    def forget_journal(self) -> None:
        """The inventory is complete."""
        self._journal.unlink(missing_ok=True)

    def _read_inventory(self, path: Path) -> None:
        try:
            with pq.ParquetFile(path) as file:
                written = (file.schema_arrow.metadata or {}).get(b"mmprolong_inventory", b"{}").decode()
                usable = self._usable(written)
                if usable is None or not file.schema_arrow.equals(INVENTORY_SCHEMA):
                    return
                kept: Row | None = None
                for batch in file.iter_batches(_CHUNK_ROWS):
                    for row in batch.to_pylist():
                        if row["reason"] == "duplicate" and kept is not None:
                            # The same bytes: what was found out about the kept one holds for this one.
                            row |= {"reason": kept["reason"], "detail": kept["detail"]}
                        else:
                            kept = {"reason": row["reason"], "detail": row["detail"]}
                        if usable(row):
                            self._rows[row["path"]] = msgpack.packb(row)
        except (OSError, pa.ArrowInvalid):
            return

    def _read_journal(self) -> int:
        """Take over the rows of the journal. Returns how many of its bytes are whole."""
        valid = 0
        try:
            with self._journal.open("rb") as stream:
                unpacker = msgpack.Unpacker(stream, max_buffer_size=0)
                if next(unpacker, None) != self._settings:
                    return 0
                valid = unpacker.tell()
                for row in unpacker:
                    self._rows[row["path"]] = msgpack.packb(row)
                    valid = unpacker.tell()
        except FileNotFoundError:
            return 0
        except (ValueError, TypeError, KeyError, msgpack.UnpackException):
            pass  # cut off in the middle of a row
        return valid

    def _usable(self, written: str) -> Callable[[Row], bool] | None:
        """Which rows of an inventory still hold under these settings; None: none."""
        old, new = json.loads(written), json.loads(self._settings)
        if {**old, "sandbox": None} != {**new, "sandbox": None}:
            return None
        # Whether a document was too much depends on load, so its verdict stands, unless its limits are others now.
        excluded = () if old["sandbox"] == new["sandbox"] else _LOAD_DEPENDENT
        return lambda row: row["reason"] not in excluded


def _append(stream: BinaryIO, value: Any) -> None:
    stream.write(msgpack.packb(value))
    stream.flush()


class _Builder:
    """Collects rows in Arrow batches, which take far less memory than Python objects."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _CHUNK_ROWS:
            self._flush()

    def finish(self) -> pa.Table:
        self._flush()
        return pa.Table.from_batches(self._batches, INVENTORY_SCHEMA)

    def _flush(self) -> None:
        if self._rows:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows, INVENTORY_SCHEMA))
            self._rows = []


def _mark_duplicates(table: pa.Table) -> pa.Table:
    """Sort by (sha256, path) and give every file but the first of equal ones the reason ``duplicate``."""
    order = pc.sort_indices(table, sort_keys=[("sha256", "ascending"), ("path", "ascending")])
    table = table.take(order)
    hashes, names = table["sha256"].combine_chunks(), table["name"]
    same = pc.and_(pc.equal(hashes[1:], hashes[:-1]), pc.not_equal(hashes[1:], ""))
    repeated = [1 + i for i in pc.indices_nonzero(same).to_pylist()]
    if not repeated:
        return table.combine_chunks()
    reasons, details, kept = [], [], 0
    for previous, i in zip([-1, *repeated], repeated, strict=False):
        kept = kept if previous == i - 1 and previous >= 0 else i - 1
        reasons.append("duplicate")
        details.append(f"same bytes as {names[kept].as_py()}")
    mask = np.zeros(len(hashes), dtype=bool)
    mask[repeated] = True
    for name, values in (("reason", reasons), ("detail", details)):
        position = INVENTORY_SCHEMA.get_field_index(name)
        column = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), pa.array(values, pa.string()))
        table = table.set_column(position, INVENTORY_SCHEMA.field(position), column)
    return table.combine_chunks()
