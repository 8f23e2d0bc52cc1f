"""What a ledger says: requests, tokens and money by stage, model and outcome. Reads beside a running build."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MMProLongError
from .ledger import IN_FLIGHT, LOST, check_version, connect

UNCERTAIN = ("timeout", "connection", "garbage", "server_error", "cancelled", LOST, IN_FLIGHT)
"""Outcomes without a reply: the endpoint may have billed some of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """Attempts of one stage and model with one outcome. ``cost`` is in US dollars, None if no price is known."""

    stage: str
    model: str
    outcome: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A ledger's content.

    Attributes:
        rows: Attempts by stage, model and outcome.
        calls: Stored calls by stage, model and status.
        unknown: Attempts without a reply (``lost``, ``cancelled`` or ``in_flight``) with what they were about: they may
            have been paid.
        waiting: Requests in batches whose results have not been taken.
    """

    rows: list[Row] = field(default_factory=list)
    calls: list[tuple[str, str, str, int]] = field(default_factory=list)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0

    @property
    def cost(self) -> float | None:
        """US dollars of all attempts; None if a paid model has no price."""
        known = [row.cost for row in self.rows if row.cost is not None]
        unpriced = any(row.cost is None and row.input_tokens for row in self.rows)
        return None if unpriced and not known else sum(known)

    @property
    def attempts(self) -> int:
        """All attempts."""
        return sum(row.attempts for row in self.rows)

    @property
    def uncertain(self) -> int:
        """Attempts that may have been billed although no reply arrived."""
        return sum(row.attempts for row in self.rows if row.outcome in UNCERTAIN)


def read_summary(path: Path) -> Summary:
    """Sum a ledger up.

    Raises:
        MMProLongError: There is none, or it is damaged.
    """
    if not path.is_file():
        raise MMProLongError(f"{path}: there is no ledger. No model was asked there")
    try:
        db = connect(path, read_only=True)
        try:
            check_version(db, path)
            return _read(db)
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise MMProLongError(f"{path}: not a ledger, or damaged: {error}") from None


def _read(db: sqlite3.Connection) -> Summary:
    rows = db.execute(
        "select stage, model, outcome, count(*), sum(input_tokens), sum(output_tokens), sum(cost) from attempts"
        " group by stage, model, outcome order by stage, model, outcome"
    ).fetchall()
    calls = db.execute(
        "select stage, model, status, count(*) from calls group by stage, model, status order by stage, model, status"
    ).fetchall()
    columns = ("key", "stage", "model", "about", "outcome", "started")
    unknown = db.execute(
        f"select {', '.join(columns)} from attempts where batch = ''"
        f" and outcome in ('{LOST}', '{IN_FLIGHT}', 'cancelled') order by id"
    ).fetchall()
    waiting = db.execute("select count(*) from batch_items").fetchone()[0]
    return Summary(
        [Row(*row) for row in rows],
        [(str(stage), str(model), str(status), int(count)) for stage, model, status, count in calls],
        [dict(zip(columns, row, strict=True)) for row in unknown],
        int(waiting),
    )
