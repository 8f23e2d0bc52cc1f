"""Whole runs: they end at the budget, resume exactly on another shape after a kill, and explain what is wrong."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmprolong_trainer.accuracy import train_accuracy
from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.encode import ChatEncoder
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.loop import run_training
from mmprolong_trainer.parallel import start_world
from support.ranks import Ranks, run_ranks
from support.samples import document_pages, make_sample, write_dataset
from support.vlm import load_model, tiny_folder

from mmprolong_data.errors import MMProLongError
from mmprolong_data.schema import Sample
from mmprolong_data.settings import from_plain

STEPS = 6


def exact(folder: Path, sample: Sample) -> Sample:
    """The sample with the number of tokens that the model's tokenizer makes."""
    grid = PageDecoder(14, 2, 1).grid(list(sample.images), sample.id)
    return dataclasses.replace(sample, num_tokens=len(ChatEncoder(folder).encode(sample.messages, grid)))


@pytest.fixture(scope="module")
def dataset(qwen2_5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configs of documents of one to four small pages."""
    root = tmp_path_factory.mktemp("data") / "mmprolong"
    shards = {
        (config, "train"): [
            [
                exact(qwen2_5, make_sample(n, config, pages=1 + n % 4, images=document_pages(n, 1 + n % 4)))
                for n in range(part, part + size)
            ]
            for part in (0, size)
        ]
        for config, size in (("extract_single", 14), ("reasoning", 7))
    }
    write_dataset(root, shards=shards)
    return root


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


@pytest.fixture(scope="module")
def undisturbed(qwen2_5: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one process from start to end."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    config = settings(qwen2_5, dataset, out)
    assert run_ranks(1, out.parent, train, config) == ["done"]
    return out


def same_curve(out: Path, expected: Path) -> None:
    ours, theirs = rows(out), rows(expected)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for row, other in zip(ours, theirs, strict=True):
        assert row["digest"] == other["digest"]
        assert row["tokens"] == other["tokens"]
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert row["lr"] == pytest.approx(other["lr"], rel=1e-9)


def test_run_ends_at_the_budget_and_tells_what_it_did(undisturbed: Path, qwen2_5: Path) -> None:
    log = rows(undisturbed)
    assert log[-1]["tokens"] >= STEPS * 1500 > log[-2]["tokens"]
    assert log[-1]["loss"] < log[0]["loss"]
    for row in log:
        assert 0 < row["fill"] <= 1
        parts = [row[f"loss/{name}"] for name in ("extract_single", "reasoning")]
        assert min(parts) <= row["loss"] <= max(parts)
        assert row["loss/len_0_8k"] == pytest.approx(row["loss"], rel=1e-5)
    assert {"max_position", "memory", "tokens_per_s", "pages_per_s", "data_wait", "grad_norm"} <= set(log[0])
    assert states(undisturbed) == sorted({log[-1]["step"], log[-1]["step"] // 2 * 2, log[-1]["step"] - 2})[-2:]
    exported, original = load_model(undisturbed / "model"), load_model(qwen2_5)
    moved = [not torch.equal(a, b) for a, b in zip(exported.parameters(), original.parameters(), strict=True)]
    assert all(moved)


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
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
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


def test_a_loss_that_is_no_number_stops_the_run_with_its_state_saved(dataset: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tiny_folder(tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors["lm_head.weight"][5, 5] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    (result,) = run_ranks(1, tmp_path, train, settings(broken, dataset, tmp_path / "run"))
    assert result.startswith("StoppedRun: step 1: loss nan")
    assert "extract_single" in result
    assert states(tmp_path / "run") == [0]
    config = settings(broken, dataset, tmp_path / "skip", guard__skip=100, run__export=False, run__token_budget=2000)
    assert run_ranks(1, tmp_path, train, config) == ["done"]
    assert all(row["skipped"] for row in rows(tmp_path / "skip"))


def test_settings_that_do_not_go_together_are_explained(
    qwen2_5: Path, dataset: Path, tmp_path: Path, undisturbed: Path
) -> None:
    cases: list[tuple[TrainConfig, str]] = [
        (settings(qwen2_5, dataset, undisturbed, optimizer__lr=1e-3), "optimizer.lr: 0.002 -> 0.001"),
        (settings(qwen2_5, dataset, tmp_path / "a", data__page_labels=False), "data.page_labels = true"),
        (settings(qwen2_5, dataset, tmp_path / "b", run__global_batch_tokens=512 * 400), "too few samples"),
        (settings(qwen2_5, dataset, tmp_path / "c", data__max_tokens=64), "longer than max_tokens = 64"),
        (settings(qwen2_5, dataset, tmp_path / "d", model__rope_theta=4e6), "prepare-model --rope-theta 4e+06"),
        (settings(qwen2_5, tmp_path / "none", tmp_path / "e"), "manifest.json: missing"),
        (settings(tmp_path / "none", dataset, tmp_path / "f"), "no model here"),
        (settings(qwen2_5, dataset, tmp_path / "h", parallel__offload="parameters"), "needs a GPU"),
        (settings(qwen2_5, dataset, tmp_path / "g", parallel__sp=3), "must divide the number of processes"),
    ]
    results = run_ranks(1, tmp_path, lambda: [train(config) for config, _ in cases])[0]
    for (_, message), result in zip(cases, results, strict=True):
        assert message in result, result


def test_short_context_is_mixed_alike_on_every_shape(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    pages = [{"bytes": bytes(document_pages(n, 1)[0]), "path": None} for n in range(12)]
    Dataset.from_dict(
        {
            "images": [[page] if n % 2 else [] for n, page in enumerate(pages)],
            "messages": [
                [
                    {"role": "user", "content": ("<image>" if n % 2 else "") + f"What is {n}?"},
                    {"role": "assistant", "content": f"It is {n}."},
                ]
                for n in range(12)
            ],
        }
    ).save_to_disk(str(tmp_path / "short"))
    logs = []
    for ranks in (1, 2):
        out = tmp_path / f"run{ranks}"
        changed = {"short_context__path": str(tmp_path / "short"), "short_context__share": 0.5, "run__export": False}
        changed |= {"run__token_budget": 4000}
        config = settings(qwen2_5, dataset, out, **changed)
        assert run_ranks(ranks, tmp_path, train, config) == ["done"] * ranks
        logs.append(rows(out))
    assert [row["digest"] for row in logs[0]] == [row["digest"] for row in logs[1]]
    assert all(row["loss/short_context"] > 0 for row in logs[0])
    assert [row["loss"] for row in logs[0]] == pytest.approx([row["loss"] for row in logs[1]], rel=1e-4)


def test_a_tiny_model_learns_its_answers_by_heart(qwen2_5: Path, tmp_path: Path) -> None:
    """The whole path learns: data, mask, positions, gradients, optimizer, checkpoint, export, and back."""
    root = tmp_path / "mmprolong"
    samples = [exact(qwen2_5, make_sample(n, pages=1, images=document_pages(n, 1))) for n in range(10, 18)]
    write_dataset(root, shards={("extract_single", "train"): [samples]})
    tokens = sum(sample.num_tokens for sample in samples)
    changed = {"data__configs": {"extract_single": 1.0}, "optimizer__lr": 1e-2, "run__token_budget": 45 * tokens}
    changed |= {"data__max_tokens": tokens, "run__global_batch_tokens": tokens, "run__checkpoint_every": 0}
    changed |= {"parallel__checkpoint_language": False, "parallel__checkpoint_vision": False}
    config = settings(qwen2_5, root, tmp_path / "run", **changed)
    assert run_ranks(1, tmp_path, train, config) == ["done"]
    (before,) = run_ranks(1, tmp_path, train_accuracy, config, qwen2_5)
    (after,) = run_ranks(1, tmp_path, train_accuracy, config, tmp_path / "run" / "model")
    assert before == (0, 8)
    assert after[0] / after[1] > 0.9
    assert (tmp_path / "run" / "metrics.png").stat().st_size > 10_000
