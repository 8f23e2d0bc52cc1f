"""Losses and gradients of every parallel shape equal those of plain transformers on one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmprolong_trainer.attention import attach, select_kernel
from mmprolong_trainer.batch import Document, make_batch
from mmprolong_trainer.config import Optimizer
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.model import build_model, checkpoint_activations, layers, load_weights, materialize
from mmprolong_trainer.packed import PackedModel
from mmprolong_trainer.parallel import check_heads, shard, start_world, whole
from mmprolong_trainer.prepare import load_config
from mmprolong_trainer.schedule import make_optimizer, scale_and_clip
from support.ranks import run_ranks
from support.vlm import load_reference, make_document, reference_loss

from mmprolong_data.errors import SettingsError

STEPS = 3
SETTINGS = Optimizer(lr=1e-3, weight_decay=0.1)
TOLERANCE = 1e-5


def packs_of(folder: Path) -> list[list[Document]]:
    """Four packs: several documents, one page for many ranks, no page at all, a single document."""
    documents = [
        make_document(folder, [(6, 8), (4, 4)], "What is the depth?", 0),
        make_document(folder, [(8, 6)], "user 12", 1),
        make_document(folder, [(4, 10)], "Page 1: depth", 2),
        make_document(folder, [], "What is a page?", 3),
        make_document(folder, [(6, 6), (6, 6), (4, 8)], "assistant?", 4),
    ]
    return [documents[:2], documents[2:3], documents[3:4], documents[4:]]


def reference_run(folder: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of some AdamW steps and the gradients of the first, by transformers, one document at a time."""
    model = load_reference(folder)
    optimizer = make_optimizer(model, SETTINGS)
    losses, first = [], {}
    packs = packs_of(folder)
    labelled = sum(int((d.encoded.targets >= 0).sum()) for pack in packs for d in pack)
    for step in range(STEPS):
        total = sum(reference_loss(model, document) for pack in packs for document in pack)
        assert isinstance(total, torch.Tensor)
        (total / labelled).backward()
        losses.append(float(total.detach()) / labelled)
        if step == 0:
            first = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return losses, first


def parallel_run(folder: Path, sp: int, recompute: bool, packed: bool) -> tuple[list[float], dict[str, Any]]:
    """The same on the ranks of this process group."""
    world = start_world(sp)
    config = load_config(folder)
    select_kernel("auto", world.device, torch.float32)
    inner = build_model(config)
    attach(inner)
    language, vision = layers(inner)
    if recompute:
        checkpoint_activations([*language, *vision], offload=True)
    model = PackedModel(inner, 5, 3, world.sequence_group)
    shard(model, [*language, *vision], world.mesh, torch.float32, offload=False)
    materialize(model, world.device)
    load_weights(inner, folder)
    model.train()
    optimizer = make_optimizer(model, SETTINGS)
    packs = packs_of(folder)
    if not packed:
        packs = [[document] for pack in packs for document in pack]
        packs.append([make_document(folder, [(4, 4)], "x", 5)])  # six packs: a number that two ranks share evenly
        packs[-1][0].encoded.targets[:] = -100
    decoder = PageDecoder(config.vision_config.patch_size, 2, 1)
    losses, first = [], {}
    for step in range(STEPS):
        totals = [0.0, 0.0]
        for pack in packs[world.dp_rank :: world.dp]:
            batch = make_batch(pack, world.sp_rank, world.sp, decoder)
            loss, sums = model(batch)
            loss.backward()
            assert abs(float(sums.sum()) - float(loss.detach())) < 1e-3
            totals[0] += float(loss.detach())
            totals[1] += float((batch.targets >= 0).sum())
        loss_sum, labelled = world.sum(totals)
        losses.append(loss_sum / labelled)
        scale_and_clip(model, labelled, 0.0 if step == 0 else 1.0)
        if step == 0:
            first = {n: whole(p.grad).numpy().copy() for n, p in inner.named_parameters() if p.grad is not None}
            scale_and_clip(model, 1.0, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return losses, first if world.rank == 0 else {}


def all_runs(folder: Path, cases: list[tuple[int, bool, bool]]) -> list[Any]:
    return [parallel_run(folder, *case) for case in cases]


def check(reference: Any, result: Any) -> None:
    losses, gradients = result
    assert losses == pytest.approx(reference[0], rel=TOLERANCE)
    assert set(gradients) == set(reference[1])
    for name, expected in reference[1].items():
        # A rounding error stays small beside the largest gradients, not beside one that vanishes (key biases).
        scale = max(float(expected.norm()), 1e-4 * max(float(g.norm()) for g in reference[1].values()))
        assert float((torch.from_numpy(gradients[name]) - expected).norm()) <= TOLERANCE * scale, name


@pytest.mark.parametrize("kind", ["qwen2_5", "qwen3"])
def test_every_shape_equals_plain_transformers(kind: str, qwen2_5: Path, qwen3: Path, tmp_path: Path) -> None:
    folder = {"qwen2_5": qwen2_5, "qwen3": qwen3}[kind]
    reference = reference_run(folder)
    # (sp, recomputation, packed): dp1; dp2, sp2; dp2 x sp2, sp4
    cases = {1: [(1, True, True), (1, False, False)], 2: [(1, False, True), (2, True, True), (1, True, False)]}
    cases[4] = [(2, True, True), (4, False, True), (4, True, False)]
    for ranks, runs in cases.items():
        results = run_ranks(ranks, tmp_path, all_runs, folder, runs)
        for number, _ in enumerate(runs):
            check(reference, results[0][number])
            assert all(other[number][0] == results[0][number][0] for other in results)


def test_heads_that_cannot_be_spread_are_refused_with_what_can(qwen2_5: Path) -> None:
    text = load_config(qwen2_5).text_config
    check_heads(text, 4)
    with pytest.raises(SettingsError, match=r"4 query and 2 key/value heads: use one of \[1, 2, 4\]"):
        check_heads(text, 3)
