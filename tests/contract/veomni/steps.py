"""Runs in VeOmni's environment on CPUs: the adapter's trainer as it is; of every step, its loss, gradient norm and cost
to a file a rank.

python -m torch.distributed.run --nproc-per-node 2 steps.py LOSSES VEOMNI.yaml [VeOmni's options]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def main() -> None:
    """Train, and write what this rank saw to ``LOSSES-RANK``."""
    out = Path(sys.argv.pop(1))
    # VeOmni reports memory and speed of an accelerator; torch.cpu has no such functions. Nothing that is trained.
    for name, value in {
        "get_device_name": "cpu", "max_memory_allocated": 0, "max_memory_reserved": 0, "memory_allocated": 0,
        "memory_reserved": 0, "empty_cache": None, "memory_stats": defaultdict(int), "reset_peak_memory_stats": None,
    }.items():  # fmt: skip
        if not hasattr(torch.cpu, name):
            setattr(torch.cpu, name, lambda *_, value=value, **__: value)
    from mmprolong_trainer.veomni.adapter import Trainer
    from veomni.arguments import parse_args
    from veomni.trainer.vlm_trainer import VeOmniVLMArguments

    arguments = parse_args(VeOmniVLMArguments)
    dist.init_process_group("gloo")
    steps: list[dict[str, Any]] = []
    ended = [time.process_time(), time.perf_counter()]

    class Recorded(Trainer):  # type: ignore[misc]
        def on_step_begin(self, micro_batches: Any = None) -> None:
            self.tokens = sum(int(batch["attention_mask"].numel()) for batch in micro_batches)
            super().on_step_begin(micro_batches=micro_batches)

        def on_step_end(self, loss: Any = None, loss_dict: Any = None, grad_norm: Any = None, **more: Any) -> None:
            super().on_step_end(loss=loss, loss_dict=loss_dict, grad_norm=grad_norm, **more)
            now = (time.process_time(), time.perf_counter())
            steps.append(
                {"loss": float(loss), "grad_norm": float(grad_norm), "tokens": self.tokens}
                | {"cpu": now[0] - ended[0], "seconds": now[1] - ended[1]}
                | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
            )
            ended[:] = now

    rank = dist.get_rank()
    Recorded(arguments).train()  # ends the process group
    out.with_name(f"{out.name}-{rank}").write_text(json.dumps(steps) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
