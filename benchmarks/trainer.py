"""The trainer's claims, measured: memory of the loss, a step at growing context, waiting for data, fill of packs.

    python benchmarks/trainer.py loss                      loss of 16,384 positions: full logits, torch's fused, ours
    python benchmarks/trainer.py steps [TOKENS ...]        steps at growing context, beside transformers' Trainer and
                                                           VeOmni (where .venv-veomni is: make test-veomni makes it)
    python benchmarks/trainer.py fill FILE.parquet ...     packing by window beside the best possible: of an index,
                                                           or of a build to come (DATASET/.work/inventory.parquet)
    python benchmarks/trainer.py wait RUN/metrics.jsonl    share of the steps of a run that waited for data

Every measurement runs in a process of its own, so that peaks do not mix; peak memory is what the process grew by.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

CONTEXTS = [2048, 4096, 8192, 16_384, 32_768]
STEP_VOCABULARY = 16_384
"""A ninth of the real one: transformers' logits of 32K tokens would fill this machine otherwise."""
POSITIONS, VOCABULARY, HIDDEN, CHUNK = 16_384, 32_000, 64, 512
LOSSES = ("full logits", "F.linear_cross_entropy", "ours", "full logits, 10 % labelled", "ours, 10 % labelled")


def peak() -> float:
    """Peak resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(run: Any) -> None:
    """Run once and print ``MiB grown, CPU seconds, wall seconds`` for the parent."""
    before, cpu, wall = peak(), time.process_time(), time.perf_counter()
    run()
    print(json.dumps([peak() - before, time.process_time() - cpu, time.perf_counter() - wall]))


def child(*arguments: object) -> list[float]:
    """Measure in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL or "(SIGKILL)" in done.stderr:
        raise OutOfMemory
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    values: list[float] = json.loads(done.stdout.splitlines()[-1])
    return values


def one_loss(name: str) -> None:
    """Forward and backward of one way to compute the loss."""
    import torch
    from mmprolong_trainer.loss import cross_entropy_sums
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    hidden = torch.randn(POSITIONS, HIDDEN, requires_grad=True)
    head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
    targets = torch.randint(0, VOCABULARY, (POSITIONS,))
    if "10 %" in name:
        targets[torch.rand(POSITIONS) > 0.1] = -100
    groups = torch.zeros_like(targets)

    def run() -> None:
        if name.startswith("full"):
            nn.functional.cross_entropy(head(hidden).float(), targets, reduction="sum").backward()
        elif name.startswith("F."):
            options = nn.LinearCrossEntropyOptions()  # without options it holds all logits
            nn.functional.linear_cross_entropy(
                hidden, head.weight, targets, reduction="sum", options=options
            ).backward()
        else:
            cross_entropy_sums(hidden, targets, groups, 1, head, CHUNK)[0].backward()

    measured(run)


def loss() -> None:
    """The table of losses."""
    print(f"{POSITIONS:,} positions, vocabulary {VOCABULARY:,}, hidden {HIDDEN}, float32, one thread\n")
    print(f"{'loss, forward and backward':32} {'+ MiB':>8} {'CPU s':>7} {'wall s':>7}")
    for name in LOSSES:
        memory, cpu, wall = child("one-loss", name)
        print(f"{name:32} {memory:8.0f} {cpu:7.1f} {wall:7.1f}", flush=True)


STEPS = 3
"""Of which the first warms up."""


def steps(contexts: list[int], veomni: str | None) -> None:
    """The table of whole steps: our trainer, transformers' and VeOmni's on the same samples and model."""
    kinds = ["ours", "transformers Trainer", *(["VeOmni, of 2 processes"] if veomni else [])]
    print(
        f"A step of a tiny Qwen2.5-VL (vocabulary {STEP_VOCABULARY:,}), from JPEG pages to AdamW: one document,\n"
        "recomputation on, float32, one thread; mean of the steps after the first, peak of the whole process\n"
    )
    print(f"{'tokens':>8}  {'trainer':22} {'CPU s':>7} {'wall s':>7} {'waiting':>8} {'peak MiB':>9}  losses")
    for tokens in contexts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            longest = write_run(folder, tokens)
            for kind in kinds:
                try:
                    rows, most = run_steps(kind, tokens, folder, veomni)
                except OutOfMemory:
                    print(f"{longest:8,}  {kind:22} killed by the system: out of memory", flush=True)
                    continue
                kept = rows[1:]
                cpu, wall = (sum(row[key] for row in kept) / len(kept) for key in ("cpu", "seconds"))
                waiting = "-" if "wait" not in kept[0] else f"{sum(r['wait'] for r in kept) / (wall * len(kept)):8.2%}"
                losses = "" if "of 2" in kind else " ".join(f"{row['loss']:.3f}" for row in rows)
                print(f"{longest:8,}  {kind:22} {cpu:7.1f} {wall:7.1f} {waiting:>8} {most:9,.0f}  {losses}", flush=True)


def write_run(folder: Path, tokens: int) -> int:
    """A model, a dataset of documents of nearly ``tokens`` tokens, and ``run.yaml``. Returns the longest's."""
    import dataclasses

    from mmprolong_trainer import tiny
    from mmprolong_trainer.encode import ChatEncoder
    from mmprolong_trainer.images import PageDecoder
    from support.samples import document_pages, make_sample, write_dataset

    vocabulary = tiny.write_tokenizer(
        folder / "model", ["Page 1: Which code stands on page? system user assistant"] * 9
    )
    tiny.write_tiny_model(folder / "model", tiny.tiny_config("qwen2_5_vl", max(vocabulary, STEP_VOCABULARY)))
    encoder, samples = ChatEncoder(folder / "model"), []
    for number in range(2 * STEPS):
        pages = (tokens - 100) // 200  # 192 tokens of a page, and its label
        sample = make_sample(number, pages=pages, images=document_pages(number, pages, 336, 448))
        grid = PageDecoder(14, 2, 1).grid(list(sample.images), sample.id)
        samples.append(dataclasses.replace(sample, num_tokens=len(encoder.encode(sample.messages, grid))))
    write_dataset(folder / "mmprolong", shards={("extract_single", "train"): [samples]})
    (folder / "run.yaml").write_text(
        f"""
model: {{path: model, dtype: float32}}
data: {{path: mmprolong, configs: {{extract_single: 1.0}}, max_tokens: {tokens}, pack: false, threads: 1}}
optimizer: {{lr: 1e-3, min_lr: 1e-3, warmup: 0.0}}
run:
  {{out: ours, token_budget: {(STEPS - 1) * tokens + 1}, global_batch_tokens: {tokens}, checkpoint_every: 0,
   threads: 1, export: false}}
""",
        encoding="utf-8",
    )
    return max(sample.num_tokens for sample in samples)


def run_steps(kind: str, tokens: int, folder: Path, veomni: str | None) -> tuple[list[dict[str, float]], float]:
    """What each step cost, and the peak of the resident set in MiB."""
    if not kind.startswith("VeOmni"):
        output = command(sys.executable, HERE / "trainer_jobs.py", kind.split()[0], folder, cwd=folder)
        found = json.loads(output.splitlines()[-1])
        return found["steps"], found["peak"]
    from support.veomni import SCRIPTS, SDPA

    # VeOmni runs on two CPU processes, but not on one: each gets a document a step, and the first is measured.
    longer = [
        "--set=run.out=theirs",
        f"--set=run.global_batch_tokens={2 * tokens}",
        f"--set=run.token_budget={2 * (STEPS - 1) * tokens + 1}",
    ]
    command(sys.executable, "-m", "mmprolong_data.cli", "export-veomni", "run.yaml", "veomni", *longer, cwd=folder)
    start = [veomni, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command(*start, SCRIPTS / "steps.py", "steps", "veomni/veomni.yaml", *SDPA, cwd=folder)
    rows = json.loads((folder / "steps-0").read_text(encoding="utf-8"))
    return rows, rows[-1]["peak"]


class OutOfMemory(Exception):
    """A program was killed, which nobody but the kernel does here."""


def command(*words: object, cwd: Path) -> str:
    """Run a program on one thread. Returns what it printed. Raises ``OutOfMemory`` if it was killed."""
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode == -signal.SIGKILL or "(SIGKILL)" in done.stderr:
        raise OutOfMemory
    if done.returncode:
        raise SystemExit(f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def fill(paths: list[Path]) -> None:
    """The table of packing."""
    import pyarrow.parquet as pq

    from mmprolong_data.index import read_index

    for path in paths:
        if "pages" in pq.read_schema(path).names and "repeats" in pq.read_schema(path).names:
            _fill_of_plans(path)
        else:
            _fill(path.stem, [[row.tokens for row in read_index(path)]], [1.0])


def _fill_of_plans(inventory: Path) -> None:
    """Real PDFs as the samples they will be: their pages, each document in all three configs of questions."""
    import pyarrow.parquet as pq
    from mmprolong_builders.recipe import Recipe
    from mmprolong_builders.select import make_plan

    from mmprolong_data.settings import from_plain

    for name, select in {
        "pool_native, 32 to 50 pages": {"distribution": "pool_native"},
        "long_biased, 50 to 100 pages": {"distribution": "long_biased"},
        "8 to 100 pages": {"pages": [8, 100]},
    }.items():
        recipe = from_plain(Recipe, {"select": select})
        planned = make_plan(pq.read_table(inventory), recipe).documents
        tokens = [n for n, split in zip(*(planned[c].to_pylist() for c in ("tokens", "split")), strict=True)
                  if split == "train"]  # fmt: skip
        _fill(name, [tokens] * 3, list(recipe.select.mixture.values()))


def _fill(name: str, configs: list[list[int]], weights: list[float]) -> None:
    import numpy as np

    from mmprolong_data.order import fewest_packs, plan_epoch

    arrays = [np.array(tokens, np.int64) for tokens in configs]
    whole = np.concatenate(arrays)
    halves = (whole > 65_536).mean()
    print(
        f"{name}: {len(whole):,} samples, mean {whole.mean():,.0f} tokens, {halves:.0%} longer than half of 131,072\n"
    )
    print(f"{'pack':>8} {'window':>7} {'packs':>7} {'fill':>6}   {'at best':>7} {'fill':>6}")
    for limit in (65_536, 131_072, 262_144):
        kept = [tokens[tokens <= limit] for tokens in arrays]
        if not all(map(len, kept)):
            continue
        for window in (1, 64, 256, 4096):
            plan = plan_epoch(
                kept, [str(n) for n in range(len(kept))], weights, seed=0, epoch=0, max_tokens=limit, window=window
            )
            lengths = np.concatenate([kept[n][plan.row[plan.source == n]] for n in range(len(kept))])
            best = fewest_packs(lengths, limit)
            print(
                f"{limit:8,} {window:7,} {plan.num_packs:7,} {plan.fill:6.3f}   {best:7,}"
                f" {lengths.sum() / (best * limit):6.3f}"
            )
    print()


def wait(path: Path) -> None:
    """Share of time that steps waited for data."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    seconds = sum(row["seconds"] for row in rows)
    waited = sum(row["seconds"] * row["data_wait"] for row in rows)
    later = rows[1:] or rows
    print(f"{len(rows)} steps, {seconds:.1f} s, {waited:.2f} s of them waiting for data: {waited / seconds:.2%}")
    share = sum(row["seconds"] * row["data_wait"] for row in later) / sum(row["seconds"] for row in later)
    print(f"without the first step: {share:.2%}")


def main() -> None:
    """Choose a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("loss", "steps", "fill", "wait", "one-loss"))
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.what == "loss":
        loss()
    elif options.what == "steps":
        python = HERE.parent / ".venv-veomni" / "bin" / "python"
        steps([int(word) for word in options.arguments] or CONTEXTS, str(python) if python.exists() else None)
    elif options.what == "fill":
        fill([Path(path) for path in options.arguments])
    elif options.what == "wait":
        wait(Path(options.arguments[0]))
    else:
        one_loss(options.arguments[0])


if __name__ == "__main__":
    main()
