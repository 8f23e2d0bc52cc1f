"""Ulysses sequence parallelism: exchange between ranks that share one sequence, differentiable.

Around attention an all-to-all turns "all heads of my part of the sequence" into "my heads of the whole sequence" and
back (Jacobs et al., DeepSpeed Ulysses, arXiv 2309.14509). The vision tower is split by whole pages instead: each rank
encodes some, and ``repartition`` sends every feature row to the rank whose part of the sequence it stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _AllToAll(torch.autograd.Function):
    """``all_to_all_single`` of rows with uneven splits; its gradient travels the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, send: list[int], receive: list[int], group: dist.ProcessGroup) -> Tensor:
        ctx.send, ctx.receive, ctx.group = send, receive, group
        out = x.new_empty((sum(receive), *x.shape[1:]))
        dist.all_to_all_single(out, x.contiguous(), receive, send, group=group)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        out = gradient.new_empty((sum(ctx.send), *gradient.shape[1:]))
        dist.all_to_all_single(out, gradient.contiguous(), ctx.send, ctx.receive, group=ctx.group)
        return out, None, None, None


def all_to_all(x: Tensor, send: Sequence[int], receive: Sequence[int], group: dist.ProcessGroup) -> Tensor:
    """Send the first ``send[0]`` rows of ``x`` to rank 0 of the group, the next ``send[1]`` to rank 1 ...

    Returns:
        The rows received, ordered by sender: ``[sum(receive), ...]``.
    """
    result: Tensor = _AllToAll.apply(x, list(send), list(receive), group)  # type: ignore[no-untyped-call]
    return result


def repeat_heads(x: Tensor, ranks: int) -> Tensor:
    """Repeat key or value heads ``[S, H, D]`` so that every rank gets at least one; autograd adds their gradients up.

    Raises:
        ValueError: neither of the number of heads and ranks divides the other.
    """
    heads = x.shape[1]
    if heads % ranks == 0:
        return x
    if ranks % heads:
        raise ValueError(f"{heads} key/value heads cannot be spread over {ranks} ranks")
    return x.repeat_interleave(ranks // heads, dim=1)


def gather_sequence(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """``[S / P, H, D]`` of this rank's part -> ``[S, H / P, D]``: its heads of the whole sequence (equal parts)."""
    ranks = dist.get_world_size(group)
    part, heads, width = x.shape
    rows = x.view(part, ranks, heads // ranks, width).transpose(0, 1).reshape(ranks * part, heads // ranks, width)
    return all_to_all(rows, [part] * ranks, [part] * ranks, group)


def gather_heads(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """The inverse of ``gather_sequence``: ``[S, H / P, D]`` -> ``[S / P, H, D]``."""
    ranks = dist.get_world_size(group)
    part, heads, width = x.shape[0] // ranks, x.shape[1], x.shape[2]
    rows = all_to_all(x, [part] * ranks, [part] * ranks, group)
    return rows.view(ranks, part, heads, width).transpose(0, 1).reshape(part, ranks * heads, width)


def split_pages(patches: Sequence[int], ranks: int) -> list[int]:
    """First page of every rank's share: whole pages in order, balanced by their patches.

    Returns:
        ``ranks + 1`` ascending page numbers, the first 0, the last ``len(patches)``. A share may be empty.
    """
    bounds, done, page = [0], 0, 0
    total = sum(patches)
    for rank in range(1, ranks):
        target = total * rank / ranks
        while page < len(patches) and done + patches[page] / 2 <= target:
            done += patches[page]
            page += 1
        bounds.append(page)
    return [*bounds, len(patches)]


def repartition(features: Tensor, owned: Sequence[Sequence[int]], group: dist.ProcessGroup) -> Tensor:
    """Send feature rows from the ranks that encoded them to the ranks whose part of the sequence needs them.

    Args:
        features: ``[n, H]``: the rows this rank made, in sequence order.
        owned: ``owned[i][j]``: how many rows rank i has made that rank j needs; the same on all ranks. Rows of a rank
        are
            contiguous in the sequence and ordered, so that the rows for rank 0 come first.

    Returns:
        The rows that this rank needs, in sequence order.
    """
    rank = dist.get_rank(group)
    return all_to_all(features, owned[rank], [row[rank] for row in owned], group)
