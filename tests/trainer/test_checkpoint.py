"""Interrupted runs: they go on exactly, on another shape too; damaged checkpoints are named, never passed over."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmprolong_trainer.config import TrainConfig
from support.ranks import Ranks, run_ranks
from support.training import rows, same_curve, settings, states, train, wait_for
from support.vlm import load_model


def test_kill_and_resume_on_another_shape_is_the_undisturbed_run(
    qwen2_5: Path, dataset: Path, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "run"
    ranks = Ranks(2, tmp_path, train, settings(qwen2_5, dataset, out))
    wait_for(lambda: len(rows(out)) >= 3 and bool(states(out)), ranks)
    ranks.signal(signal.SIGKILL)
    ranks.end()
    before = len(rows(out))
    assert before < len(rows(undisturbed))
    again = settings(qwen2_5, dataset, out, parallel__sp=2, run__async_checkpoint=False)
    assert run_ranks(4, tmp_path, train, again) == ["done"] * 4
    same_curve(out, undisturbed)
    ours, theirs = load_model(out / "model"), load_model(undisturbed / "model")
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        # The same bias in all keys changes no softmax: its gradient is rounding, which Adam blows up to full steps.
        if "k_proj.bias" not in name and "qkv.bias" not in name:
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-5), name
    assert not list(out.glob("checkpoints/*.tmp"))


def test_sigterm_saves_and_the_same_command_goes_on(
    qwen2_5: Path, dataset: Path, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "run"
    config = settings(qwen2_5, dataset, out, run__checkpoint_every=0, parallel__offload="activations")
    ranks = Ranks(2, tmp_path, train, config)
    wait_for(lambda: bool(rows(out)), ranks)
    ranks.signal(signal.SIGTERM)
    assert ranks.results() == ["interrupted"] * 2
    assert states(out) == [len(rows(out))]
    assert len(rows(out)) < len(rows(undisturbed))
    assert run_ranks(1, tmp_path, train, config) == ["done"]
    same_curve(out, undisturbed)


def newest(out: Path) -> Path:
    return sorted(out.glob("checkpoints/step-????????"))[-1]


def cut_shard(folder: Path) -> None:
    shard = max(folder.glob("*.distcp"), key=lambda path: path.stat().st_size)
    with shard.open("r+b") as stream:
        stream.truncate(shard.stat().st_size // 2)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "shard cut short": cut_shard,
    "shard gone": lambda folder: min(folder.glob("*.distcp")).unlink(),
    "metadata gone": lambda folder: (folder / ".metadata").unlink(),
    "metadata damaged": lambda folder: (folder / ".metadata").write_bytes(b"\x80\x04 nothing"),
    "state cut short": lambda folder: (folder / "state.json").write_text('{"step": 5', encoding="utf-8"),
}


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_goes_on(
    qwen2_5: Path, dataset: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """Nothing older is taken in silence; when the user has removed the damaged one, the run is the undisturbed one."""
    configs, before = [], (undisturbed / "metrics.jsonl").read_bytes()
    for name, damage in DAMAGE.items():
        out = tmp_path / name
        shutil.copytree(undisturbed, out)
        damage(newest(out))
        configs.append(settings(qwen2_5, dataset, out, run__export=False))
    for results in run_ranks(2, tmp_path, lambda: [train(config) for config in configs]):
        for config, result in zip(configs, results, strict=True):
            damaged = newest(Path(config.run.out))
            assert result.startswith(f"MMProLongError: {damaged}")
            assert f"Remedy: remove {damaged}" in result
            assert (Path(config.run.out) / "metrics.jsonl").read_bytes() == before
    out = Path(configs[0].run.out)
    shutil.rmtree(newest(out))
    assert run_ranks(2, tmp_path, train, configs[0]) == ["done"] * 2
    same_curve(out, undisturbed)


def test_a_checkpoint_without_its_last_file_is_none(
    qwen2_5: Path, dataset: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """A folder that a kill left half removed, and one that it left half written."""
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    (newest(out) / "state.json").unlink()
    (out / "checkpoints" / "step-00000099.tmp").mkdir()
    assert run_ranks(1, tmp_path, train, settings(qwen2_5, dataset, out, run__export=False)) == ["done"]
    same_curve(out, undisturbed)
    assert not list(out.glob("checkpoints/*.tmp"))


def train_on_a_full_disk(config: TrainConfig) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    return train(config)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_checkpoint_that_cannot_be_written_is_named(
    asynchronous: bool, qwen2_5: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    config = settings(qwen2_5, dataset, out, run__async_checkpoint=asynchronous)
    for result in run_ranks(2, tmp_path, train_on_a_full_disk, config):
        assert result.startswith(f"MMProLongError: {out}/checkpoints/step-00000002.tmp: the checkpoint could not be")
    assert states(out) == []
