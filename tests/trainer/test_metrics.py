"""What a run tells of itself, and whom."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
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


def test_tensorboard_shows_a_step_that_was_made_again_once(tmp_path: Path) -> None:
    from mmprolong_trainer.metrics import MetricsLog
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for resume_step, last in ((0, 5), (3, 6)):
        log = MetricsLog(tmp_path, ["tensorboard"], {}, resume_step)
        for step in range(resume_step + 1, last + 1):
            log.log({"step": step, "loss": 1.0 / step})
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


LOGGED = """
import sys
from pathlib import Path
from mmprolong_trainer.metrics import MetricsLog
for resume_step, last in ((0, 5), (3, 6)):
    log = MetricsLog(Path(sys.argv[2]), [sys.argv[1]], {"lr": 0.1}, resume_step)
    for step in range(resume_step + 1, last + 1):
        log.log({"step": step, "loss": 1.0 / step})
    log.close()
"""


def _log_twice(tracker: str, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", LOGGED, tracker, str(out)], capture_output=True, text=True, check=False,
        env={**kept, "HOME": str(out.parent), **environment}, cwd=out.parent,
    )  # fmt: skip


def test_wandb_goes_on_in_one_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = _log_twice("wandb", tmp_path / "run", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    name = json.loads((tmp_path / "run/tracker.json").read_text(encoding="utf-8"))["name"]
    folders = list((tmp_path / "run/wandb").glob("offline-run-*"))
    assert folders
    assert all(folder.name.endswith(name) for folder in folders)
    refused = _log_twice("wandb", tmp_path / "other", WANDB_MODE="online")
    assert refused.returncode == 1
    assert "WANDB_MODE=offline" in refused.stderr.splitlines()[-1]


def test_trackio_goes_on_in_one_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    import sqlite3

    done = _log_twice("trackio", tmp_path / "run", TRACKIO_DIR=str(tmp_path / "trackio"))
    assert done.returncode == 0, done.stderr
    name = json.loads((tmp_path / "run/tracker.json").read_text(encoding="utf-8"))["name"]
    (book,) = (tmp_path / "trackio").glob("mmprolong*.db")
    with sqlite3.connect(book) as connection:
        found = connection.execute("SELECT DISTINCT run_name FROM metrics").fetchall()
    assert found == [(name,)]
