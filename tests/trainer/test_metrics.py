"""What a run tells of itself, and whom."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support.ranks import run_ranks
from support.training import rows, settings, train


def test_tensorboard_gets_the_metrics(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    config = settings(qwen2_5, dataset, out, run__trackers=["tensorboard"], run__token_budget=3000, run__export=False)
    assert run_ranks(1, tmp_path, train, config) == ["done"]
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    log = rows(out)
    assert [event.step for event in events.Scalars("loss")] == [row["step"] for row in log]
    assert [event.value for event in events.Scalars("loss/reasoning")] == pytest.approx(
        [row["loss/reasoning"] for row in log], rel=1e-6
    )


def test_a_tracker_without_its_package_says_how_to_install_it(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("trackio") is not None:
        pytest.skip("trackio is installed here")
    config = settings(qwen2_5, dataset, tmp_path / "run", run__trackers=["trackio"])
    (result,) = run_ranks(1, tmp_path, train, config)
    assert 'pip install "mmprolong[trackio]"' in result
