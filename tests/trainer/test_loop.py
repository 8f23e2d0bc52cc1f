"""Whole runs: they end at the budget, learn, stop at what is wrong, and explain it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmprolong_trainer.accuracy import train_accuracy
from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.encode import ChatEncoder
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.loop import run_training
from mmprolong_trainer.parallel import start_world
from support.ranks import run_ranks
from support.samples import document_pages, make_sample, write_dataset
from support.training import STEPS, exact, rows, same_curve, settings, states, train
from support.vlm import load_model, load_reference, tiny_folder


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


def test_qwen3_runs_alike_on_every_shape(qwen3: Path, tmp_path: Path) -> None:
    """Another patch size, no system turn, features for deep layers: a whole run, and one whose packs are shared."""
    root = tmp_path / "mmprolong"
    samples = []
    for number in range(9):
        sample = make_sample(number, pages=1 + number % 3, images=document_pages(number, 1 + number % 3))
        grid = PageDecoder(16, 2, 1).grid(list(sample.images), sample.id)
        tokens = len(ChatEncoder(qwen3, system=False).encode(sample.messages, grid))
        samples.append(dataclasses.replace(sample, num_tokens=tokens))
    write_dataset(root, shards={("extract_single", "train"): [samples]})
    changed = {"data__configs": {"extract_single": 1.0}, "data__max_tokens": 256, "run__global_batch_tokens": 512}
    changed |= {"run__token_budget": 1200}
    logs = []
    for ranks, sp in ((1, 1), (4, 2)):
        out = tmp_path / f"run{ranks}"
        config = settings(qwen3, root, out, parallel__sp=sp, run__export=ranks == 1, **changed)
        assert run_ranks(ranks, tmp_path, train, config) == ["done"] * ranks
        logs.append(out)
    same_curve(logs[1], logs[0])
    assert rows(logs[0])[-1]["loss"] < rows(logs[0])[0]["loss"]
    load_reference(logs[0] / "model")


def test_frozen_parts_stay_as_they_are(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    changed = {"model__freeze": ["vision", "embeddings"], "run__token_budget": 2000, "run__checkpoint_every": 1}
    config = settings(qwen2_5, dataset, out, parallel__sp=2, **changed)
    assert run_ranks(2, tmp_path, train, config) == ["done"] * 2
    after, before = load_model(out / "model"), load_model(qwen2_5)
    for (name, a), (_, b) in zip(after.named_parameters(), before.named_parameters(), strict=True):
        frozen = ("visual" in name and "merger" not in name) or "embed_tokens" in name
        assert torch.equal(a, b) == frozen, name


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


def test_a_dataset_for_pages_of_another_size_is_refused(qwen2_5: Path, tmp_path: Path) -> None:
    """Packs are planned by the dataset's numbers; the model makes more tokens of the same pages."""
    root = tmp_path / "mmprolong"
    samples = [make_sample(n, pages=2, images=document_pages(n, 2), num_tokens=30) for n in range(8)]
    write_dataset(root, shards={("extract_single", "train"): [samples]})
    config = settings(
        qwen2_5, root, tmp_path / "run", data__configs={"extract_single": 1.0}, run__global_batch_tokens=512
    )
    (result,) = run_ranks(1, tmp_path, train, config)
    assert "a pack planned for 240 tokens has " in result
    assert (
        "Remedy: build it with tasks.tokenizer = the model's tokenizer.json, and for this model's page size" in result
    )


def test_the_command_under_torchrun(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    """As a user starts it: two processes, settings from a file and from the command line, and what is left behind."""
    (tmp_path / "run.yaml").write_text(
        f"model: {{path: '{qwen2_5}', dtype: float32}}\ndata: {{path: '{dataset}', max_tokens: 512, threads: 1}}\n"
        "run: {global_batch_tokens: 1024, token_budget: 1500, threads: 1}\n",
        encoding="utf-8",
    )
    words = ["--standalone", "--nproc-per-node", "2", "-m", "mmprolong_trainer", "run.yaml"]
    words += ["--set", "data.configs={extract_single: 1.0}", "--set", "run.out=out"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"parameters, [\d,]+ trained, RoPE base 1e\+06, attention sdpa\n", done.stdout), done.stdout
    assert "Processes: 2 = dp 2 x sp 1 on cpu; a step: 2 packs of 512 tokens\n" in done.stdout
    assert done.stdout.count("step      1  loss") == 1
    assert rows(tmp_path / "out")[-1]["tokens"] >= 1500
    load_reference(tmp_path / "out" / "model")


def check(config: TrainConfig) -> tuple[str, str]:
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        return run_training(config, start_world(1), check=True), told.getvalue()


def test_check_tells_what_a_run_would_do_and_takes_no_step(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ((result, told),) = run_ranks(1, tmp_path, check, settings(qwen2_5, dataset, out))
    assert result == "checked"
    found = re.search(r"An epoch: (\d+) samples in (\d+) packs, fill ([\d.]+); their lengths allow ([\d.]+)", told)
    assert found, told
    assert int(found[1]) == 40  # 28 of 0.7, so 12 of the 14 of 0.3
    assert float(found[3]) <= float(found[4]) <= 1
    assert re.search(r"First pack: \d samples, \d+ pages, \d+ tokens, \d+ with loss, largest position \d+", told), told
    assert rows(out) == []
    assert states(out) == []


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
    assert [row["loss"] for row in logs[0]] == pytest.approx([row["loss"] for row in logs[1]], rel=1e-6)


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
