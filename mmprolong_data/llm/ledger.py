"""The ledger: every reply and attempt in one SQLite file (WAL), so that nothing is lost and nothing paid twice."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MMProLongError
from .ledger_file import SCHEMA_VERSION, UPGRADES, LedgerFile, check_version, connect, lock_ledger
from .types import Endpoint, Request, Usage

TAKEN_IN = "taken in"
"""Value in ``meta`` of the names of ledgers whose content was taken in (``merge.take_in``)."""
IN_FLIGHT = "in_flight"
LOST = "lost"
"""Outcome of an attempt that was under way when its process was killed: it may have been paid, its reply is gone."""

_TABLES = """
create table meta (name text primary key, value text not null) without rowid;
create table runs (id integer primary key, started real not null, ended real, why text not null default '');
create table calls (
    key text primary key, stage text not null, model text not null, endpoint text not null, about text not null,
    status text not null, text text not null, detail text not null, stored real not null,
    served text not null default ''
) without rowid;
create table attempts (
    id integer primary key, run integer not null, key text not null, stage text not null, model text not null,
    endpoint text not null, about text not null, started real not null, ended real, outcome text not null,
    http integer, detail text not null default '', input_tokens integer not null default 0,
    output_tokens integer not null default 0, cost real, batch text not null default ''
);
create index attempts_by_outcome on attempts (outcome);
create table batches (
    name text primary key, id text not null default '', endpoint text not null, model text not null,
    status text not null, input_file text not null default '', created real not null, detail text not null default ''
) without rowid;
create table batch_items (
    key text primary key, batch text not null, attempt integer not null
) without rowid;
create index items_by_batch on batch_items (batch);
"""
_INSERT = (
    "insert into attempts (run, key, stage, model, endpoint, about, started, outcome, batch)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A request that needs not be asked again.

    ``status`` is ``ok``, or why there will never be a value; ``served`` the model's name as the endpoint reported it.
    """

    status: str
    text: str
    detail: str
    served: str


class Ledger:
    """Replies by content key, and all attempts; for one process at a time, and for one thread of it.

    Every write is a transaction of its own: what a method has stored survives a kill of the process. (A power cut may
    take the last moments with it: the write-ahead log is not forced to the disk every time.) Prompts are not stored,
    nor is any API key.

    Args:
        file: Created with its folder if need be.

    Raises:
        LedgerInUse: Another process uses it.
        MMProLongError: It is no ledger of this version.
    """

    def __init__(self, file: Path | LedgerFile) -> None:
        file = file if isinstance(file, LedgerFile) else LedgerFile(file)
        path, before = file.path, file.before
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = lock_ledger(path)
        self._before: sqlite3.Connection | None = None
        try:
            self._db = connect(path, alone=file.alone)
            with self._db:
                self._db.execute("begin immediate")
                if not self._db.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
                    for statement in filter(str.strip, _TABLES.split(";")):
                        self._db.execute(statement)
                    self._db.execute("insert into meta values ('version', ?)", (str(SCHEMA_VERSION),))
                    self._db.execute("insert into meta values ('name', ?)", (uuid.uuid4().hex,))
                self._upgrade()
            check_version(self._db, path)
            self.name = str(self._db.execute("select value from meta where name = 'name'").fetchone()[0])
            if before is not None and before.is_file():
                self._before = connect(before, read_only=True, settled=True)
                check_version(self._before, before)
            # Attempts of a batch go on at the server, whatever happens to the process.
            self._db.execute(
                f"update attempts set outcome = '{LOST}', ended = ? where outcome = '{IN_FLIGHT}' and batch = ''",
                (time.time(),),
            )
            self._run = self._db.execute("insert into runs (started) values (?)", (time.time(),)).lastrowid or 0
        except sqlite3.DatabaseError as error:
            self._lock.close()
            raise MMProLongError(f"{path}: not a ledger, or damaged: {error}. Remedy: move it away") from None
        except MMProLongError:
            self._lock.close()
            raise

    def find(self, key: str) -> StoredCall | None:
        """The stored call, or None if it has to be asked."""
        for db in (self._db, self._before):
            if db is not None:
                row = db.execute("select status, text, detail, served from calls where key = ?", (key,)).fetchone()
                if row:
                    return StoredCall(*row)
        return None

    def names(self) -> set[str]:
        """Its own name, and those of the ledgers that it has taken in."""
        rows = self._db.execute("select name from meta where value = ?", (TAKEN_IN,)).fetchall()
        return {self.name, *(str(name) for (name,) in rows)}

    @property
    def connection(self) -> sqlite3.Connection:
        """To look at; writing is for the methods here."""
        return self._db

    def begin(self, request: Request, key: str, batch: str = "") -> int:
        """Note an attempt before it is sent. Returns its number."""
        return self._db.execute(_INSERT, self._attempt(request, key, batch)).lastrowid or 0

    def end(self, attempt: int, outcome: str, *, http: int | None = None, detail: str = "", usage: Usage) -> None:
        """Note what became of an attempt that gave nothing to store."""
        self._end(attempt, outcome, http, detail, usage)

    def store(
        self,
        attempt: int,
        request: Request,
        key: str,
        status: str,
        text: str,
        detail: str,
        usage: Usage,
        served: str = "",
    ) -> None:
        """Note an attempt's outcome and keep the call for ever, in one transaction.

        Args:
            attempt: From ``begin``.
            request: What was asked.
            key: Its content key.
            status: ``ok``, or why there will never be a value.
            text: The model's text.
            detail: More about a failure.
            usage: What the attempt took.
            served: The model's name as the endpoint reported it.
        """
        with self._db:
            self._db.execute("begin immediate")
            self._end(attempt, status, 200 if text else None, detail, usage)
            self._db.execute(
                "insert or replace into calls values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key, request.stage, request.endpoint.model, request.endpoint.base_url, request.about,
                    status, text, detail, time.time(), served,
                ),
            )  # fmt: skip
            self._db.execute("delete from batch_items where key = ?", (key,))

    def forget_refusals(self, endpoint: Endpoint) -> None:
        """Drop this run's refusals by an endpoint that turned out to refuse everything."""
        self._db.execute(
            "delete from calls where status = 'refused' and model = ? and endpoint = ?"
            " and stored >= (select started from runs where id = ?)",
            (endpoint.model, endpoint.base_url, self._run),
        )

    def begin_batch(self, name: str, items: Sequence[tuple[str, Request]]) -> dict[str, int]:
        """Note a batch and the attempts in it before anything is sent. Returns key -> attempt."""
        endpoint = items[0][1].endpoint
        attempts: dict[str, int] = {}
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute(
                "insert into batches (name, endpoint, model, status, created) values (?, ?, ?, 'prepared', ?)",
                (name, endpoint.base_url, endpoint.model, time.time()),
            )
            for key, request in items:
                attempts[key] = self._db.execute(_INSERT, self._attempt(request, key, name)).lastrowid or 0
                self._db.execute("insert or replace into batch_items values (?, ?, ?)", (key, name, attempts[key]))
        return attempts

    def update_batch(self, name: str, **values: str) -> None:
        """Change ``id``, ``status`` or ``input_file`` of a batch."""
        assert set(values) <= {"id", "status", "input_file"}
        sets = ", ".join(f"{column} = ?" for column in values)
        self._db.execute(f"update batches set {sets} where name = ?", (*values.values(), name))

    def void_batch(self, name: str, outcome: str, detail: str) -> None:
        """Close a batch that never came into being: its attempts end with ``outcome``."""
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute("update batches set status = 'void', detail = ? where name = ?", (detail, name))
            self._db.execute(
                f"update attempts set outcome = ?, ended = ?, detail = ? where batch = ? and outcome = '{IN_FLIGHT}'",
                (outcome, time.time(), detail, name),
            )
            self._db.execute("delete from batch_items where batch = ?", (name,))

    def drop_item(self, key: str) -> None:
        """A key is no longer awaited from its batch."""
        self._db.execute("delete from batch_items where key = ?", (key,))

    def open_batches(self) -> list[dict[str, Any]]:
        """Batches with results that are not stored: ``name, id, endpoint``, and ``items``: key -> attempt."""
        columns = ("name", "id", "endpoint")
        rows = self._db.execute(
            f"select {', '.join(columns)} from batches where status in ('prepared', 'submitted') order by created, name"
        ).fetchall()
        batches = [dict(zip(columns, row, strict=True)) for row in rows]
        for batch in batches:
            found = self._db.execute(
                "select key, attempt from batch_items where batch = ?", (batch["name"],)
            ).fetchall()
            batch["items"] = dict(found)
        return batches

    def close(self, why: str = "") -> None:
        """End the run and let others use the file. ``why`` says how it ended."""
        self._db.execute("update runs set ended = ?, why = ? where id = ?", (time.time(), why, self._run))
        self._db.close()
        if self._before is not None:
            self._before.close()
        self._lock.close()

    def _upgrade(self) -> None:
        version = self._db.execute("select value from meta where name = 'version'").fetchone()
        for statement in UPGRADES.get(version[0], ()) if version else ():
            self._db.execute(statement)
            self._db.execute("update meta set value = ? where name = 'version'", (str(int(version[0]) + 1),))

    def _attempt(self, request: Request, key: str, batch: str) -> tuple[Any, ...]:
        endpoint = request.endpoint
        return (
            self._run, key, request.stage, endpoint.model, endpoint.base_url, request.about, time.time(), IN_FLIGHT,
            batch,
        )  # fmt: skip

    def _end(self, attempt: int, outcome: str, http: int | None, detail: str, usage: Usage) -> None:
        self._db.execute(
            "update attempts set ended = ?, outcome = ?, http = ?, detail = ?, input_tokens = ?, output_tokens = ?,"
            " cost = ? where id = ?",
            (time.time(), outcome, http, detail, usage.input_tokens, usage.output_tokens, usage.cost, attempt),
        )
