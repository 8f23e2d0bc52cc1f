"""What became of the questions that models made, and which models: kept in the sidecars of the cells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...recipe import MODEL_CHECKS
from ...stages import read_records, unpack_record

EXAMPLES = 6


@dataclass(slots=True)
class Tally:
    """Counts of one build.

    Attributes:
        accepted: Config -> questions accepted.
        failed: Config -> check -> questions that it refused.
        slices: Slices that are counted.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Counter[str]] = field(default_factory=dict)
    slices: int = 0

    @property
    def asked(self) -> int:
        """All questions that were made."""
        return self.accepted.total() + sum(counts.total() for counts in self.failed.values())

    def checks(self) -> Counter[str]:
        """Check -> questions that it refused, in all configs."""
        return sum(self.failed.values(), Counter())


def count(records: Iterable[dict[str, Any]], *, reworded: bool = False) -> dict[str, Any]:
    """The counts of a slice, for its sidecar.

    Args:
        records: Of the slice's documents.
        reworded: The questions were made by rule and only reworded: one that got new words counts as accepted, one
            that kept its own as refused by the check ``paraphrase``.

    Returns:
        ``{"accepted": {config: n}, "failed": {config: {check: n}}, "asked": see DocumentAsker.run, of all documents}``.
    """
    accepted: Counter[str] = Counter()
    failed: dict[str, Counter[str]] = {}
    asked: dict[str, dict[str, Any]] = {}
    for record in records:
        if "given" not in record:
            continue
        _add(asked, record["asked"])
        for config, questions in unpack_record(record["given"]).items():
            refused = [entry["failed"][0]["check"] for entry in questions["rejected"]]
            if reworded:
                refused = ["paraphrase" for entry in questions["accepted"] if "kept" in entry["models"]["paraphrase"]]
            accepted[config] += len(questions["accepted"]) - (len(refused) if reworded else 0)
            if refused:
                failed.setdefault(config, Counter()).update(refused)
    return {
        "accepted": dict(sorted(accepted.items())),
        "failed": {k: dict(sorted(v.items())) for k, v in failed.items()},
        "asked": asked,
    }


def model_record(sidecars: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Which models had a hand in a dataset, for its manifest. Names neither an endpoint nor a key.

    Args:
        sidecars: What ``count`` gave for each slice.

    Returns:
        ``{"tasks": [{"task", "model", "served_as", "prompts", "replies"}, ...], "candidates": {config: {"made",
        "accepted"}}}``; ``served_as`` are the names that the endpoint reported. Empty where no model was asked.
    """
    asked: dict[str, dict[str, Any]] = {}
    made: dict[str, Counter[str]] = {}
    for sidecar in sidecars:
        _add(asked, sidecar.get("asked", {}))
        for config, number in sidecar.get("accepted", {}).items():
            made.setdefault(config, Counter()).update(made=number, accepted=number)
        for config, checks in sidecar.get("failed", {}).items():
            made.setdefault(config, Counter()).update(made=sum(checks.values()), accepted=0)
    if not asked:
        return {}
    order = {name: number for number, name in enumerate(("questions", "paraphrase", *MODEL_CHECKS))}
    return {
        "tasks": [
            {
                "task": task,
                "model": asked[task]["model"],
                "served_as": sorted(name for name in asked[task]["served"] if name),
                "prompts": asked[task]["prompts"],
                "replies": sum(asked[task]["served"].values()),
            }
            for task in sorted(asked, key=lambda task: (order.get(task, len(order)), task))
        ],
        "candidates": {config: dict(counts) for config, counts in sorted(made.items())},
    }


def _add(total: dict[str, dict[str, Any]], asked: Mapping[str, Mapping[str, Any]]) -> None:
    for task, one in asked.items():
        own = total.setdefault(task, {"model": one["model"], "prompts": [], "served": {}})
        own["prompts"] = sorted({*own["prompts"], *one["prompts"]})
        own["served"] = dict(sorted((Counter(own["served"]) + Counter(one["served"])).items()))


def read_tally(work: Path) -> Tally:
    """The counts of all slices of a work folder that are complete; empty where no model was asked."""
    tally = Tally()
    for path in sorted(work.glob("*/ask/*.json")):
        try:
            sidecar = json.loads(path.read_bytes())
            tally.accepted.update(sidecar["accepted"])
            for config, counts in sidecar["failed"].items():
                tally.failed.setdefault(config, Counter()).update(counts)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not complete yet, or of another version
        tally.slices += 1
    return tally


def rejected_examples(work: Path, most: int = EXAMPLES) -> list[dict[str, Any]]:
    """Rejected questions of different checks, to look at: ``config, question, answer, check, reason`` ..."""
    found: list[dict[str, Any]] = []
    seen: Counter[str] = Counter()
    for path in sorted(work.glob("*/ask/*.msgpack"))[:4]:
        for record in read_records(path):
            for questions in unpack_record(record["given"]).values() if "given" in record else ():
                for entry in questions["rejected"]:
                    check, reason = entry["failed"][0]["check"], entry["failed"][0]["reason"]
                    if entry["question"] and seen[check] < max(1, most // 3):
                        seen[check] += 1
                        found.append(entry | {"check": check, "reason": reason})
    return sorted(found, key=lambda entry: (seen[entry["check"]], entry["check"], entry["question"]))[:most]
