"""The trainer's claims, measured: memory of the loss, a step at growing context, waiting for data, fill of packs.

    python benchmarks/trainer.py loss                      loss of 16,384 positions: full logits, torch's fused, ours
    python benchmarks/trainer.py step --most 8192          growing context, ours beside transformers' Trainer
    python benchmarks/trainer.py fill FILE.parquet ...     packing by window beside the best possible: of an index,
                                                           or of a build to come (DATASET/.work/inventory.parquet)
    python benchmarks/trainer.py wait RUN/metrics.jsonl    share of the steps of a run that waited for data

Every measurement runs in a process of its own, so that peaks do not mix; peak memory is what the process grew by.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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


def one_step(kind: str, tokens: int, folder: str) -> None:
    """One training step of a tiny model on one document of about ``tokens`` tokens, after one to warm up."""
    import numpy as np
    import torch
    from mmprolong_trainer import attention, model, rope
    from mmprolong_trainer.batch import Document, make_batch
    from mmprolong_trainer.config import Optimizer
    from mmprolong_trainer.encode import ChatEncoder
    from mmprolong_trainer.images import PageDecoder
    from mmprolong_trainer.packed import PackedModel
    from mmprolong_trainer.prepare import load_config
    from mmprolong_trainer.schedule import make_optimizer, scale_and_clip

    from mmprolong_data.chat import build_messages

    torch.set_num_threads(1)
    path = Path(folder)
    grid = np.array([[1, 32, 24]] * max(1, tokens // 200))  # pages of 192 tokens
    pixels = np.random.default_rng(0).integers(0, 256, (int(grid.prod(axis=1).sum()), 588), dtype=np.uint8)
    encoded = ChatEncoder(path).encode(build_messages("What is it?", "12", len(grid)), grid)
    config = load_config(path)
    cpu = torch.device("cpu")
    if kind == "ours":
        attention.select_kernel("auto", cpu, torch.float32)
        built = model.build_model(config)
        attention.attach(built)
        model.materialize(built, cpu)
        model.load_weights(built, path)
        rope.check_built(built, rope.base_of(config.text_config))
        model.checkpoint_activations([part for parts in model.layers(built) for part in parts], offload=False)
        packed = PackedModel(built, 1024).train()
        optimizer = make_optimizer(packed, Optimizer())

        def ours() -> None:
            batch = make_batch([Document(encoded, pixels, grid, 0, "x")], 0, 1, PageDecoder(14, 2, 1))
            packed(batch)[0].backward()
            scale_and_clip(packed, batch.labelled, 1.0)
            optimizer.step()
            optimizer.zero_grad()

        measured(ours)
        return
    from transformers import Qwen2_5_VLForConditionalGeneration, Trainer, TrainingArguments

    reference = Qwen2_5_VLForConditionalGeneration.from_pretrained(path, attn_implementation="sdpa")
    ids = torch.from_numpy(encoded.ids)
    labels = torch.full_like(ids, -100)
    labels[1:] = torch.from_numpy(encoded.targets[:-1])
    values = PackedModel(reference, 8).normalize(torch.from_numpy(pixels), torch.float32)
    item = {
        "input_ids": ids[None], "labels": labels[None], "pixel_values": values,
        "image_grid_thw": torch.from_numpy(grid), "mm_token_type_ids": torch.from_numpy(encoded.is_image)[None].int(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch, max_steps=1, per_device_train_batch_size=1, gradient_checkpointing=True, report_to=[],
            save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        trainer = Trainer(reference, arguments, train_dataset=[item], data_collator=lambda rows: rows[0])
        measured(trainer.train)


def step(most: int) -> None:
    """The table of steps."""
    from mmprolong_trainer import tiny

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = tiny.write_tokenizer(Path(folder), ["Page 1: What is it? 12 system user assistant"] * 9, 32_000)
        config = tiny.tiny_config("qwen2_5_vl", max(vocabulary, 32_000))
        tiny.write_tiny_model(Path(folder), config)
        print("One step of a tiny Qwen2.5-VL, vocabulary 32,000, one document, recomputation on, float32, one thread\n")
        print(f"{'tokens':>8}  {'trainer':22} {'+ MiB':>8} {'CPU s':>7} {'wall s':>7}")
        tokens = 2048
        while tokens <= most:
            for kind in ("ours", "transformers Trainer"):
                memory, cpu, wall = child("one-step", kind, tokens, folder)
                print(f"{tokens:8,}  {kind:22} {memory:8.0f} {cpu:7.1f} {wall:7.1f}", flush=True)
            tokens *= 2


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
    parser.add_argument("what", choices=("loss", "step", "fill", "wait", "one-loss", "one-step"))
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--most", type=int, default=8192, help="step: the longest context")
    options = parser.parse_args()
    if options.what == "loss":
        loss()
    elif options.what == "step":
        step(options.most)
    elif options.what == "fill":
        fill([Path(path) for path in options.arguments])
    elif options.what == "wait":
        wait(Path(options.arguments[0]))
    elif options.what == "one-loss":
        one_loss(options.arguments[0])
    else:
        one_step(options.arguments[0], int(options.arguments[1]), options.arguments[2])


if __name__ == "__main__":
    main()
