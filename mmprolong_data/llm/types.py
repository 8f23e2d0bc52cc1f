"""What is asked and what comes back: endpoint, image, request, reply, and the errors that end a run."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import MMProLongError, SettingsError
from ..settings import fingerprint

if TYPE_CHECKING:
    from pydantic import BaseModel

OPENAI_URL = "https://api.openai.com/v1"
"""Where requests go without a base URL."""

KEY_VERSION = 1
"""Of what enters a content key. A new number makes every stored reply unusable."""


def api_key(variable: str) -> str:
    """The API key in an environment variable; "" if there is none."""
    return os.environ.get(variable, "").strip()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at an OpenAI-compatible endpoint.

    Attributes:
        model: Its name there.
        base_url: Such as ``http://localhost:8000/v1``.
        key_env: The environment variable that holds the API key; the key itself is never stored anywhere.
        price: US dollars per million (input, output) tokens; None if unknown.
        extra: Further fields of the request's body, such as ``{"chat_template_kwargs": ...}``.
    """

    model: str
    base_url: str = OPENAI_URL
    key_env: str = "OPENAI_API_KEY"
    price: tuple[float, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{self.base_url!r} is no base URL. Remedy: write it as http://HOST:PORT/v1")
        if parts.username or parts.password or parts.query:
            raise SettingsError(
                "The base URL holds a user name, a password or a query."
                f" Remedy: leave it out, and put the API key into the environment variable {self.key_env}"
            )
        if not self.model:
            raise SettingsError("No model is named. Remedy: give the name under which the endpoint serves it")

    @property
    def where(self) -> tuple[str, str]:
        """What a connection belongs to."""
        return self.base_url.rstrip("/"), self.key_env

    def key(self) -> str:
        """The API key, read from the environment now; "" if there is none."""
        return api_key(self.key_env)

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """US dollars, or None without a price."""
        if self.price is None:
            return None
        return (input_tokens * self.price[0] + output_tokens * self.price[1]) / 1e6


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that is made when it is sent, and only then.

    Attributes:
        content: Plain values that determine its bytes, such as PDF hash, page, size, quality and renderer version: they
            stand for the picture in the content key.
        load: Makes the JPEG, or gives the URL under which the endpoint finds it.
        tokens: About how many tokens it takes; for ``--max-cost`` only.
    """

    content: Mapping[str, Any]
    load: Callable[[], Awaitable[bytes | str]] = field(compare=False)
    tokens: int = 2500


Part = str | Image
Message = tuple[str, Sequence[Part]]
"""Role, and its parts: texts and images in order."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. Equal ``key()``: equal question, which is asked and paid once.

    Attributes:
        stage: What it serves, such as ``qa/reasoning`` or ``verify/judge``; costs are summed by it.
        prompt: Version of the prompt's wording.
        endpoint: Who is asked.
        messages: The conversation.
        schema: A pydantic model that the reply has to match, or None for plain text.
        check: Further demands on the validated reply; returns what is wrong, or "". Part of the prompt's version.
        number: Which of several samples of the same question this is.
        temperature, max_tokens, seed: Parameters. A retry after a useless reply changes temperature and seed.
        about: What it is about (document and such), for listings.
    """

    stage: str
    prompt: str
    endpoint: Endpoint
    messages: Sequence[Message]
    schema: type[BaseModel] | None = None
    check: Callable[[Any], str] | None = field(default=None, compare=False)
    number: int = 0
    temperature: float = 0.0
    max_tokens: int = 2048
    seed: int = 0
    about: str = ""

    def key(self) -> str:
        """SHA-256 of all that decides the reply; images enter as what they are made from. The API key is not in it."""
        messages = [
            [role, [dict(part.content) if isinstance(part, Image) else part for part in parts]]
            for role, parts in self.messages
        ]
        return fingerprint(
            {
                "version": KEY_VERSION,
                "stage": self.stage,
                "prompt": self.prompt,
                "model": self.endpoint.model,
                "endpoint": self.endpoint.base_url.rstrip("/"),
                "extra": dict(self.endpoint.extra),
                "schema": json_schema(self.schema) if self.schema else None,
                "number": self.number,
                "parameters": [self.temperature, self.max_tokens, self.seed],
                "messages": messages,
            }
        )

    def tokens_in(self) -> int:
        """About how many tokens the messages take; rather too many than too few."""
        texts = sum(len(part.encode()) for _, parts in self.messages for part in parts if isinstance(part, str))
        images = sum(part.tokens for _, parts in self.messages for part in parts if isinstance(part, Image))
        schema = len(json.dumps(json_schema(self.schema))) if self.schema else 0
        return images + (texts + schema) // 3 + 16 * len(self.messages)


@lru_cache(maxsize=64)
def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a pydantic model."""
    return schema.model_json_schema()


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt took. ``cost`` is in US dollars, None if no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request.

    Attributes:
        key: Its content key.
        text: The model's text; "" if there is none.
        value: The validated reply: an instance of the request's schema, or the text where it has none. None if failed.
        failure: Why there is no value: ``refused``, ``invalid`` or ``no_json``; "" if there is one.
        detail: More about the failure.
        cached: Whether it was in the ledger: nothing was sent.
        served: The name of the model that answered, as the endpoint reported it; "" if it did not.
    """

    key: str
    text: str = ""
    value: Any = None
    failure: str = ""
    detail: str = ""
    cached: bool = False
    served: str = ""


class Unanswered(MMProLongError):
    """No usable answer to one request, for reasons that may pass: overload, time-outs, cut replies."""


class EndpointError(MMProLongError):
    """The endpoint cannot be used at all: unreachable, a wrong key, an unknown model, no credit."""


class BudgetReached(MMProLongError):
    """The next request might cost more than is left of ``--max-cost``."""

    exit_code = 4


class Draining(MMProLongError):
    """The run is being stopped: nothing new is sent."""
