"""The loss equals plain cross-entropy, and never holds more logits than asked."""

from __future__ import annotations

import pytest
import torch
from mmprolong_trainer.loss import cross_entropy_sums
from torch import nn


class Recorder(nn.Linear):
    """An output layer that remembers how many positions it was called with."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes, bias=False)
        self.calls: list[int] = []

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(hidden))
        return super().forward(hidden)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_sums_and_gradients_equal_full_logits(chunk: int, share: float) -> None:
    torch.manual_seed(0)
    head = Recorder(8, 50)
    hidden = torch.randn(40, 8, requires_grad=True)
    targets = torch.randint(0, 50, (40,))
    targets[torch.rand(40) >= share] = -100
    groups = torch.arange(40) % 3
    total, sums = cross_entropy_sums(hidden, targets, groups, 3, head, chunk)
    gradients = torch.autograd.grad(total, (hidden, head.weight))

    losses = nn.functional.cross_entropy(nn.functional.linear(hidden, head.weight), targets, reduction="none")
    expected = torch.autograd.grad(losses.sum(), (hidden, head.weight))
    assert float(total.detach()) == pytest.approx(float(losses.sum().detach()), rel=1e-6)
    for group in range(3):
        assert float(sums[group]) == pytest.approx(float(losses[groups == group].sum().detach()), rel=1e-6)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert max(head.calls) <= min(chunk, int((targets >= 0).sum()))


def test_arithmetic_is_float32_under_bfloat16() -> None:
    torch.manual_seed(0)
    head = Recorder(16, 200).to(torch.bfloat16)
    hidden = torch.randn(30, 16, dtype=torch.bfloat16)
    targets = torch.randint(0, 200, (30,))
    total, _ = cross_entropy_sums(hidden, targets, torch.zeros(30, dtype=torch.int64), 1, head, 8)
    expected = nn.functional.cross_entropy(head(hidden).float(), targets, reduction="sum")
    assert total.dtype == torch.float32
    assert float(total.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
