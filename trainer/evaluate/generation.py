"""Greedy decoding with a key-value cache, on the trainer's own model and attention.

The prompt goes through in one forward pass, with the attention that training uses; after it every token attends to the
cache. Positions of generated tokens go on where M-RoPE left off behind the last page or word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmprolong_data.errors import MMProLongError

from ..attention import attach, attention_forward, select_kernel
from ..batch import Document, RankBatch, make_batch
from ..encode import ChatEncoder, Encoded
from ..images import PageDecoder
from ..model import build_model, load_weights, materialize
from ..packed import PackedModel
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
        kwargs: See ``attention.attention_forward``.

    Returns:
        [1, S, heads, D], and no weights.
    """
    if key.shape[2] == query.shape[2]:
        return attention_forward(module, query, key, value, attention_mask, scaling, dropout, **kwargs)
    if query.shape[2] != 1:
        raise MMProLongError("only single tokens can follow a prompt in the cache")
    grouped = query.shape[1] != key.shape[1]
    out = F.scaled_dot_product_attention(query, key, value, scale=scaling, enable_gqa=grouped)
    return out.transpose(1, 2), None


class CachedModel(PackedModel):
    """A model that answers: prompt in, greedy tokens out."""

    def prompt(self, batch: RankBatch, cache: Any) -> Tensor:
        """Fill the cache with a prompt. Returns the logits of the token after it: [V]."""
        embeds, extra = self.inputs(batch)
        return self._step(embeds[None], batch.position_ids, cache, **extra)

    def token(self, number: int, place: int, position: int, cache: Any) -> Tensor:
        """Add a token to the cache. Returns the logits of the next: [V].

        Args:
            number: Its id.
            place: How many tokens stand before it.
            position: Its M-RoPE position, the same in all three directions.
            cache: Of the prompt.
        """
        core: Any = self.model.model
        device = core.language_model.embed_tokens.weight.device
        ids = torch.tensor([[number]], device=device)
        positions = torch.tensor([place, position, position, position], device=device).view(4, 1, 1)
        return self._step(core.language_model.embed_tokens(ids), positions, cache)

    def _step(self, embeds: Tensor, positions: Tensor, cache: Any, **extra: Any) -> Tensor:
        core: Any = self.model.model
        output = core.language_model(
            inputs_embeds=embeds,
            position_ids=positions,
            attention_mask=None,
            past_key_values=cache,
            use_cache=True,
            **extra,
        )
        head: Any = self.model.lm_head
        logits: Tensor = head(output.last_hidden_state[0, -1:])
        return logits[0].float()


class Generator:
    """A model folder ready to answer."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, threads: int = 2) -> None:
        """Load the model.

        Raises:
            MMProLongError: no model there, or of another kind.
        """
        from transformers import AttentionInterface

        config = load_config(folder)
        self.kernel = select_kernel("auto", device, dtype)
        AttentionInterface.register(NAME, cached_attention)
        inner = build_model(config)
        attach(inner, NAME)
        materialize(inner, device)
        load_weights(inner, folder)
        for parameter in inner.parameters():  # not .to(dtype): it would round the rotary frequencies
            parameter.data = parameter.data.to(dtype)
        self.model = CachedModel(inner, loss_chunk=1024).eval().requires_grad_(False)
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

    @torch.inference_mode()
    def reply(
        self, messages: list[dict[str, Any]], pages: Any, max_tokens: int, prefill: str = "", key: str = ""
    ) -> str:
        """The greedy reply to a conversation.

        Args:
            messages: Without the assistant's last turn.
            pages: Pictures, one for each image part.
            max_tokens: Longest reply.
            prefill: How the reply begins; not part of what is returned.
            key: For messages of errors.

        Raises:
            FormatError: a picture is damaged.
        """
        from transformers import DynamicCache

        grid = self._decoder.grid(pages, key)
        encoded, position = self.encode(messages, grid, prefill)
        document = Document(encoded, None, grid, 0, key, pages)
        batch = make_batch([document], 0, 1, self._decoder).to(self._device)
        cache = DynamicCache(config=self.model.model.config.text_config)  # type: ignore[union-attr]
        logits = self.model.prompt(batch, cache)
        ids: list[int] = []
        while len(ids) < max_tokens:
            number = int(logits.argmax())
            if number == self._end:
                break
            ids.append(number)
            if len(ids) < max_tokens:
                logits = self.model.token(number, len(encoded) + len(ids) - 1, position + len(ids) - 1, cache)
        return self._encoder.decode(ids)


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
