"""The exported run in VeOmni itself, on CPUs, in an environment of its own: `make test-veomni`; skipped otherwise."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.veomni import ON_CPU, SCRIPTS, SDPA

PYTHON = os.environ.get("VEOMNI_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-veomni runs this")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a dataset and two runs: `packed.yaml`, and `run.yaml` with one document a pack."""
    from mmprolong_trainer.encode import ChatEncoder
    from mmprolong_trainer.images import PageDecoder
    from support.samples import document_pages, make_sample, write_dataset
    from support.vlm import tiny_folder

    folder = tmp_path_factory.mktemp("veomni")
    model = tiny_folder(folder / "model")
    samples = []
    for number in range(12):
        sample = make_sample(number, pages=1 + number % 4, images=document_pages(number, 1 + number % 4))
        grid = PageDecoder(14, 2, 1).grid(list(sample.images), sample.id)
        tokens = len(ChatEncoder(model).encode(sample.messages, grid))
        samples.append(dataclasses.replace(sample, num_tokens=tokens))
    write_dataset(folder / "mmprolong", shards={("extract_single", "train"): [samples]})
    text = """
model: {path: model, dtype: float32}
data: {path: mmprolong, configs: {extract_single: 1.0}, max_tokens: 512, pack: PACK, threads: 1}
optimizer: {lr: 1e-3, min_lr: 1e-3, warmup: 0.0}
run: {out: ours, token_budget: 4096, global_batch_tokens: 1024, checkpoint_every: 0, threads: 1, export: false}
"""
    for name, pack in (("run", "false"), ("packed", "true")):
        (folder / f"{name}.yaml").write_text(text.replace("PACK", pack), encoding="utf-8")
        command(sys.executable, "-m", "mmprolong_data.cli", "export-veomni", f"{name}.yaml", name, cwd=folder)
    return folder


def command(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=400, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout


def checks(folder: Path, name: str, *options: str) -> dict[str, Any]:
    output = command(PYTHON or "", SCRIPTS / "checks.py", f"{name}/veomni.yaml", *options, cwd=folder)
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def test_veomni_knows_every_setting_and_cuts_packs_where_we_do(run: Path) -> None:
    found = checks(run, "packed", *ON_CPU)
    assert found["unknown"] == []
    assert found["steps"] == 4
    bounds = [sum(found["lengths"][:number]) for number in range(len(found["lengths"]) + 1)]
    assert len(found["lengths"]) > 1
    assert found["bounds"] == bounds
    assert found["image_tokens"] == sum(found["pages"])
    assert found["position_shape"] == [1, 3, bounds[-1]]
    assert found["labels"] == found["learnt"] > 0


def test_what_the_manual_says_of_the_pixel_limit_is_so(run: Path) -> None:
    assert checks(run, "packed", *ON_CPU)["cap"] == 768 * 28 * 28


def test_attention_that_would_join_documents_is_refused(run: Path) -> None:
    assert "would see each other" in checks(run, "packed", *SDPA)["error"]


def test_four_steps_are_ours(run: Path) -> None:
    """Two processes, data-parallel: the same tokens, losses and gradient norms as our own trainer's."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command(PYTHON or "", *start, SCRIPTS / "steps.py", "losses", "run/veomni.yaml", *SDPA, cwd=run)
    parts = [json.loads((run / f"losses-{rank}").read_text(encoding="utf-8")) for rank in range(2)]
    command(sys.executable, *start, "-m", "mmprolong_trainer", "run.yaml", "--set", "run.out=mine", cwd=run)
    ours = [json.loads(line) for line in (run / "mine" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(parts[0]) == 4
    for first, second, row in zip(*parts, ours, strict=False):
        assert first["tokens"] + second["tokens"] == row["step_tokens"]
        # VeOmni scales a rank's loss by the number of ranks, because its gradients are averaged.
        assert (first["loss"] + second["loss"]) / 2 == pytest.approx(row["loss"], rel=1e-5)
        assert first["grad_norm"] == second["grad_norm"] == pytest.approx(row["grad_norm"], rel=1e-5)
