"""The loss: labelled positions only, in chunks, as a sum that any number of ranks and packs can add up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def cross_entropy_sums(
    hidden: Tensor, labels: Tensor, groups: Tensor, num_groups: int, head: nn.Module, chunk: int
) -> tuple[Tensor, Tensor]:
    """Cross-entropy summed over labelled positions, without ever holding the logits of more than ``chunk`` of them.

    Positions without a label (prompt, page images) are dropped before the output layer. A chunk's logits are computed
    again in the backward pass. At 16,384 positions and a vocabulary of 152,064 the full float32 logits alone take 9.3
    GiB.

    Args:
        hidden: [S, H], the last hidden states.
        labels: [S] int64, the token that each position must predict, or -100.
        groups: [S] int64 in 0 .. num_groups - 1: to which sum a position counts (a dataset config, for the log).
        head: The output layer, H -> vocabulary.
        chunk: Positions at a time.

    Returns:
        (total, per group): the sum with gradient, and [num_groups] float64 sums without; both in float32 arithmetic.
    """
    places = torch.nonzero(labels >= 0).flatten()
    targets, kinds = labels[places], groups[places]
    selected = hidden.index_select(0, places)
    per_group = torch.zeros(num_groups, dtype=torch.float64, device=hidden.device)
    # The empty slice keeps the output layer in the graph of a rank without labels: every rank must reduce its gradient.
    total = _chunk_losses(selected[:0], targets[:0], head).sum() + hidden[:1].float().sum() * 0.0
    for start in range(0, len(places), chunk):
        piece = slice(start, start + chunk)
        losses: Tensor = checkpoint(_chunk_losses, selected[piece], targets[piece], head, use_reentrant=False)
        total = total + losses.sum()
        per_group.index_add_(0, kinds[piece], losses.detach().double())
    return total, per_group


def _chunk_losses(hidden: Tensor, targets: Tensor, head: nn.Module) -> Tensor:
    return F.cross_entropy(head(hidden).float(), targets, reduction="none")
