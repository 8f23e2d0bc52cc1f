"""Documents in a pack never see each other, whichever kernel runs; and the mistakes that would let them are caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmprolong_trainer import attention
from mmprolong_trainer.batch import make_batch
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.packed import PackedModel
from support.vlm import load_model, load_reference, make_document, reference_loss

from mmprolong_data.errors import MMProLongError

CPU = torch.device("cpu")


def naive(q: Any, k: Any, v: Any, cu: Any, scale: float | None, causal: bool) -> torch.Tensor:
    """One full matrix of scores with the segments cut out by hand."""
    repeat = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * (scale or q.shape[-1] ** -0.5)
    segment = torch.bucketize(torch.arange(len(q)), cu[1:], right=True)
    allowed = segment[:, None] == segment[None]
    if causal:
        allowed &= torch.tril(torch.ones_like(allowed))
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, v)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("bounds", [[0, 9], [0, 4, 8, 12, 13], [0, 5, 5, 8, 13]])
def test_segments_equal_one_masked_matrix(causal: bool, bounds: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(bounds[-1], 4, 8, generator=generator, requires_grad=True)
    k, v = (torch.randn(bounds[-1], 2, 8, generator=generator) for _ in range(2))
    cu = torch.tensor(bounds, dtype=torch.int32)
    ours = attention.sdpa_segments(q, k, v, cu, 9, 0.3, causal)
    theirs = naive(q, k, v, cu, 0.3, causal)
    assert torch.allclose(ours, theirs, atol=1e-6)
    (gradient,) = torch.autograd.grad(ours.square().sum(), q)
    (expected,) = torch.autograd.grad(theirs.square().sum(), q)
    assert torch.allclose(gradient, expected, atol=1e-5)


def test_arguments_of_torchs_varlen_kernel() -> None:
    """The kernel runs on CUDA alone: what it is called with is checked against its documented meaning."""

    def documented(q, k, v, cu_q, cu_k, max_q, max_k, *, scale, window_size):  # type: ignore[no-untyped-def]
        assert q.shape == k.shape == v.shape
        assert torch.equal(cu_q, cu_k)
        assert max_q == max_k == int((cu_q[1:] - cu_q[:-1]).max())
        return naive(q, k, v, cu_q, scale, causal=window_size == (-1, 0))

    import inspect

    from torch.nn.attention.varlen import varlen_attn

    names = list(inspect.signature(varlen_attn).parameters)
    assert names[:7] == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
    assert {"scale", "window_size"} <= set(names)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(7, heads, 8, generator=generator) for heads in (4, 2, 2))
    cu = torch.tensor([0, 3, 7], dtype=torch.int32)
    for causal in (True, False):
        out = attention.call_varlen(documented, q, k, v, cu, 4, None, causal)
        assert torch.allclose(out, attention.sdpa_segments(q, k, v, cu, 4, None, causal), atol=1e-6)


def leak(folder: Path) -> tuple[float, float]:
    """How far the second document's states move when the first one's content changes, and when its own does."""
    model = PackedModel(load_model(folder), 16, 3)
    patch = model.model.config.vision_config.patch_size  # type: ignore[union-attr]
    decoder = PageDecoder(patch, 2, 1)

    def states(first: int, second: int) -> torch.Tensor:
        documents = [
            make_document(folder, [(6, 8), (4, 4)], "What is the depth?", first),
            make_document(folder, [(6, 6)], "user 12", second),
        ]
        start = len(documents[0].encoded)
        with torch.no_grad():
            return model.hidden_states(make_batch(documents, 0, 1, decoder))[start:]

    base = states(1, 2)
    return float((states(4, 2) - base).abs().max()), float((states(1, 5) - base).abs().max())


@pytest.mark.parametrize("kind", ["qwen2_5", "qwen3"])
def test_documents_of_a_pack_never_see_each_other(kind: str, request: pytest.FixtureRequest) -> None:
    other, own = leak(request.getfixturevalue(kind))
    assert other == 0
    assert own > 1e-2


def test_the_leak_test_can_fail(qwen2_5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(q, k, v, cu, longest, scale, causal):  # type: ignore[no-untyped-def]
        whole = torch.tensor([0, len(q)], dtype=torch.int32)
        return attention.sdpa_segments(q, k, v, whole, len(q), scale, causal)

    monkeypatch.setattr(attention, "_load", lambda name: blind)
    assert leak(qwen2_5)[0] > 1e-3
    monkeypatch.undo()
    attention.select_kernel("auto", CPU, torch.float32)


@pytest.mark.parametrize("kind", ["qwen2_5", "qwen3"])
def test_a_pack_costs_the_sum_of_its_documents(kind: str, request: pytest.FixtureRequest) -> None:
    """Against plain transformers with eager attention, document by document; and each group's loss apart."""
    folder = request.getfixturevalue(kind)
    documents = [
        make_document(folder, [(6, 8), (4, 4)], "What is the depth?", 0),
        make_document(folder, [(8, 10)], "user 12", 1),
        make_document(folder, [], "no page", 2),
    ]
    model = PackedModel(load_model(folder), 7, 3)
    batch = make_batch(documents, 0, 1, PageDecoder(model.model.config.vision_config.patch_size, 2, 1))  # type: ignore[union-attr]
    total, groups = model(batch)
    reference = load_reference(folder)
    expected = [float(reference_loss(reference, document).detach()) for document in documents]
    assert groups.tolist() == pytest.approx(expected, rel=1e-5)
    assert float(total.detach()) == pytest.approx(sum(expected), rel=1e-5)


def test_three_rows_of_positions_would_be_the_trap(qwen2_5: Path) -> None:
    """transformers tells documents apart by a fourth row; ours carries it, restarting with each document."""
    documents = [make_document(qwen2_5, [(4, 4)], "a", 0), make_document(qwen2_5, [(4, 4)], "b", 1)]
    batch = make_batch(documents, 0, 1, PageDecoder(14, 2, 1))
    length = len(documents[0].encoded)
    assert batch.position_ids.shape == (4, 1, 2 * length)
    assert np.array_equal(batch.position_ids[0, 0].numpy(), np.tile(np.arange(length), 2))


def test_masks_batches_and_unavailable_kernels_are_refused() -> None:
    q = torch.zeros(1, 2, 3, 4)
    module = torch.nn.Module()
    with pytest.raises(MMProLongError, match="without a mask"):
        attention.attention_forward(module, q, q, q, torch.zeros(3, 3))
    with pytest.raises(MMProLongError, match="one unpadded sequence"):
        attention.attention_forward(module, q.repeat(2, 1, 1, 1), q, q, None)
    with pytest.raises(MMProLongError, match=r"model\.attention = flash_attn"):
        attention.select_kernel("flash_attn", CPU, torch.bfloat16)
    assert attention.select_kernel("auto", CPU, torch.float32) == "sdpa"
