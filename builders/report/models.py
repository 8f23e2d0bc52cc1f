"""What the report says of questions by language models: acceptance by check, cost, and some that were refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm.summary import Summary
from mmprolong_data.manifest import Manifest

from ..qa.openai.ledgers import read_costs
from ..qa.openai.tally import Tally, read_tally, rejected_examples

VERDICT_CHARACTERS = 400

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


def model_questions(root: Path, manifest: Manifest) -> dict[str, Any] | None:
    """What the template shows; None where no model was asked. Costs are known only where the work folder still is."""
    work = root / ".work"
    tally = read_tally(work)
    if not tally.slices:
        tally = _published(manifest)
    if not tally.slices:
        return None
    try:
        summary = read_costs(work).summary
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
        "tasks": manifest.models.get("tasks", []),
    }


def verdicts(models: Any) -> list[str]:
    """What models said of one sample, in words; from the ``models`` of its ``verification``, whoever wrote it."""
    lines = []
    for check, said in models.items() if isinstance(models, dict) else ():
        if not isinstance(said, dict):
            continue
        if said.get("original"):
            words = f"reworded from “{said['original']}”"
        elif "kept" in said:
            words = f"keeps its own words: {said['kept']}"
        elif isinstance(said.get("votes"), list):
            words = f"{said['votes'].count(True)} of {len(said['votes'])} answers from the evidence pages are right"
        elif isinstance(said.get("windows"), list):
            number = len(said["windows"])
            words = f"no other answer in {number} window{'' if number == 1 else 's'}"
        elif said.get("reason"):
            words = str(said["reason"])
        else:
            words = f"“{said['answer']}”" if said.get("answer") else "no answer"
        lines.append(f"{check} ({said.get('model', '?')}): {words}"[:VERDICT_CHARACTERS])
    return lines


def _published(manifest: Manifest) -> Tally:
    """What the manifest says of it: all that is left of a dataset that was moved or downloaded."""
    tally = Tally()
    for config, counts in manifest.models.get("candidates", {}).items():
        tally.slices = 1
        tally.accepted[config] = counts["accepted"]
        refused = counts["made"] - counts["accepted"]
        known = {check: n for check, n in manifest.rejected.get(config, {}).items() if n}
        if refused > 0:  # of questions that were only reworded, the checks by rule are none of the model's
            tally.failed[config] = Counter(known if sum(known.values()) == refused else {"paraphrase": refused})
    return tally


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
