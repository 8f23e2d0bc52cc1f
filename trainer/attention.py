"""The one attention function of both towers: packed documents (or pages, or windows) that never see each other.

It is registered with transformers under ``NAME``. The name contains "flash": for such implementations transformers
builds no mask (at 128K a mask would take 17 GB), hands the vision tower's segments over as ``cu_seq_lens_q``, and
leaves separation to the kernel. The language model's segments are passed by us under the same name.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmprolong_data.errors import MMProLongError

from .ulysses import gather_heads, gather_sequence, repeat_heads

NAME = "mmprolong_flash"
Kernel = Literal["flash_attn", "varlen", "sdpa"]
VarlenFunction = Callable[[Tensor, Tensor, Tensor, Tensor, int, float | None, bool], Tensor]
"""(query [T, Hq, D], key and value [T, Hk, D], cu_seqlens int32 [n + 1], longest, scale, causal) -> [T, Hq, D]."""

_selected: list[VarlenFunction] = []


def select_kernel(wanted: str, device: torch.device, dtype: torch.dtype) -> Kernel:
    """Choose the kernel for this process, and register the attention function with transformers.

    Args:
        wanted: ``auto``: flash_attn, then ``torch.nn.attention.varlen``, then sdpa for each segment; or one of them.

    Raises:
        MMProLongError: the kernel that was asked for does not run here.
    """
    from transformers import AttentionInterface

    fits = device.type == "cuda" and dtype in (torch.bfloat16, torch.float16)
    candidates: list[Kernel] = ["flash_attn", "varlen", "sdpa"] if wanted == "auto" else [wanted]  # type: ignore[list-item]
    for name in candidates:
        function = _load(name) if fits or name == "sdpa" else None
        if function is not None:
            _selected[:] = [function]
            AttentionInterface.register(NAME, attention_forward)
            return name
    raise MMProLongError(
        f"model.attention = {wanted}: needs a CUDA device, bfloat16 and the kernel installed"
        f" (device {device}, {dtype}). Remedy: model.attention = auto"
    )


def use_kernel(function: VarlenFunction) -> None:
    """Make ``attention_forward`` call this function (``select_kernel`` does it for the known ones)."""
    _selected[:] = [function]


def attach(model: nn.Module, name: str = NAME) -> None:
    """Make every tower of a transformers model use the registered function. Must come after building the model."""
    config: Any = model.config
    for part in (config, config.text_config, config.vision_config):
        part._attn_implementation = name
    for module in model.modules():
        part = getattr(module, "config", None)
        if part is not None and getattr(part, "_attn_implementation", name) != name:
            raise MMProLongError(f"{type(module).__name__} keeps its own attention implementation")


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | Tensor | None = None,
    sequence_group: dist.ProcessGroup | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it, for a batch of one sequence that consists of segments.

    Args:
        module: Its ``is_causal`` says whether a position sees later ones.
        query: [1, heads, S, D]; with ``sequence_group`` S is this rank's part of the sequence.
        key, value: [1, key heads, S, D].
        attention_mask: Must be None: a mask would mean that transformers separates documents in its own way.
        cu_seq_lens_q: Segment bounds over the whole sequence, int32 [n + 1], from 0. None: one segment.
        max_length_q: Longest segment, so that a GPU need not be asked.
        sequence_group: Ranks that share the sequence (Ulysses): all-to-all turns parts into heads and back.

    Returns:
        [1, S, heads, D], and no weights.
    """
    if attention_mask is not None or dropout or query.shape[0] != 1:
        raise MMProLongError("the packed attention takes one unpadded sequence, without a mask and without dropout")
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [S, H, D]
    if sequence_group is not None and dist.get_world_size(sequence_group) > 1:
        ranks = dist.get_world_size(sequence_group)
        k, v = repeat_heads(k, ranks), repeat_heads(v, ranks)
        q, k, v = (gather_sequence(x, sequence_group) for x in (q, k, v))
    if cu_seq_lens_q is None:
        cu_seq_lens_q = torch.tensor([0, q.shape[0]], dtype=torch.int32, device=q.device)
    longest = int(max_length_q if max_length_q is not None else (cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).max())
    causal = bool(getattr(module, "is_causal", True))
    out = _selected[0](q, k, v, cu_seq_lens_q, longest, scaling, causal)
    if sequence_group is not None and dist.get_world_size(sequence_group) > 1:
        out = gather_heads(out, sequence_group)
    return out[None], None


def sdpa_segments(
    q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int, scale: float | None, causal: bool
) -> Tensor:
    """The fallback that runs everywhere: segments of equal length share one ``scaled_dot_product_attention``."""
    bounds = cu.tolist()
    lengths: dict[int, list[int]] = {}
    for start, end in itertools.pairwise(bounds):
        if end > start:
            lengths.setdefault(end - start, []).append(start)
    grouped = q.shape[1] != k.shape[1]
    if len(lengths) == 1 and len(bounds) == 2:
        whole, keys, values = (x.transpose(0, 1)[None] for x in (q, k, v))
        part = F.scaled_dot_product_attention(whole, keys, values, is_causal=causal, scale=scale, enable_gqa=grouped)
        return part[0].transpose(0, 1)
    parts, places = [], []
    for length, starts in lengths.items():
        place = (torch.tensor(starts, device=q.device)[:, None] + torch.arange(length, device=q.device)).flatten()
        one, keys, values = (
            x[place].view(len(starts), length, x.shape[1], x.shape[2]).transpose(1, 2) for x in (q, k, v)
        )
        part = F.scaled_dot_product_attention(one, keys, values, is_causal=causal, scale=scale, enable_gqa=grouped)
        parts.append(part.transpose(1, 2).flatten(0, 1))
        places.append(place)
    order = torch.argsort(torch.cat(places))
    return torch.cat(parts)[order]


def _load(name: str) -> VarlenFunction | None:
    if name == "sdpa":
        return sdpa_segments
    try:
        return _load_flash_attn() if name == "flash_attn" else _load_varlen()
    except ImportError:
        return None


def _load_flash_attn() -> VarlenFunction:
    from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found, unused-ignore]

    def run(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int, scale: float | None, causal: bool) -> Tensor:
        out: Tensor = flash_attn_varlen_func(q, k, v, cu, cu, longest, longest, softmax_scale=scale, causal=causal)
        return out

    return run


def _load_varlen() -> VarlenFunction:
    from torch.nn.attention.varlen import varlen_attn

    return functools.partial(call_varlen, varlen_attn)


def call_varlen(
    varlen_attn: Callable[..., Any],
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu: Tensor,
    longest: int,
    scale: float | None,
    causal: bool,
) -> Tensor:
    """``torch.nn.attention.varlen.varlen_attn`` with our arguments; it wants equal numbers of heads."""
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    window = (-1, 0) if causal else (-1, -1)
    out: Tensor = varlen_attn(q, k, v, cu, cu, longest, longest, scale=scale, window_size=window)
    return out
