"""What a run tells: one JSON line a step, the trackers a user asked for, and the arithmetic behind MFU."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .trackers import open_tracker

METRICS_NAME = "metrics.jsonl"

BUCKETS = (8_192, 32_768, 65_536)
"""Upper bounds of the length buckets of the logged losses, in tokens; the last bucket has none."""

PEAK_FLOPS = {
    "H20": 148e12, "H100": 989e12, "H200": 989e12, "H800": 989e12, "A100": 312e12, "A800": 312e12, "L40S": 362e12,
    "B200": 2250e12,
}  # fmt: skip
"""Dense bfloat16 FLOP/s of a device, from its maker's data sheet."""


def bucket_names() -> list[str]:
    """Names of the length buckets, such as ``len_8k_32k``."""
    edges = ["0", *(f"{bound // 1024}k" for bound in BUCKETS), "up"]
    return [f"len_{low}_{high}" for low, high in itertools.pairwise(edges)]


def bucket_of(tokens: int) -> int:
    """The bucket of a document of this length."""
    return sum(tokens > bound for bound in BUCKETS)


def step_flops(sizes: dict[str, int], tokens: int, patches: int, labelled: int, squares: int) -> float:
    """Floating-point operations that a step needs (forward and backward, recomputation not counted).

    6 per parameter and token for the matrices of the language model, of the vision tower (per patch) and of the
    output layer
    (per labelled position), and causal attention at ``6 * layers * heads * head_dim * length ** 2`` a document (PaLM,
    arXiv 2204.02311, appendix B, halved for causality). The vision tower's attention is left out.

    Args:
        sizes: ``language``, ``vision``, ``head``: parameters; ``attention``: layers * heads * head_dim.
        tokens, patches, labelled: Of the step.
        squares: Sum of squared document lengths.
    """
    matrices = sizes["language"] * tokens + sizes["vision"] * patches + sizes["head"] * labelled
    return 6.0 * matrices + 6.0 * sizes["attention"] * squares


def peak_flops(device: torch.device) -> float | None:
    """What the device can do, if it is a known one."""
    if device.type != "cuda":
        return None
    words = torch.cuda.get_device_name(device).replace("-", " ").split()
    return next((PEAK_FLOPS[word] for word in words if word in PEAK_FLOPS), None)


def peak_memory(device: torch.device) -> int:
    """Bytes: the allocator's peak on a GPU, the resident set's peak on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class MetricsLog:
    """``metrics.jsonl`` and the trackers; used by rank 0."""

    def __init__(self, out: Path, trackers: Sequence[str], settings: dict[str, Any], resume_step: int) -> None:
        """Open the log. Lines of steps after ``resume_step`` are dropped: these steps are made again.

        Raises:
            MMProLongError: a tracker's package is missing.
        """
        out.mkdir(parents=True, exist_ok=True)
        self._trackers = [open_tracker(name, out, settings, resume_step) for name in trackers]
        path = out / METRICS_NAME
        kept = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # the line that a kill cut short
                    if json.loads(line)["step"] <= resume_step:
                        kept.append(line)
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            temporary.replace(path)
        self._stream = path.open("a", encoding="utf-8")
        self.recent_losses = [json.loads(line).get("loss") for line in kept]

    def log(self, values: dict[str, Any]) -> None:
        """Record one step; ``values["step"]`` numbers it."""
        self._stream.write(json.dumps(values) + "\n")
        self._stream.flush()
        numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
        for tracker in self._trackers:
            tracker.log(numbers, values["step"])

    def close(self) -> None:
        """Make the log durable and close the trackers."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        for tracker in self._trackers:
            tracker.close()
