"""Optimizer and learning rate: AdamW, linear warm-up and cosine, counted in tokens."""

from __future__ import annotations

import math

import torch
from torch import nn

from .config import Optimizer
from .parallel import whole


def learning_rate(settings: Optimizer, tokens: int, budget: int) -> float:
    """The rate of a step that ends at ``tokens`` of a run of ``budget`` tokens.

    Linear from 0 over the first ``warmup`` share, then half a cosine from ``lr`` to ``min_lr``; ``min_lr`` beyond the
    budget.
    """
    progress = min(1.0, tokens / budget)
    if progress < settings.warmup:
        return settings.lr * progress / settings.warmup
    rest = (progress - settings.warmup) / (1.0 - settings.warmup) if settings.warmup < 1.0 else 1.0
    return settings.min_lr + 0.5 * (settings.lr - settings.min_lr) * (1.0 + math.cos(math.pi * rest))


def make_optimizer(model: nn.Module, settings: Optimizer) -> torch.optim.AdamW:
    """AdamW over the trained parameters; weight decay on matrices only."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.lr,
        betas=(settings.betas[0], settings.betas[1]),
        eps=settings.eps,
        foreach=True,
    )


def scale_and_clip(model: nn.Module, divisor: float, limit: float) -> float:
    """Divide the summed gradients by the number of labelled tokens, and limit their global norm, in one pass.

    Returns:
        The norm after the division and before the limit; not finite if a gradient is not.
    """
    parameters = [p for p in model.parameters() if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = float(whole(torch.nn.utils.get_total_norm(gradients, foreach=True))) / divisor
    factor = 1.0 / divisor
    if limit > 0 and norm > limit:
        factor *= limit / norm
    torch._foreach_mul_(gradients, factor)
    return norm
