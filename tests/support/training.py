"""Whole training runs on a small dataset: settings, the run itself, and what it left behind."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.encode import ChatEncoder
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.loop import run_training
from mmprolong_trainer.parallel import start_world

from mmprolong_data.errors import MMProLongError
from mmprolong_data.schema import Sample
from mmprolong_data.settings import from_plain

from .ranks import Ranks

STEPS = 6


def exact(folder: Path, sample: Sample) -> Sample:
    """The sample with the number of tokens that the model's tokenizer makes."""
    grid = PageDecoder(14, 2, 1).grid(list(sample.images), sample.id)
    return dataclasses.replace(sample, num_tokens=len(ChatEncoder(folder).encode(sample.messages, grid)))


def settings(model: Path, dataset: Path, out: Path, **changed: Any) -> TrainConfig:
    """Six steps of four packs."""
    plain: dict[str, Any] = {
        "model": {"path": str(model), "dtype": "float32"},
        "data": {"path": str(dataset), "configs": {"extract_single": 0.7, "reasoning": 0.3}, "max_tokens": 512},
        "optimizer": {"lr": 2e-3, "min_lr": 1e-4},
        "run": {"out": str(out), "token_budget": STEPS * 1500, "global_batch_tokens": 2048, "checkpoint_every": 2},
    }
    plain["data"] |= {"threads": 1}
    for key, value in changed.items():
        section, _, name = key.partition("__")
        plain.setdefault(section, {})[name] = value
    config = from_plain(TrainConfig, plain)
    config.validate()
    return config


def train(config: TrainConfig) -> str:
    """One run on the ranks of this process group."""
    try:
        return run_training(config, start_world(config.parallel.sp))
    except MMProLongError as error:
        return f"{type(error).__name__}: {error}"


def rows(out: Path) -> list[dict[str, Any]]:
    path = out / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def wait_for(condition: Callable[[], bool], ranks: Ranks) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert all(process.is_alive() for process in ranks.processes), "a rank ended too early"
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.005)


def states(out: Path) -> list[int]:
    return sorted(int(path.parent.name[5:]) for path in out.glob("checkpoints/step-????????/state.json"))


def same_curve(out: Path, expected: Path) -> None:
    ours, theirs = rows(out), rows(expected)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for row, other in zip(ours, theirs, strict=True):
        assert row["digest"] == other["digest"]
        assert row["tokens"] == other["tokens"]
        # Sums in another order: 1.4e-7 was the largest difference seen.
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-6)
        assert row["lr"] == pytest.approx(other["lr"], rel=1e-9)
