"""VeOmni on CPUs: the options that it needs there, and the script that runs its trainer."""

from __future__ import annotations

from pathlib import Path

_KERNELS = "cross_entropy_loss rms_norm swiglu_mlp rotary_pos_emb moe load_balancing_loss rms_norm_gated causal_conv1d"
# VeOmni's default kernels need a GPU.
ON_CPU = [
    word
    for name in (*_KERNELS.split(), "chunk_gated_delta_rule")
    for word in (f"--model.ops_implementation.{name}_implementation", "eager")
]
SDPA = [*ON_CPU, "--model.ops_implementation.attn_implementation", "sdpa"]
"""For packs of one document; with more, VeOmni lets them see each other, and the adapter refuses."""
SCRIPTS = Path(__file__).resolve().parent.parent / "contract" / "veomni"
"""``checks.py`` and ``steps.py``, which run in VeOmni's environment."""
