"""One evaluation from a suite and a backend to files: replies, scores, summary, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, MMProLongError, SettingsError

from .backends.base import Backend
from .items import Suite, length_name
from .published_results import beside_the_paper
from .report import misses_of, write_report, write_text
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


RUN_NAME = "run.json"
"""What a folder was begun with."""


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


def claim(folder: Path, suite: Suite, backend: Backend) -> None:
    """Note what a folder is for, before the first reply; refuse one that was begun with something else.

    Some of the items, another scorer or a judge are no other evaluation: replies are kept and scored anew.

    Raises:
        SettingsError: another suite, other data, or other settings of the model; says which.
        MMProLongError: the folder cannot be written.
    """
    run = {"suite": suite.name, "digest": suite.digest, **backend.settings()}
    path = folder / RUN_NAME
    try:
        known = json.loads(path.read_bytes())
        differs = [name for name in sorted({*known, *run}) if known.get(name) != run.get(name)]
    except FileNotFoundError:
        differs = []
        _refuse_full(folder)
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: damaged ({error}). Remedy: another --out, or remove {folder}") from None
    if differs:
        told = "; ".join(f"{name}: {known.get(name)!r}, now {run.get(name)!r}" for name in differs)
        raise SettingsError(f"{folder}: was begun with other settings ({told}). Remedy: another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(run, sort_keys=True, ensure_ascii=False) + "\n")
    except OSError as error:
        raise MMProLongError(f"{folder}: cannot be written: {error.strerror}") from None


def _refuse_full(folder: Path) -> None:
    """A folder that holds something else (the suite, a corpus) is not written into. Ledgers are opened before."""
    try:
        names = sorted(path.name for path in folder.iterdir())
        found = next((name for name in names if not name.startswith(".") and ".sqlite" not in name), None)
    except OSError:
        return  # not there yet, or for mkdir to report
    if found:
        raise SettingsError(f"{folder}: holds {found}, and no evaluation. Remedy: an empty or a new folder as --out")


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
