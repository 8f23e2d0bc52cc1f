"""Several ledgers become one: replies, attempts and open batches of one are taken in by another, once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import MMProLongError
from .ledger import TAKEN_IN, Ledger
from .ledger_file import check_version, connect, lock_ledger

_COPY = """
insert into runs (id, started, ended, why) select id + :runs, started, ended, why from other.runs;
insert into attempts (id, run, key, stage, model, endpoint, about, started, ended, outcome, http, detail, input_tokens,
  output_tokens, cost, batch) select id + :attempts, run + :runs, key, stage, model, endpoint, about, started, ended,
  outcome, http, detail, input_tokens, output_tokens, cost, batch from other.attempts;
insert or ignore into calls select * from other.calls;
insert or ignore into batches select * from other.batches;
insert or ignore into batch_items select key, batch, attempt + :attempts from other.batch_items;
insert or ignore into meta select name, value from other.meta where value = :taken;
insert into meta values (:name, :taken)
"""


def take_in(into: Path, others: list[Path]) -> None:
    """Move the content of ledgers into one and remove their files. Can be interrupted anywhere and called again.

    Args:
        into: Created if need be.
        others: Nobody may use them.

    Raises:
        LedgerInUse: One is used.
        MMProLongError: One is damaged or of another version.
    """
    for path in others:
        if not path.is_file():
            continue
        Ledger(path).close("taken in")  # ends what a kill has left open
        ledger = Ledger(into)
        try:
            with lock_ledger(path):
                _copy(ledger.connection, path)
                remove(path)
        except sqlite3.DatabaseError as error:
            raise MMProLongError(f"{path}: not a ledger, or damaged: {error}. Remedy: move it away") from None
        finally:
            ledger.close("took another ledger in")


def settle(path: Path) -> None:
    """Bring a ledger into one file that can be read without locks as long as nobody writes to it."""
    if path.is_file():
        Ledger(path).close("settled")  # of this version, and with nothing that a kill has left open
        with lock_ledger(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("pragma journal_mode = delete")


def has_open_batches(path: Path) -> bool:
    """True if requests of a ledger wait in batches at an endpoint."""
    if not path.is_file():
        return False
    with closing(connect(path, read_only=True)) as db:
        check_version(db, path)
        return bool(db.execute("select 1 from batch_items limit 1").fetchone())


def remove(path: Path) -> None:
    """Remove the files of a ledger; its lock file goes last."""
    for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, path: Path) -> None:
    db.execute("attach ? as other", (str(path),))
    try:
        name = str(db.execute("select value from other.meta where name = 'name'").fetchone()[0])
        if db.execute("select 1 from meta where name = ?", (name,)).fetchone():
            return  # interrupted after the copy, before the removal
        counts = {
            table: db.execute(f"select coalesce(max(id), 0) from {table}").fetchone()[0]
            for table in ("runs", "attempts")
        }
        with db:
            db.execute("begin immediate")
            for statement in _COPY.split(";"):
                db.execute(statement, counts | {"name": name, "taken": TAKEN_IN})
    finally:
        db.execute("detach other")
