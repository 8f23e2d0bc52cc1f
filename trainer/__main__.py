"""``python -m mmprolong_trainer CONFIG``, alone or under torchrun: one training run."""

from __future__ import annotations

import argparse
import sys

import torch
import torch.distributed as dist

from mmprolong_data.arguments import local_path
from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import load_settings

from .config import TrainConfig

EXAMPLES = """\
examples:
  torchrun --nproc-per-node 8 -m mmprolong_trainer configs/mmprolong-7b-128k.yaml
  python -m mmprolong_trainer configs/tiny-cpu.yaml --set run.out=runs/try --set optimizer.lr=1e-3
  python -m mmprolong_trainer configs/mmprolong-7b-128k.yaml --check     settings, model, data; no step

A run that was interrupted goes on from its newest checkpoint when the same command is given again, on the same or
another number of processes.

exit codes: 0 done, 1 failed, 2 wrong settings, 3 stopped itself (loss), 143 stopped by a signal, its state saved
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one training. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mmprolong_trainer",
        description="Train a Qwen2.5-VL or Qwen3-VL model on long documents.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=local_path, metavar="CONFIG", help="YAML (see configs/ and docs/training.md)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--check", action="store_true", help="build everything, make one batch, take no step")
    options = parser.parse_args(arguments)
    try:
        config = load_settings(TrainConfig, options.config, options.overrides)
        config.validate()
        return _train(config, options.check)
    except MMProLongError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _train(config: TrainConfig, check: bool) -> int:
    from .loop import run_training
    from .parallel import start_world

    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    world = start_world(config.parallel.sp)
    return 143 if run_training(config, world, check) == "interrupted" else 0


if __name__ == "__main__":
    sys.exit(main())
