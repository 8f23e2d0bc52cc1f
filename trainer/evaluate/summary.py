"""What the scores add up to: rows with n, intervals and the counts of what went wrong, in every split that is shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .items import length_name
from .scoring import Scored
from .statistics import Stratum, estimate

MOST_DEPTHS = 12
"""More different depths are gathered into tenths."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How scores are put together (see ``items.Suite``)."""

    macro: str = "tasks"
    headline: tuple[int, ...] = ()
    drops_empty: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. Scores, interval and chance are percentages."""

    name: str
    n: int
    score: float
    low: float
    high: float
    n_empty: int
    n_error: int
    n_judge_failed: int
    chance: float


def row_of(name: str, scored: Sequence[Scored], rules: Rules, macro: str = "items") -> Row | None:
    """The figure of some items; None if there is none.

    Args:
        name: What it is of.
        scored: The items.
        rules: ``drops_empty`` leaves empty replies out of the mean (never out of the counts).
        macro: How cells are weighted.
    """
    counted = [row for row in scored if not (rules.drops_empty and row.status == "empty")]
    if not scored:
        return None
    if counted:
        figure = estimate(strata_of(counted, macro, lambda row: row.score))
        guess = sum(s.weight * float(s.values.mean()) for s in strata_of(counted, macro, lambda row: row.chance))
        values = [100 * value for value in (figure.mean, figure.low, figure.high, guess)]
    else:
        values = [0.0] * 4
    score, low, high, chance = (round(value, 4) for value in values)
    return Row(name=name, score=score, low=low, high=high, chance=chance, **counts_of(scored))


def counts_of(scored: Sequence[Scored]) -> dict[str, int]:
    """How many items there are, and how many of them have no score of their own: ``n``, ``n_empty`` ..."""
    statuses = Counter(row.status for row in scored)
    return {"n": len(scored)} | {f"n_{status}": statuses[status] for status in ("empty", "error", "judge_failed")}


def strata_of(scored: Sequence[Scored], macro: str, value: Callable[[Scored], float]) -> list[Stratum]:
    """The cells of some items with their weights: the same weights for the same composition."""
    cells: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in scored:
        cells[0 if macro == "families" else row.length, row.task].append(value(row))
    lengths = Counter(length for length, _ in cells)
    families = Counter(_family(task) for _, task in cells)
    strata = []
    for (length, task), values in sorted(cells.items()):
        if macro == "tasks":  # the mean over lengths of the mean over tasks
            weight = 1 / (len(lengths) * lengths[length])
        elif macro == "families":
            weight = 1 / (len(families) * families[_family(task)])
        else:
            weight = len(values) / len(scored)
        strata.append(Stratum(weight, np.array(values)))
    return strata


def headline_of(scored: Sequence[Scored], rules: Rules) -> list[Scored]:
    """The items that make up the overall score."""
    chosen = [row for row in scored if row.length in rules.headline]
    return chosen or list(scored)


def summarize(scored: Sequence[Scored], rules: Rules) -> dict[str, Any]:
    """Everything a report shows, as plain values; a pure function of scores and rules."""
    lengths = sorted({row.length for row in scored})
    tasks = sorted({row.task for row in scored})

    def rows(names: Iterable[Any], key: Callable[[Scored], Any], macro: str = "items") -> list[dict[str, Any]]:
        made = (row_of(_name(name), [row for row in scored if key(row) == name], rules, macro) for name in names)
        return [asdict(row) for row in made if row is not None]

    def grouped(name: str) -> list[dict[str, Any]]:
        values = sorted({row.groups.get(name, "") for row in scored})
        return rows(values, lambda row: row.groups.get(name, ""))

    overall = row_of("overall", headline_of(scored, rules), rules, rules.macro)
    groups = sorted({name for row in scored for name in row.groups})
    summary: dict[str, Any] = {
        "overall": asdict(overall) if overall else None,
        "tasks": rows(tasks, lambda row: row.task),
        "lengths": rows(lengths, lambda row: row.length, rules.macro) if lengths != [0] else [],
        "cells": {
            task: {
                str(length): asdict(made)
                for length in lengths
                if (made := row_of(task, [r for r in scored if (r.task, r.length) == (task, length)], rules))
            }
            for task in tasks
        },
        "groups": {name: grouped(name) for name in groups},
        "depths": depth_tables(scored, rules),
        "scorers": sorted({row.scorer for row in scored}),
    }
    if any(not row.answerable for row in scored):
        summary["f1"] = answerable_f1(scored)
    return summary


def depth_tables(scored: Sequence[Scored], rules: Rules) -> dict[str, Any]:
    """Depth x length, for all tasks together and each: ``{"all": {"lengths", "depths", "rows": [[cell | None]]}}``."""
    placed = [row for row in scored if row.depth is not None]
    if not placed:
        return {}
    different = sorted({round(row.depth or 0.0, 4) for row in placed})
    binned = len(different) > MOST_DEPTHS

    def place(row: Scored) -> float:
        depth = row.depth or 0.0
        return min(9, int(depth * 10)) / 10 if binned else round(depth, 4)

    depths = sorted({place(row) for row in placed})
    lengths = sorted({row.length for row in placed})
    names = [f"{10 * round(d * 10)}-{10 * round(d * 10) + 10} %" if binned else f"{100 * d:.0f} %" for d in depths]
    tables = {}
    for task in ("all", *sorted({row.task for row in placed})):
        cells: dict[tuple[float, int], list[Scored]] = defaultdict(list)
        for row in placed:
            if task in ("all", row.task):
                cells[place(row), row.length].append(row)
        grid = [[_cell(cells.get((d, n), []), rules) for n in lengths] for d in depths]
        tables[task] = {"lengths": [length_name(n) for n in lengths], "depths": names, "rows": grid}
    return tables if len(tables) > 2 else {"all": tables["all"]}


def answerable_f1(scored: Sequence[Scored]) -> dict[str, float]:
    """MMLongBench-Doc's F1: recall over the answerable questions, precision over the replies that do not refuse."""
    right = sum(row.score for row in scored if row.answerable)
    answerable = sum(row.answerable for row in scored)
    replied = sum(not row.refused for row in scored)
    recall, precision = right / max(1, answerable), right / max(1, replied)
    f1 = 2 * recall * precision / (recall + precision) if right else 0.0
    return {"recall": 100 * recall, "precision": 100 * precision, "f1": 100 * f1}


def _cell(scored: Sequence[Scored], rules: Rules) -> dict[str, Any] | None:
    counted = [row.score for row in scored if not (rules.drops_empty and row.status == "empty")]
    return {"n": len(scored), "score": round(100 * sum(counted) / len(counted), 2)} if counted else None


def _family(task: str) -> str:
    return task.partition("-")[0]


def _name(value: Any) -> str:
    return length_name(value) if isinstance(value, int) else str(value)
