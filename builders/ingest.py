"""The inventory: one row for every file of a corpus, with what planning needs or the reason why it is left out."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.remote import is_url
from mmprolong_data.settings import to_plain

from .corpus import list_corpus
from .fetch import UnfetchedError
from .recipe import Recipe
from .sandbox import UNFETCHED, SandboxPool
from .spool import Row, Spool
from .untrusted import real_path
from .urls import url_name
from .workspace import atomic_stream

INVENTORY_VERSION = 3
"""Raised when rows mean something else: an older inventory is then made anew."""

INVENTORY_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("name", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("version", pa.string()),
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
"""``path``: absolute, a ``file:`` URI where it is not UTF-8 (``untrusted.real_path``), or a URL without its secrets
(``fetch.FileStore.hide``). ``version``: of a file behind a URL, its ETag or time stamp. ``widths``, ``heights``: points
of the pages as displayed, once for each run of ``repeats`` pages of equal size. ``reason``: empty, or a code of
``reasons.DOCUMENT_REASONS``. ``sha256``: empty for what could not or should not be read. Sorted by (sha256, path); all
but the first of equal files are ``duplicate``."""

_CHUNK_ROWS = 1024
_GROUP_ROWS = 16_384
_LOAD_DEPENDENT = ("crash", "timeout", "memory")
_NEVER_READ = ("unreadable", "empty_file", "too_large")

Progress = Callable[[int, int], None]


def take_inventory(
    corpus: Sequence[str | Path],
    inventory_path: Path,
    recipe: Recipe,
    pool: SandboxPool,
    on_progress: Progress | None = None,
) -> pa.Table:
    """Look at every file of a corpus and write the inventory.

    Files whose path, size and time stamp (or ETag) are those of the last inventory are not read again, nor are those
    that an interrupted inventory had come to (its journal lies beside ``inventory_path``). Rows wait on disk, so that
    memory does not grow with the corpus before the inventory is read back as a table.

    Args:
        corpus: See ``corpus.list_corpus``.
        inventory_path: The Parquet file; replaced as a whole once it is complete.
        recipe: Uses ``ingest`` and ``sandbox``.
        pool: Children that read the files; its ``files`` reach URLs.
        on_progress: Called with (files done, files in all), first when the files are listed.

    Returns:
        A table of ``INVENTORY_SCHEMA``.

    Raises:
        SettingsError: The corpus does not exist or holds no PDF.
        UnfetchedError: Files behind URLs cannot be fetched; what was fetched is kept.
    """
    settings = inventory_settings(recipe)
    known = _Known(inventory_path, settings)
    tell = on_progress or (lambda done, total: None)
    unfetched: list[str] = []
    with Spool() as spool:
        listed = list_corpus(corpus, pool.files)
        total = spool.add_found((file.path, [file.bytes, file.version, file.reason, file.detail]) for file in listed)
        spool.add_known(known.rows())
        waiting, done = _Waiting(), 0
        for path, values, old in spool.found():
            row = _row_from_stat(path, values, recipe.ingest.max_bytes)
            if row["reason"] or (old is not None and _unchanged(old, row)):
                spool.add_made(row if row["reason"] or old is None else old)
                done += 1
            else:
                waiting.add(row)
        tell(done, total)
        with known.journal() as journal, waiting:
            for row in _inspect(waiting, recipe, pool):
                if row["reason"] == UNFETCHED:
                    unfetched.append(row["detail"])
                    continue
                _append(journal, row)
                spool.add_made(row)
                done += 1
                tell(done, total)
        if unfetched:
            raise UnfetchedError(
                f"{len(unfetched)} of {total} files could not be fetched, such as {unfetched[0].rstrip('.')}."
                " Remedy: run the same command again; what was fetched is not fetched again"
            )
        with atomic_stream(inventory_path) as stream:
            _write(_mark_duplicates(spool.made()), stream, settings)
    known.forget_journal()
    return pq.ParquetFile(inventory_path).read().replace_schema_metadata(None).combine_chunks()


def _inspect(waiting: Iterable[Row], recipe: Recipe, pool: SandboxPool) -> Iterator[Row]:
    begun: deque[Row] = deque()

    def payloads() -> Iterator[dict[str, Any]]:
        for row in waiting:
            begun.append(row)
            yield {"path": row["path"], "max_pages": recipe.ingest.max_pages}

    for outcome in pool.map("inspect", payloads(), tolerant=True):
        row = begun.popleft()
        if outcome.value is not None:
            yield row | outcome.value
        elif outcome.reason in ("unreadable", UNFETCHED):
            yield row | {"reason": outcome.reason, "detail": outcome.detail}
        else:
            # The child is gone, and its hash with it. Reading bytes is safe here; interpreting them is not.
            yield row | {"sha256": _sha256(row["path"], pool), "reason": outcome.reason, "detail": outcome.detail}


def _row_from_stat(path: str, values: list[Any], max_bytes: int) -> Row:
    """The row of a file as far as it can be told without reading it.

    Args:
        path: As it is stored.
        values: Of a file behind a URL: size in bytes, version, reason, detail.
        max_bytes: ``ingest.max_bytes``.
    """
    row: Row = dict.fromkeys(INVENTORY_SCHEMA.names, "") | {
        "path": path, "bytes": 0, "mtime_ns": 0, "pages": 0, "widths": [], "heights": [], "repeats": [],
    }  # fmt: skip
    size, version, reason, detail = values
    if reason or is_url(path):
        name = url_name(path) if is_url(path) else path.rpartition("/")[2]
        row |= {"name": name, "version": version, "reason": reason, "detail": detail, "bytes": max(size, 0)}
        if reason or size < 0:
            return row
    else:
        here = real_path(path)
        row["name"] = os.fsencode(os.path.basename(here)).decode(errors="backslashreplace")  # noqa: PTH119 - any bytes
        try:
            status = os.stat(here)  # noqa: PTH116 - any bytes
        except (OSError, ValueError) as error:
            return row | {"reason": "unreadable", "detail": getattr(error, "strerror", None) or "not a file name"}
        size = status.st_size
        row |= {"bytes": size, "mtime_ns": status.st_mtime_ns}
        if not stat.S_ISREG(status.st_mode):
            # A pipe or a device would block whoever opens it.
            kind = "a folder that cannot be read" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return row | {"bytes": 0, "reason": "unreadable", "detail": kind}
    if size == 0:
        return row | {"reason": "empty_file"}
    if size > max_bytes:
        return row | {"reason": "too_large", "detail": f"{size} bytes, ingest.max_bytes is {max_bytes}"}
    return row


def _unchanged(old: Row, row: Row) -> bool:
    """True if what is known of a file still holds."""
    if old["reason"] in _NEVER_READ:  # what could not be read may have become readable without any change of the file
        return False
    if is_url(row["path"]) and not row["version"]:
        return False
    return all(old[name] == row[name] for name in ("bytes", "mtime_ns", "version"))


def _sha256(path: str, pool: SandboxPool) -> str:
    if is_url(path):
        return pool.files.sha256(path)
    try:
        with open(real_path(path), "rb") as file:  # noqa: PTH123 - any bytes
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def inventory_settings(recipe: Recipe) -> str:
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
        self._inventory = inventory_path
        self._journal = inventory_path.with_name(inventory_path.name + ".journal")
        self._valid_bytes = 0

    def rows(self) -> Iterator[Row]:
        """All rows; of two with the same path, the later one counts."""
        yield from self._read_inventory(self._inventory)
        yield from self._read_journal()

    def journal(self) -> BinaryIO:
        """The journal, open to append, once ``rows`` has been read."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        stream = self._journal.open("ab")
        stream.truncate(self._valid_bytes)
        if not self._valid_bytes:
            _append(stream, self._settings)
        return stream

    def forget_journal(self) -> None:
        """The inventory is complete."""
        self._journal.unlink(missing_ok=True)

    def _read_inventory(self, path: Path) -> Iterator[Row]:
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
                            yield row
        except (OSError, pa.ArrowInvalid):
            return

    def _read_journal(self) -> Iterator[Row]:
        """The rows of the journal; takes note of how many of its bytes are whole."""
        try:
            with self._journal.open("rb") as stream:
                unpacker = msgpack.Unpacker(stream, max_buffer_size=0)
                if next(unpacker, None) != self._settings:
                    return
                self._valid_bytes = unpacker.tell()
                for row in unpacker:
                    if not isinstance(row, dict) or row.keys() != set(INVENTORY_SCHEMA.names):
                        return
                    yield row
                    self._valid_bytes = unpacker.tell()
        except (FileNotFoundError, ValueError, TypeError, KeyError, msgpack.UnpackException):
            return  # none, or cut off in the middle of a row

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


class _Waiting:
    """Rows of the files that have to be read, kept in a file without a name; can be gone through once."""

    def __init__(self) -> None:
        self._stream = tempfile.TemporaryFile()  # noqa: SIM115 - closed as a context manager

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def add(self, row: Row) -> None:
        self._stream.write(msgpack.packb(row))

    def __iter__(self) -> Iterator[Row]:
        self._stream.seek(0)
        yield from msgpack.Unpacker(self._stream, max_buffer_size=0)


def _write(rows: Iterable[Row], stream: BinaryIO, settings: str) -> None:
    schema = INVENTORY_SCHEMA.with_metadata({"mmprolong_inventory": settings})
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in batched(rows, _GROUP_ROWS):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema), row_group_size=_GROUP_ROWS)


def _mark_duplicates(rows: Iterable[Row]) -> Iterator[Row]:
    """Give every file but the first of equal ones the reason ``duplicate``; ``rows`` come by (sha256, path)."""
    kept: Row | None = None
    for row in rows:
        if kept is not None and row["sha256"] and row["sha256"] == kept["sha256"]:
            yield row | {"reason": "duplicate", "detail": f"same bytes as {kept['name']}"}
        else:
            kept = row
            yield row


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Lists of ``size`` rows, the last one shorter."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
