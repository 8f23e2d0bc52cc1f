"""Asking language models at OpenAI-compatible endpoints: nothing lost, nothing paid twice. Light to import."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import LLMClient
    from .ledger import Ledger
    from .service import LLMService
    from .settings import LLM
    from .types import BudgetReached, Draining, Endpoint, EndpointError, Image, Reply, Request, Unanswered

_HOMES = {"LLMClient": "client", "Ledger": "ledger", "LLMService": "service", "LLM": "settings"} | dict.fromkeys(
    ("BudgetReached", "Draining", "Endpoint", "EndpointError", "Image", "Reply", "Request", "Unanswered"), "types"
)
__all__ = [
    "LLM",
    "BudgetReached",
    "Draining",
    "Endpoint",
    "EndpointError",
    "Image",
    "LLMClient",
    "LLMService",
    "Ledger",
    "Reply",
    "Request",
    "Unanswered",
]


def __getattr__(name: str) -> Any:
    # Settings are read in every process of a build; the client's modules are for the one that asks.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
