"""One evaluation from a suite and a backend to files: replies, scores, summary, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backends.base import Backend
from .items import Suite, length_name
from .published_results import beside_the_paper
from .report import misses_of, write_report
from .results import Result, ResultStore
from .runner import Progress, answer_all
from .scoring import Judge, Scored, score_all, write_scores
from .suites import check_keys
from .summary import Rules, summarize

_MEANS = {
    "tasks": "Overall: the mean over lengths of the mean over tasks.",
    "items": "Overall: the mean over all items.",
    "families": "Overall: the mean over families of the mean over their tasks.",
}
_NO_JUDGE = "The published scores are a judge's; these are not (--judge)."


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: ``summary`` as in ``summary.json``."""

    summary: dict[str, Any]
    scored: Sequence[Scored]
    results: Sequence[Result]


def evaluate(
    suite: Suite,
    backend: Backend,
    folder: Path,
    *,
    scorer: str = "",
    compat: bool = False,
    judge: Judge | None = None,
    judge_label: str = "",
    progress: Progress = lambda done, total, errors: None,
) -> Evaluation:
    """Ask about every item, score the replies, write the report.

    Run again with the same folder, it asks about what has no reply yet, and writes equal files where nothing is new.

    Args:
        suite: The items.
        backend: Who answers.
        folder: For the files.
        scorer, compat, judge: See ``scoring.score_all``.
        judge_label: For the report.
        progress: See ``runner.Progress``.

    Raises:
        MMProLongError: the backend or the judge cannot be used, or the folder is in use.
    """
    check_keys(suite)
    with ResultStore(folder) as store:
        results = answer_all(suite.items, backend, store, progress)
        return report_on(suite, results, backend, folder, scorer, compat, judge, judge_label)


def report_on(
    suite: Suite,
    results: Sequence[Result],
    backend: Backend,
    folder: Path,
    scorer: str = "",
    compat: bool = False,
    judge: Judge | None = None,
    judge_label: str = "",
) -> Evaluation:
    """Score replies and write ``scores.jsonl``, ``summary.json`` and ``report.html``."""
    scored = score_all(suite, results, scorer, compat, judge)
    rules = Rules(suite.macro, suite.headline, compat and suite.drops_empty)
    summary = summarize(scored, rules)
    means = _MEANS[suite.macro]
    if suite.headline:
        means = means[:-1] + f", of the lengths {', '.join(map(length_name, suite.headline))} where they are there."
    run: dict[str, Any] = {
        "suite": suite.name,
        "digest": suite.digest,
        "model": backend.name,
        "settings": backend.settings(),
        "asked": len(suite.items),
        "macro": suite.macro,
        "headline": list(suite.headline),
        "compat": compat,
        "drops_empty": rules.drops_empty,
        "judge": judge_label,
        "notes": [*suite.notes, *([_NO_JUDGE] if compat and suite.judged and judge is None else [])],
        "overall_means": means,
        "beside": beside_the_paper(suite.name, scored, rules),
    }
    if "f1" in summary:
        run["f1"] = summary.pop("f1")
    summary["run"] = run
    write_scores(folder, scored)
    write_report(folder, summary, misses_of(suite.items, results, scored))
    return Evaluation(summary, scored, results)
