"""The file of a ledger: who may open it at a time, how it is opened, and whether it is one of this version."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import MMProLongError

SCHEMA_VERSION = 2
UPGRADES = {"1": ("alter table calls add column served text not null default ''",)}
"""Version -> what makes it the next one."""


class LedgerInUse(MMProLongError):
    """Another process uses the ledger."""


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A ledger and how it is used.

    Attributes:
        path: The file.
        alone: Nobody reads it while it is open. So it may lie on storage that several machines share: the write-ahead
            log then needs no memory shared between processes, which SQLite can offer on one machine only.
        before: Another ledger, whose replies need not be asked for again. Nobody may write to it meanwhile.
    """

    path: Path
    alone: bool = False
    before: Path | None = None


def connect(path: Path, read_only: bool = False, *, alone: bool = False, settled: bool = False) -> sqlite3.Connection:
    """Open the file; autocommit, so that transactions are where they are written.

    Args:
        path: The file.
        read_only: Change nothing.
        alone: Keep all others out.
        settled: With ``read_only``: nobody writes, so that no lock and no shared memory is needed.
    """
    if read_only:
        how = "mode=ro&immutable=1" if settled else "mode=ro"
        uri = f"{path.absolute().as_uri()}?{how}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    if alone:
        db.execute("pragma locking_mode = exclusive")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = normal")
    return db


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a ledger of another version, unless it is one that opening it for writing upgrades."""
    version = db.execute("select value from meta where name = 'version'").fetchone()
    if version is None or version[0] not in (str(SCHEMA_VERSION), *UPGRADES):
        raise MMProLongError(f"{path}: a ledger of another version of mmprolong. Remedy: use that version")


def lock_ledger(path: Path) -> IO[str]:
    """Keep other processes from a ledger until the stream is closed.

    Raises:
        LedgerInUse: One uses it.
    """
    stream = path.with_name(path.name + ".lock").open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise LedgerInUse(
            f"{path}: another process ({holder}) uses this ledger. Remedy: wait for it, or use another ledger"
        ) from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream
