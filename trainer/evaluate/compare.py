"""Two runs on the same items: paired differences, and whether they are more than noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError

from .items import length_name
from .report import read_summary, render, write_text
from .scoring import Scored, read_scores
from .statistics import estimate
from .summary import Rules, counts_of, headline_of, strata_of

COMPARISON_NAME = "comparison.html"


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both runs, in points of 100. ``difference`` is B - A with its 95 % interval."""

    name: str
    n: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    verdict: str


def compare(a: Path, b: Path) -> dict[str, Any]:
    """Compare two runs.

    Only items that both have are compared, paired by key.

    Raises:
        FormatError: one of the folders holds no evaluation.
        MMProLongError: the runs are of other suites or data, or have no item in common.
    """
    runs = [read_summary(folder)["run"] for folder in (a, b)]
    for name in ("suite", "digest", "compat"):
        if runs[0][name] != runs[1][name]:
            raise MMProLongError(
                f"{a} and {b} cannot be compared: {name} is {runs[0][name]!r} and {runs[1][name]!r}."
                " Remedy: evaluate both on the same data"
            )
    first, second = ({row.key: row for row in read_scores(folder)} for folder in (a, b))
    keys = [key for key in first if key in second]
    if not keys:
        raise MMProLongError(f"{a} and {b} have no item in common")
    if runs[0]["drops_empty"]:  # the published rules would compare different items; pairs need both
        keys = [key for key in keys if "empty" not in (first[key].status, second[key].status)]
    pairs = [(first[key], second[key]) for key in keys]
    rules = Rules(runs[0]["macro"], tuple(runs[0]["headline"]))
    tasks = sorted({row.task for row, _ in pairs})
    lengths = sorted({row.length for row, _ in pairs})
    headline = {row.key for row in headline_of([row for row, _ in pairs], rules)}
    notes = []
    only = (len(first) - len(keys), len(second) - len(keys))
    if any(only):
        notes.append(f"Items that only one run has, or that a rule leaves out: {only[0]} of A, {only[1]} of B.")
    scorers = [sorted({row.scorer for row in side.values()}) for side in (first, second)]
    if scorers[0] != scorers[1]:
        notes.append(f"The runs were scored by different rules: {', '.join(scorers[0])} and {', '.join(scorers[1])}.")
    return {
        "a": {"folder": str(a), "model": runs[0]["model"], "counts": counts_of([row for row, _ in pairs])},
        "b": {"folder": str(b), "model": runs[1]["model"], "counts": counts_of([row for _, row in pairs])},
        "suite": runs[0]["suite"],
        "overall": _rows(["overall"], lambda row: row.key in headline, pairs, rules.macro, constant=True)[0],
        "lengths": _rows(lengths, lambda row: row.length, pairs, rules.macro) if lengths != [0] else [],
        "tasks": _rows(tasks, lambda row: row.task, pairs, "items"),
        "formats": _groups("format", pairs),
        "evidence": _groups("evidence", pairs),
        "notes": notes,
    }


def write_comparison(path: Path, comparison: dict[str, Any]) -> None:
    """Write the comparison as one HTML page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render("compare.html.j2", comparison=comparison))


def difference_of(name: str, pairs: Sequence[tuple[Scored, Scored]], macro: str) -> Difference:
    """The paired difference of some items."""
    other = {a.key: b.score for a, b in pairs}
    left = [a for a, _ in pairs]
    figures = estimate(strata_of(left, macro, lambda row: other[row.key] - row.score))
    a, b = (
        sum(s.weight * float(s.values.mean()) for s in strata_of(left, macro, value))
        for value in (lambda row: row.score, lambda row: other[row.key])
    )
    verdict = "noise" if figures.is_noise else ("B is better" if figures.mean > 0 else "A is better")
    low, high = figures.low, figures.high
    a, b, mean, low, high = (round(100 * value, 4) for value in (a, b, figures.mean, low, high))
    return Difference(name, len(pairs), a, b, mean, low, high, verdict)


def _groups(group: str, pairs: Sequence[tuple[Scored, Scored]]) -> list[dict[str, Any]]:
    names = sorted({row.groups.get(group, "") for row, _ in pairs})
    return _rows(names, lambda row: row.groups.get(group, ""), pairs, "items")


def _rows(
    names: Sequence[Any],
    key: Callable[[Scored], Any],
    pairs: Sequence[tuple[Scored, Scored]],
    macro: str,
    constant: bool = False,
) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        chosen = [pair for pair in pairs if key(pair[0]) == (True if constant else name)]
        title = length_name(name) if isinstance(name, int) else name
        rows.append(asdict(difference_of(title, chosen, macro)))
    return rows
