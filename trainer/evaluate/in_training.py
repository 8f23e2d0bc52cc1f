"""A small probe inside a training run: loss and exact answers on held-out samples, by length, in all processes.

One forward pass with the right answer decides both: greedy decoding follows the answer as long as every token of it is
the likeliest one given those before. So nothing is generated, sharded parameters and shared sequences work as in
training, and a measurement costs less than a step over the same tokens.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmprolong_data.errors import MMProLongError

from ..batch import Document, RankBatch, make_batch
from ..encode import ChatEncoder
from ..images import PageDecoder
from ..loss import cross_entropy_sums
from ..packed import PackedModel
from ..parallel import World
from .items import Item, length_name
from .suites import choose, open_suite


class TrainingProbe:
    """Samples of a suite, measured whenever it is asked."""

    def __init__(
        self, path: Path, per_cell: int, max_tokens: int, encoder: ChatEncoder, decoder: PageDecoder, world: World
    ) -> None:
        """Choose the samples; nothing is decoded yet.

        Args:
            path: A probe suite, or a dataset whose validation split serves.
            per_cell: Samples of each task at each length.
            max_tokens: Longer samples are left out.
            encoder, decoder: Of the model.
            world: The processes; all of them must call ``measure`` together.

        Raises:
            MMProLongError: no suite there, or nothing in it is short enough.
        """
        suite = open_suite("probe", path)
        lengths = sorted({item.length for item in suite.items if item.length <= max_tokens})
        if not lengths:
            raise MMProLongError(
                f"{path}: no sample of at most {max_tokens:,} tokens. Remedy: mmprolong build-probe with such --lengths"
            )
        self._items = list(choose(suite, lengths, limit=per_cell).items)
        self._encoder, self._decoder, self._world = encoder, decoder, world

    def __len__(self) -> int:
        return len(self._items)

    def measure(self, model: PackedModel) -> dict[str, float]:
        """``probe/loss`` (nats a token of the answers), ``probe/exact`` (0 to 1), ``probe/exact_32K`` for each length.

        Every process must call this at the same point; all get the same values. The model's mode stays as it was.
        """
        forward = _forward_of(model)
        world = self._world
        rounds = -(-len(self._items) // world.dp)
        training = model.training
        model.eval()
        keys = sorted({item.length for item in self._items})
        # loss, tokens, then (exact, all) for each length
        sums = [0.0, 0.0] + [0.0] * (2 * len(keys))
        try:
            for number in range(rounds):
                place = number * world.dp + world.dp_rank
                item = self._items[place] if place < len(self._items) else None
                loss, wrong, labelled = self._one(forward, item)
                if item is None:
                    continue
                sums[0] += loss
                sums[1] += labelled
                if world.sp_rank == 0:
                    slot = 2 + 2 * keys.index(item.length)
                    sums[slot] += wrong == 0
                    sums[slot + 1] += 1
        finally:
            model.train(training)
        totals = world.sum(sums)
        cells = {length: (totals[2 + 2 * n], totals[3 + 2 * n]) for n, length in enumerate(keys)}
        values = {f"probe/exact_{length_name(length)}": exact / all_ for length, (exact, all_) in cells.items()}
        values["probe/exact"] = sum(exact for exact, _ in cells.values()) / len(self._items)
        return values | {"probe/loss": totals[0] / max(1.0, totals[1])}

    def _one(self, forward: Any, item: Item | None) -> tuple[float, float, float]:
        """(loss, wrong tokens of the whole sample, labelled tokens of this rank's part)."""
        document = self._document(item)
        batch = make_batch([document], self._world.sp_rank, self._world.sp, self._decoder).to(self._world.device)
        with torch.no_grad():
            loss, wrong = forward(batch)
        labelled = float((batch.targets >= 0).sum())
        wrong_all = _sum_over_sequence(wrong, self._world)
        return float(loss), wrong_all, labelled

    def _document(self, item: Item | None) -> Document:
        grid = self._decoder.grid([], "filler")
        if item is None:  # every process must make the same number of forward passes
            return Document(self._encoder.filler(), None, grid, 0, "", [])
        pages = list(item.load())
        grid = self._decoder.grid(pages, item.key)
        answer = {"role": "assistant", "content": [{"type": "text", "text": item.answer}]}
        encoded = self._encoder.encode([*item.messages(), answer], grid)
        return Document(encoded, None, grid, 0, item.key, pages)


def _probe_forward(self: PackedModel, batch: RankBatch) -> tuple[Tensor, Tensor]:
    """The summed loss of this rank's labelled positions, and how many of them are not the likeliest token."""
    hidden = self.hidden_states(batch)
    head: Any = self.model.lm_head
    loss, _ = cross_entropy_sums(hidden, batch.targets, batch.groups, self._groups, head, self._chunk)
    places = torch.nonzero(batch.targets >= 0).flatten()
    wrong = torch.zeros((), dtype=torch.float32, device=hidden.device)
    for start in range(0, len(places), self._chunk):
        part = places[start : start + self._chunk]
        wrong += (head(hidden[part]).argmax(dim=-1) != batch.targets[part]).sum()
    return loss, wrong


def _forward_of(model: PackedModel) -> Any:
    """``_probe_forward`` as a method that gathers sharded parameters as ``forward`` does."""
    if not hasattr(model, "probe_forward"):
        from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method

        model.probe_forward = types.MethodType(_probe_forward, model)  # type: ignore[assignment]
        if isinstance(model, FSDPModule):
            register_fsdp_forward_method(model, "probe_forward")
    return model.probe_forward


def _sum_over_sequence(value: Tensor, world: World) -> float:
    if world.sp == 1:
        return float(value)
    import torch.distributed as dist

    total = value.clone()
    dist.all_reduce(total, group=world.sequence_group)
    return float(total)
