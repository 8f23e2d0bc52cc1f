"""What a ledger says: requests, tokens and money by stage, model and outcome. Reads beside a running build."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import MMProLongError
from .ledger import IN_FLIGHT, LOST
from .ledger_file import check_version, connect

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

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Summary:
        """The inverse of ``dataclasses.asdict``."""
        calls = [(str(stage), str(model), str(status), int(count)) for stage, model, status, count in value["calls"]]
        return cls([Row(**row) for row in value["rows"]], calls, value["unknown"], value["waiting"])


def merged(summaries: Iterable[Summary]) -> Summary:
    """What several ledgers say together."""
    rows: dict[tuple[str, str, str], Row] = {}
    calls: Counter[tuple[str, str, str]] = Counter()
    unknown: list[dict[str, Any]] = []
    waiting = 0
    for summary in summaries:
        for row in summary.rows:
            key = (row.stage, row.model, row.outcome)
            rows[key] = _added(rows[key], row) if key in rows else row
        for *call, count in summary.calls:
            calls[call[0], call[1], call[2]] += count
        unknown += summary.unknown
        waiting += summary.waiting
    return Summary(
        [rows[key] for key in sorted(rows)], [(*call, count) for call, count in sorted(calls.items())], unknown, waiting
    )


def _added(one: Row, other: Row) -> Row:
    costs = [row.cost for row in (one, other) if row.cost is not None]
    return replace(
        one,
        attempts=one.attempts + other.attempts,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost=sum(costs) if costs else None,
    )


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
            return summarize(db)
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise MMProLongError(f"{path}: not a ledger, or damaged: {error}") from None


def summarize(db: sqlite3.Connection) -> Summary:
    """Sum up a ledger that is open."""
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
