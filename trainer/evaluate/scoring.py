"""From replies to scores: every item gets exactly one, and a word on how it came about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mmprolong_data.errors import FormatError

from .items import Item, Suite
from .results import Result
from .scorers import Scorer, scorer_named

SCORES_NAME = "scores.jsonl"
STATUSES = ("ok", "empty", "error", "judge_failed")
"""ok: scored; empty: the model said nothing; error: no reply; judge_failed: the judge gave nothing usable. All but ok
score 0."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One item with its score.

    Attributes:
        key, task, length, depth: Of the item.
        score: In [0, 1].
        status: One of ``STATUSES``.
        scorer: Name and version of the rule.
        chance: Expected score of a guess.
        answerable: Whether anything answers the question.
        refused: Whether the reply says that nothing does.
        groups: Further splits; ``evidence`` (number of evidence pages) and ``format`` are always there.
    """

    key: str
    task: str
    length: int
    depth: float | None
    score: float
    status: str
    scorer: str
    chance: float
    answerable: bool
    refused: bool
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge made of a reply: a score, or a better reply for the rule to score, or None for both: it failed."""

    score: float | None = None
    reply: str | None = None
    label: str = ""


class Judge(Protocol):
    """Judges many replies; ``None`` where a reply needs no judge."""

    def judge(self, items: Sequence[Item], replies: Sequence[str]) -> list[Judgement | None]:
        """A judgement for each item, in order."""


def score_all(
    suite: Suite, results: Sequence[Result], scorer: str = "", compat: bool = False, judge: Judge | None = None
) -> list[Scored]:
    """Score every item of a suite.

    Args:
        suite: The items.
        results: Their replies, in order.
        scorer: The rule for all items; "": each item's own (with ``compat``: the published one).
        compat: Follow the published rules of the suite.
        judge: Asked about every reply that is neither empty nor an error.

    Raises:
        SettingsError: an unknown scorer.
    """
    items = suite.items
    chosen = scorer or (suite.compat_scorer if compat else "")
    verdicts: list[Judgement | None] = [None] * len(items)
    if judge is not None:
        asked = [n for n, result in enumerate(results) if not result.error and result.output.strip()]
        answers = judge.judge([items[n] for n in asked], [results[n].output for n in asked])
        for number, verdict in zip(asked, answers, strict=True):
            verdicts[number] = verdict
    return [
        _score(item, result, scorer_named(chosen or item.scorer), verdict)
        for item, result, verdict in zip(items, results, verdicts, strict=True)
    ]


def write_scores(folder: Path, scored: Sequence[Scored]) -> None:
    """Write ``scores.jsonl``: one line an item, in the suite's order; equal scores give equal bytes."""
    lines = [json.dumps(asdict(row), sort_keys=True, ensure_ascii=False) + "\n" for row in scored]
    temporary = folder / f"{SCORES_NAME}.tmp"
    temporary.write_text("".join(lines), encoding="utf-8", errors="replace")
    temporary.replace(folder / SCORES_NAME)


def read_scores(folder: Path) -> list[Scored]:
    """The scores of a run.

    Raises:
        FormatError: there are none, or a line is damaged.
    """
    path = folder / SCORES_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Scored(**json.loads(line)) for line in lines]
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(
            f"{folder}: no evaluation here ({SCORES_NAME} is missing). Remedy: mmprolong evaluate"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: damaged ({error}). Remedy: run the same evaluation again") from None


def _score(item: Item, result: Result, scorer: Scorer, verdict: Judgement | None) -> Scored:
    label, status, score = scorer.label, "ok", 0.0
    reply = result.output
    if result.error:
        status = "error"
    elif not reply.strip():
        status = "empty"
    elif verdict is not None:
        label = verdict.label or label
        if verdict.score is not None:
            score = verdict.score
        elif verdict.reply is not None:
            reply = verdict.reply
            score = scorer.score(item.answer, reply, item.answer_format)
        else:
            status = "judge_failed"
    else:
        score = scorer.score(item.answer, reply, item.answer_format)
    groups: dict[str, Any] = {"evidence": _count(len(item.evidence)), "format": item.answer_format} | item.groups
    return Scored(
        item.key, item.task, item.length, item.depth, round(score, 6), status, label, item.chance,
        item.answer_format != "None", "not answerable" in reply.lower(), groups,
    )  # fmt: skip


def _count(pages: int) -> str:
    return str(pages) if 0 < pages < 6 else ("6 or more" if pages else "unknown")
