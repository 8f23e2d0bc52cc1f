"""The RoPE base: computed from the context ratio, written where every reader looks, and checked in the built model."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mmprolong_data.errors import MMProLongError

TRAINED_CONTEXT = {"qwen2_5_vl": 32_768, "qwen3_vl": 262_144}
"""Model type -> positions that the released checkpoints were trained on (their model cards).
``max_position_embeddings``
does not tell: Qwen2.5-VL's says 128,000."""


def scaled_base(base: float, ratio: float, head_dim: int) -> float:
    """The Dynamic-NTK base for ``ratio`` times the context.

    ``base * ratio ** (d / (d - 2))``, the NTK-aware rule with which the lowest frequency covers ``ratio`` times the
    positions, then rounded to one significant digit, as the paper does (1e6, ratio 4, d 128: 4.09e6 -> 4e6).

    Args:
        base: The model's base.
        ratio: New context / trained context; 1 or less changes nothing.
        head_dim: Size of one attention head.
    """
    if ratio <= 1:
        return base
    exact = base * ratio ** (head_dim / (head_dim - 2))
    unit = 10.0 ** math.floor(math.log10(exact))
    return float(round(exact / unit) * unit)


def head_dim(text_config: Any) -> int:
    """Size of one attention head."""
    return int(getattr(text_config, "head_dim", None) or text_config.hidden_size // text_config.num_attention_heads)


def base_of(text_config: Any) -> float:
    """The base that transformers will build the model with.

    Raises:
        MMProLongError: the model scales RoPE in a way that a new base would be mixed up with.
    """
    parameters = getattr(text_config, "rope_parameters", None) or {}
    kind = parameters.get("rope_type", "default")
    if kind != "default" or "rope_theta" not in parameters:
        raise MMProLongError(
            f"text_config.rope_parameters = {parameters}: only plain RoPE with a rope_theta can be scaled by its base."
            f" Remedy: start from a checkpoint without rope_type {kind!r}"
        )
    return float(parameters["rope_theta"])


def set_base(config: Any, base: float) -> None:
    """Set the base in a configuration, before the model is built.

    Only ``text_config.rope_parameters`` counts: transformers ignores ``config.rope_theta``, and everything that is
    changed after building, in silence.
    """
    base_of(config.text_config)
    config.text_config.rope_parameters = {**config.text_config.rope_parameters, "rope_theta": float(base)}


def with_legacy_keys(plain: dict[str, Any]) -> dict[str, Any]:
    """Add the keys that transformers before 5 reads to a configuration as ``to_dict()`` gives it.

    transformers 4 reads ``rope_theta`` and ``rope_scaling`` of the text configuration and would fall back to 1e6
    without them; transformers 5 prefers them to ``rope_parameters`` where both are there. So both say the same.
    """
    text = dict(plain["text_config"])
    parameters = dict(text["rope_parameters"])
    scaling = {key: value for key, value in parameters.items() if key not in ("rope_theta", "partial_rotary_factor")}
    scaling["rope_type"] = scaling["type"] = "default"
    theta = float(parameters["rope_theta"])
    text |= {"rope_theta": theta, "rope_scaling": scaling, "rope_parameters": parameters}
    # Left over from a flat configuration of transformers 4, these would contradict the text configuration.
    rest = {key: value for key, value in plain.items() if key not in ("rope_theta", "rope_scaling")}
    return {**rest, "text_config": text}


def check_built(model: nn.Module, base: float) -> None:
    """Assert that every rotary embedding of the language model has this base, in float32.

    Raises:
        MMProLongError: the base was ignored, or the frequencies were cast or never initialised.
    """
    language: Any = model.get_submodule("model.language_model")
    found = 0
    for name, buffer in language.named_buffers():
        if not name.endswith("inv_freq"):
            continue
        found += 1
        size = 2 * buffer.shape[0]
        expected = 1.0 / base ** (torch.arange(0, size, 2, dtype=torch.float64) / size)
        if buffer.dtype != torch.float32 or not torch.allclose(buffer.double().cpu(), expected, rtol=1e-5):
            raise MMProLongError(
                f"{name}: {buffer.dtype}, second frequency {float(buffer[1]):.5f}, expected float32 and"
                f" {float(expected[1]):.5f} for a RoPE base of {base:g}: the base did not reach the model"
            )
    if not found:
        raise MMProLongError("the language model has no rotary frequencies to check")
