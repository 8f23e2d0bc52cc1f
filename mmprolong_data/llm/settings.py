"""Settings of the client: how an endpoint is used, never what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class LLM:
    """How endpoints of language models are used. Not part of the recipe's hash."""

    key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the API key. The key itself is read from nowhere else, and never stored."""
    key_header: str = ""
    """The header that takes the key as it is, such as api-key (Azure); by default ``Authorization: Bearer KEY``."""
    query: dict[str, str] = field(default_factory=dict)
    """Query of every request, such as {api-version: 2024-12-01-preview}. No key belongs here."""
    prices: dict[str, list[float]] = field(default_factory=dict)
    """Model: [US dollars per million input tokens, per million output tokens]; needed for --max-cost."""
    concurrency: int = 32
    """Most requests under way at a time; adapts downwards to what the endpoint allows."""
    timeout: float = 600.0
    """Seconds for one attempt, from sending it to the end of its reply."""
    tries: int = 6
    """Attempts of a request before it counts as unanswered; refusals for the rate (429) are not counted."""
    repairs: int = 2
    """New attempts after a reply of the wrong form or about pages not shown, with another seed and temperature."""
    malformed: int = 2
    """New attempts after a reply that holds no complete JSON."""
    patience: float = 3600.0
    """Seconds that one request waits on refusals for the rate (429) before it counts as unanswered."""
    backoff: float = 0.5
    """Seconds before the second attempt; doubled for every further one, up to 60."""
    drain: float = 10.0
    """Seconds that replies under way are waited for when the run is stopped."""
    unanswered: Literal["stop", "drop"] = "stop"
    """stop: a request without an answer leaves its slice for the next run; drop: it costs its question only."""
    batch_size: int = 2000
    """Most requests of one batch (qa.mode: batch)."""
    batch_bytes: int = 100_000_000
    """Most bytes of one batch's input file."""
    batch_wait: float = 5.0
    """A batch is sent when no request has come for so many seconds."""
    batch_poll: float = 30.0
    """Seconds between two looks at a batch."""
    batch_discount: float = 0.5
    """Price of a batch's tokens, as a share of the ordinary price."""
