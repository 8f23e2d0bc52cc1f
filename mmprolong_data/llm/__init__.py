"""Asking language models at OpenAI-compatible endpoints: nothing lost, nothing paid twice. Light to import."""

from .client import LLMClient
from .ledger import Ledger
from .service import LLMService
from .settings import LLM
from .types import BudgetReached, Draining, Endpoint, EndpointError, Image, Reply, Request, Unanswered

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
