"""Rows of an inventory on disk while it is taken: a corpus may have more files than fit in memory as Python objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import msgpack

Row = dict[str, Any]
_BATCH = 1024


class Spool:
    """Three tables by path: the files found, what is known of them, and the rows of the new inventory.

    A private database that SQLite keeps in a file without a name, so that nothing is left when the process ends. For
    one thread at a time. Use it as a context manager.
    """

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;"
            "CREATE TABLE found (path TEXT PRIMARY KEY, row BLOB) WITHOUT ROWID;"
            "CREATE TABLE known (path TEXT, row BLOB);"
            "CREATE TABLE made (sha256 TEXT, path TEXT, row BLOB);"
            "BEGIN"
        )

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def add_found(self, files: Iterable[tuple[str, list[Any]]]) -> int:
        """Add (path, plain values); a path that was added before stays. Returns how many different paths there are."""
        packed = ((path, msgpack.packb(values)) for path, values in files)
        self._base.executemany("INSERT OR IGNORE INTO found VALUES (?, ?)", packed)
        return int(self._base.execute("SELECT count(*) FROM found").fetchone()[0])

    def add_known(self, rows: Iterable[Row]) -> None:
        """Add rows of earlier inventories; of two with the same path, the later one counts."""
        packed = ((row["path"], msgpack.packb(row)) for row in rows)
        self._base.executemany("INSERT INTO known VALUES (?, ?)", packed)

    def found(self) -> Iterator[tuple[str, list[Any], Row | None]]:
        """Every file found, by path: path, values, and the row that is known of it."""
        self._base.execute("CREATE INDEX IF NOT EXISTS known_paths ON known (path)")
        cursor = self._base.execute("SELECT path, row FROM found ORDER BY path")
        latest = "SELECT row FROM known WHERE path = ? ORDER BY rowid DESC LIMIT 1"
        while batch := cursor.fetchmany(_BATCH):
            for path, values in batch:
                known = self._base.execute(latest, (path,)).fetchone()
                yield path, msgpack.unpackb(values), msgpack.unpackb(known[0]) if known else None

    def add_made(self, row: Row) -> None:
        """Add a row of the new inventory."""
        self._base.execute("INSERT INTO made VALUES (?, ?, ?)", (row["sha256"], row["path"], msgpack.packb(row)))

    def made(self) -> Iterator[Row]:
        """The rows of the new inventory, by (sha256, path)."""
        cursor = self._base.execute("SELECT row FROM made ORDER BY sha256, path")
        while batch := cursor.fetchmany(_BATCH):
            for (row,) in batch:
                yield msgpack.unpackb(row)
