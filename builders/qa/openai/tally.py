"""What became of the questions that models made: accepted and rejected by check, kept in the sidecars of the cells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def count(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The counts of a slice, for its sidecar: ``{"accepted": {config: n}, "failed": {config: {check: n}}}``."""
    accepted: Counter[str] = Counter()
    failed: dict[str, Counter[str]] = {}
    for record in records:
        if "given" not in record:
            continue
        for config, questions in unpack_record(record["given"]).items():
            accepted[config] += len(questions["accepted"])
            for entry in questions["rejected"]:
                failed.setdefault(config, Counter())[entry["failed"][0]["check"]] += 1
    return {
        "accepted": dict(sorted(accepted.items())),
        "failed": {k: dict(sorted(v.items())) for k, v in failed.items()},
    }


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
