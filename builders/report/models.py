"""What the report says of questions by language models: acceptance by check, cost, and some that were refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm.summary import Summary, read_summary

from ..qa.openai.tally import Tally, read_tally, rejected_examples

CHECKS = {
    "reply": "the model gave no usable reply",
    "format": "the question, the answer or the pages are not of the right form",
    "anchor": "it does not name the pages or the section that it is about",
    "evidence": "the evidence pages do not answer it (by their place, or by the votes of a model)",
    "answer": "the answer does not stand on its pages",
    "recompute": "the answer does not follow from the data points",
    "leak": "the question gives its answer away",
    "instruction": "it rests on text that talks to a language model",
    "duplicate": "a question like it was accepted before",
    "one_page": "it claims to need several pages and needs one",
    "closed_book": "a model answers it without the pages",
    "without_evidence": "the segment's other pages answer it too",
    "rivals": "other pages of the document give another answer",
    "judge": "another model does not agree",
    "paraphrase": "the new words lost something or gave it away: the question keeps its own",
}
"""Check -> why it refuses a question."""


def model_questions(root: Path) -> dict[str, Any] | None:
    """What the template shows; None where no model was asked, or the work folder is gone."""
    work = root / ".work"
    tally = read_tally(work)
    if not tally.slices:
        return None
    try:
        summary = read_summary(work / "llm.sqlite")
    except MMProLongError:
        summary = Summary()
    accepted = tally.accepted.total()
    price = summary.cost / accepted if summary.cost is not None and accepted else None
    return {
        "asked": tally.asked,
        "accepted": accepted,
        "configs": _configs(tally),
        "refused": [(check, number, CHECKS.get(check, "")) for check, number in tally.checks().most_common()],
        "stages": _stages(summary),
        "cost": summary.cost,
        "price": price,
        "attempts": summary.attempts,
        "examples": rejected_examples(work),
    }


def _configs(tally: Tally) -> list[tuple[str, int, int]]:
    """Config, questions accepted, questions refused."""
    names = sorted(set(tally.accepted) | set(tally.failed))
    return [(name, tally.accepted[name], sum(tally.failed.get(name, {}).values())) for name in names]


def _stages(summary: Summary) -> list[dict[str, Any]]:
    stages = []
    for stage, model in sorted({(row.stage, row.model) for row in summary.rows}):
        rows = [row for row in summary.rows if (row.stage, row.model) == (stage, model)]
        costs = [row.cost for row in rows if row.cost is not None]
        stages.append(
            {
                "stage": stage,
                "model": model,
                "attempts": sum(row.attempts for row in rows),
                "replies": sum(row.attempts for row in rows if row.outcome == "ok"),
                "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
                "cost": sum(costs) if costs else None,
            }
        )
    return stages
