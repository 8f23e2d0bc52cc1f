"""The probe inside a training run: the same figures on any number of processes, and what they mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.encode import ChatEncoder
from mmprolong_trainer.evaluate.in_training import TrainingProbe
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.loop import run_training
from mmprolong_trainer.packed import PackedModel
from mmprolong_trainer.parallel import shard, start_world
from support.ranks import run_ranks
from support.samples import document_pages, make_sample, write_dataset
from support.vlm import load_model

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.settings import from_plain


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("probe") / "mmprolong"
    shards = {
        ("reasoning", "train"): [
            [
                make_sample(
                    n, "reasoning", 1 + n % 3, images=document_pages(n, 1 + n % 3), num_tokens=150, answer="code 7"
                )
                for n in range(8)
            ]
        ],
        ("reasoning", "validation"): [
            [make_sample(100 + n, "reasoning", 1 + n % 3, answer="code 7") for n in range(5)]
        ],
    }
    write_dataset(root, shards=shards)
    return root


def measure(folder: Path, data: Path, sp: int, sharded: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    world = start_world(sp)
    inner = load_model(folder)
    model = PackedModel(inner, 64, 1, world.sequence_group)
    if sharded:
        shard(model, [*inner.model.language_model.layers], world.mesh, torch.float32, False)
    probe = TrainingProbe(data, 9, 1 << 20, ChatEncoder(folder), PageDecoder(14, 2, 1), world)
    assert len(probe) == 5
    return probe.measure(model)


def test_every_way_to_spread_the_work_measures_the_same(qwen2_5: Path, data: Path, tmp_path: Path) -> None:
    alone = run_ranks(1, tmp_path, measure, qwen2_5, data, 1, False)[0]
    assert set(alone) == {"probe/loss", "probe/exact", "probe/exact_8K"}
    assert alone["probe/exact"] == 0
    assert alone["probe/loss"] > 1
    for sp in (1, 2):  # five samples on two processes: one of them has a round without a sample
        both = run_ranks(2, tmp_path, measure, qwen2_5, data, sp, True)
        assert both[0] == both[1]
        assert both[0] == pytest.approx(alone, rel=1e-5)


def settings(model: Path, data: Path, out: Path, **run: Any) -> TrainConfig:
    plain = {
        "model": {"path": str(model), "dtype": "float32"},
        "data": {"path": str(data), "configs": {"reasoning": 1.0}, "max_tokens": 8192, "threads": 1},
        "optimizer": {"lr": 3e-3, "min_lr": 1e-4},
        "run": {
            "out": str(out),
            "token_budget": 8_000,
            "global_batch_tokens": 8192,
            "checkpoint_every": 0,
            "export": False,
        }
        | run,
    }
    config = from_plain(TrainConfig, plain)
    config.validate()
    return config


def train(config: TrainConfig) -> str:
    return run_training(config, start_world(1))


def test_a_run_logs_the_probe_as_often_as_asked(qwen2_5: Path, data: Path, tmp_path: Path) -> None:
    config = settings(qwen2_5, data, tmp_path / "a", probe=str(data), eval_every_tokens=2500)
    assert run_ranks(1, tmp_path, train, config) == ["done"]
    rows = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    before, due = 0, []
    for row in rows:
        assert ("probe/loss" in row) == (row["tokens"] // 2500 > before // 2500)
        before = row["tokens"]
        if "probe/loss" in row:
            due.append(row["probe/loss"])
    assert len(due) >= 3
    assert due[-1] < due[0]


def test_settings_are_checked(qwen2_5: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"run\.probe"):
        settings(qwen2_5, data, tmp_path, eval_every_tokens=1000)
    world: Any = None
    with pytest.raises(MMProLongError, match="no sample of at most"):
        TrainingProbe(data, 1, 100, ChatEncoder(qwen2_5), PageDecoder(14, 2, 1), world)
