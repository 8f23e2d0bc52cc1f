"""Figures of the paper (arXiv 2605.13831, MMLongBench) beside ours, over the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .scoring import Scored
from .summary import Rules, headline_of, row_of

PAPER: dict[str, list[dict[str, Any]]] = {
    "mmlongbench": [
        {"name": "Qwen2.5-VL-7B, base", "overall": 50.59, "256K": 38.12, "512K": 19.49},
        {"name": "extract_single", "overall": 55.69},
        {"name": "extract_multi", "overall": 56.90},
        {"name": "reasoning", "overall": 56.47},
        {"name": "MMProLong (8:2 mixture)", "overall": 57.70, "256K": 55.09, "512K": 52.52},
    ]
}
"""Suite -> rows; ``overall`` is the mean of 64K and 128K."""
CATEGORY = "DocVQA"
COLUMNS = {"256K": 1 << 18, "512K": 1 << 19}


def beside_the_paper(suite: str, scored: Sequence[Scored], rules: Rules) -> dict[str, Any] | None:
    """Our figures over the same items: long-document questions alone, mean over their tasks at a length.

    Returns:
        ``{"n", "overall", "256K", "512K"}``, a figure None where not all of its lengths are there; None where the paper
        has no figures of the suite.
    """
    documents = [row for row in scored if row.groups.get("category") == CATEGORY]
    if suite not in PAPER or not documents:
        return None
    lengths = {row.length for row in documents}
    shown: dict[str, Any] = {"n": len(documents), "overall": None}
    if set(rules.headline) <= lengths:
        shown["overall"] = _mean(headline_of(documents, rules), rules)
    for name, length in COLUMNS.items():
        shown[name] = _mean([row for row in documents if row.length == length], rules)
    return shown


def _mean(scored: Sequence[Scored], rules: Rules) -> float | None:
    row = row_of("", scored, rules, rules.macro)
    return row.score if row else None
