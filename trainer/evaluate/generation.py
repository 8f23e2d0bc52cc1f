"""Greedy decoding with a key-value cache, on the trainer's own model and attention.

The prompt goes through in one forward pass, with the attention that training uses; after it every token attends to the
cache. Positions of generated tokens go on where M-RoPE left off behind the last page or word.

Processes that share a prompt (Ulysses) encode some of its pages each, and keep the keys and values of their part of it.
Every token behind the prompt goes through all of them; each attends to its part, and the parts are put together by
their softmax sums. The first process keeps the keys and values of new tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmprolong_data.errors import MMProLongError

from ..attention import attach, attention_forward, select_kernel
from ..batch import Document, RankBatch, make_batch
from ..encode import ChatEncoder, Encoded
from ..images import PageDecoder
from ..model import build_model, load_weights, materialize
from ..packed import PackedModel
from ..parallel import World, check_heads
from ..prepare import load_config

NAME = "mmprolong_flash_cached"
"""Contains "flash", as the trainer's: transformers builds no mask."""


def cached_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    sequence_group: dist.ProcessGroup | None = None,
    counted: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The trainer's attention for a prompt; for one new token, attention to all that is cached.

    Args:
        module: Its ``is_causal`` counts for a prompt.
        query: [1, heads, S, D]; S is 1 behind a prompt.
        key, value: [1, key heads, cached + S, D].
        attention_mask: None.
        scaling: Of the scores.
        dropout: 0.
        sequence_group: Processes that share the prompt.
        counted: With them: how many of this process's keys a new token attends to.
        kwargs: See ``attention.attention_forward``.

    Returns:
        [1, S, heads, D], and no weights.
    """
    if key.shape[2] == query.shape[2]:
        kwargs["sequence_group"] = sequence_group
        return attention_forward(module, query, key, value, attention_mask, scaling, dropout, **kwargs)
    if query.shape[2] != 1:
        raise MMProLongError("only single tokens can follow a prompt in the cache")
    if sequence_group is not None and counted is not None:
        return shared_attention(query, key[:, :, :counted], value[:, :, :counted], scaling, sequence_group), None
    grouped = query.shape[1] != key.shape[1]
    out = F.scaled_dot_product_attention(query, key, value, scale=scaling, enable_gqa=grouped)
    return out.transpose(1, 2), None


def shared_attention(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, group: dist.ProcessGroup
) -> Tensor:
    """Attention of one token to keys that are spread over processes, put together by the softmax's own sums.

    Args:
        query: [1, heads, 1, D], the same on all.
        key, value: [1, key heads, n, D] of this process; n may be 0.
        scaling: Of the scores.
        group: The processes.

    Returns:
        [1, 1, heads, D], the same on all.
    """
    heads, width = query.shape[1], query.shape[3]
    grouped = query[0].view(key.shape[1], heads // key.shape[1], width).float()
    scores = grouped @ key[0].float().transpose(1, 2) * (width**-0.5 if scaling is None else scaling)
    largest = scores.amax(-1, keepdim=True) if key.shape[2] else scores.new_full((*scores.shape[:2], 1), -torch.inf)
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=group)
    weights = (scores - largest).exp()
    sums = torch.cat([weights @ value[0].float(), weights.sum(-1, keepdim=True)], dim=-1)
    dist.all_reduce(sums, group=group)
    return (sums[..., :-1] / sums[..., -1:]).to(query.dtype).view(1, 1, heads, width)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation ready for the model: this process's part of it.

    Attributes:
        batch: Its tokens and pages.
        length: Tokens of the whole.
        position: M-RoPE position of the next token.
    """

    batch: RankBatch
    length: int
    position: int


class CachedModel(PackedModel):
    """A model that answers: prompt in, greedy tokens out. Processes that share a prompt call it together."""

    def prompt(self, prompt: Prompt, cache: Any) -> Tensor:
        """Fill the cache with a prompt. Returns the logits of the token after it: [V]."""
        batch, group = prompt.batch, self._sequence_group
        embeds, extra = self.inputs(batch)
        hidden = self._hidden(
            embeds[None],
            batch.position_ids,
            cache,
            cu_seq_lens_q=batch.cu_seqlens,
            max_length_q=batch.longest,
            sequence_group=group,
            **extra,
        )
        process, place = divmod(prompt.length - 1, len(embeds))
        if group is None:
            return self._logits(hidden[place])
        last = hidden[place].float() if process == dist.get_rank(group) else hidden.new_zeros(hidden.shape[1]).float()
        dist.all_reduce(last, group=group)
        return self._logits(last.to(hidden.dtype))

    def token(self, number: int, prompt: Prompt, spoken: int, cache: Any) -> Tensor:
        """Add a token to the cache. Returns the logits of the next: [V].

        Args:
            number: Its id.
            prompt: Before it.
            spoken: How many tokens stand between.
            cache: Of the prompt.
        """
        place, position = prompt.length + spoken, prompt.position + spoken
        extra: dict[str, Any] = {}
        if self._sequence_group is not None:
            rank, part = dist.get_rank(self._sequence_group), len(prompt.batch.input_ids)
            # The first keeps what is new; the others have put it behind theirs too, and padding before it.
            counted = part + spoken + 1 if rank == 0 else min(max(prompt.length - rank * part, 0), part)
            extra = {"sequence_group": self._sequence_group, "counted": counted}
        core: Any = self.model.model
        device = core.language_model.embed_tokens.weight.device
        ids = torch.tensor([[number]], device=device)
        positions = torch.tensor([place, position, position, position], device=device).view(4, 1, 1)
        return self._logits(self._hidden(core.language_model.embed_tokens(ids), positions, cache, **extra)[-1])

    def _hidden(self, embeds: Tensor, positions: Tensor, cache: Any, **extra: Any) -> Tensor:
        core: Any = self.model.model
        output = core.language_model(
            inputs_embeds=embeds,
            position_ids=positions,
            attention_mask=None,
            past_key_values=cache,
            use_cache=True,
            **extra,
        )
        hidden: Tensor = output.last_hidden_state[0]
        return hidden

    def _logits(self, hidden: Tensor) -> Tensor:
        head: Any = self.model.lm_head
        logits: Tensor = head(hidden[None])
        return logits[0].float()


class Generator:
    """A model folder ready to answer."""

    def __init__(
        self, folder: Path, device: torch.device, dtype: torch.dtype, threads: int = 2, world: World | None = None
    ) -> None:
        """Load the model.

        Args:
            folder: Of the model.
            device, dtype: Where and how it computes.
            threads: That decode pages.
            world: Processes that share every prompt and call ``prepare`` and ``speak`` together.

        Raises:
            MMProLongError: no model there, or of another kind.
            SettingsError: its heads cannot be spread over the processes.
        """
        from transformers import AttentionInterface

        config = load_config(folder)
        if world is not None:
            check_heads(config.text_config, world.sp, "torchrun --nproc-per-node")
        self._rank, self._ranks = (world.sp_rank, world.sp) if world else (0, 1)
        self._group = world.sequence_group if world else None
        self.kernel = select_kernel("auto", device, dtype)
        AttentionInterface.register(NAME, cached_attention)
        inner = build_model(config)
        attach(inner, NAME)
        materialize(inner, device)
        load_weights(inner, folder)
        for parameter in inner.parameters():  # not .to(dtype): it would round the rotary frequencies
            parameter.data = parameter.data.to(dtype)
        self.model = CachedModel(inner, loss_chunk=1024, sequence_group=self._group).eval().requires_grad_(False)
        self._device = device
        vision = config.vision_config
        self._decoder = PageDecoder(int(vision.patch_size), int(vision.spatial_merge_size), threads)
        system = config.model_type == "qwen2_5_vl"
        self._encoder = ChatEncoder(folder, system=system, merge_size=int(vision.spatial_merge_size))
        self._end = int(self._encoder.filler().ids[0])

    def encode(self, messages: list[dict[str, Any]], grid: Any, prefill: str = "") -> tuple[Encoded, int]:
        """A conversation up to where the assistant speaks, and the position of the next token."""
        answer = {"role": "assistant", "content": [{"type": "text", "text": prefill}]}
        whole = self._encoder.encode([*messages, answer], grid)
        cut = int(np.flatnonzero(whole.ids == self._end)[-1])
        encoded = Encoded(whole.ids[:cut], whole.targets[:cut], whole.positions[:, :cut], whole.is_image[:cut])
        return encoded, int(whole.positions[0, cut])

    def prepare(self, messages: list[dict[str, Any]], pages: Any, prefill: str = "", key: str = "") -> Prompt:
        """A conversation as this process's part of a prompt.

        Args:
            messages: Without the assistant's last turn.
            pages: Pictures, one for each image part.
            prefill: How the reply begins.
            key: For messages of errors.

        Raises:
            FormatError: a picture is damaged.
        """
        grid = self._decoder.grid(pages, key)
        encoded, position = self.encode(messages, grid, prefill)
        document = Document(encoded, None, grid, 0, key, pages)
        batch = make_batch([document], self._rank, self._ranks, self._decoder).to(self._device)
        return Prompt(batch, len(encoded), position)

    @torch.inference_mode()
    def speak(self, prompt: Prompt, max_tokens: int) -> str:
        """The greedy reply, of at most ``max_tokens`` tokens; what it was made to begin with is not part of it."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.model.config.text_config)  # type: ignore[union-attr]
        logits = self.model.prompt(prompt, cache)
        ids: list[int] = []
        while len(ids) < max_tokens:
            number = self._likeliest(logits)
            if number == self._end:
                break
            ids.append(number)
            if len(ids) < max_tokens:
                logits = self.model.token(number, prompt, len(ids) - 1, cache)
        return self._encoder.decode(ids)

    def reply(
        self, messages: list[dict[str, Any]], pages: Any, max_tokens: int, prefill: str = "", key: str = ""
    ) -> str:
        """``prepare``, then ``speak``."""
        return self.speak(self.prepare(messages, pages, prefill, key), max_tokens)

    def _likeliest(self, logits: Tensor) -> int:
        number = logits.argmax()
        if self._group is not None:  # all go on with the same token, whatever the last bits of their logits
            dist.broadcast(number, dist.get_global_rank(self._group, 0), group=self._group)
        return int(number)


def pick_device(name: str) -> torch.device:
    """``auto``: CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError:
        raise MMProLongError(f"--device {name}: must be auto, cpu or cuda") from None


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 on CUDA, float32 elsewhere."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    known = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if name not in known:
        raise MMProLongError(f"--dtype {name}: must be auto, {' or '.join(known)}")
    return known[name]
