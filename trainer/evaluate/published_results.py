"""Figures of the paper, shown beside ours where the suite is the same (arXiv 2605.13831, long-document VQA)."""

from __future__ import annotations

from typing import Any

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
