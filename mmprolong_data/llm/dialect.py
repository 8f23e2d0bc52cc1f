"""What an endpoint accepts of a request's optional fields, learnt from its refusals (HTTP 400)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .types import Request, json_schema

FORMATS = ("json_schema", "json_object", "none")
_FORMAT_WORDS = (
    "response_format",
    "json_schema",
    "json_object",
    "json mode",
    "schema",
    "grammar",
    "guided",
    "structured",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a request is put for one model.

    Attributes:
        format: An index into ``FORMATS``.
        token_field: How the endpoint calls the limit of output tokens.
        dropped: Optional parameters that it refuses.
    """

    format: int = 0
    token_field: str = "max_tokens"
    dropped: frozenset[str] = frozenset()

    def fields(self, request: Request, temperature: float, seed: int) -> dict[str, Any]:
        """The request's body without model and messages."""
        body: dict[str, Any] = {self.token_field: request.max_tokens, "temperature": temperature, "seed": seed}
        for name in self.dropped:
            body.pop(name, None)
        if request.schema is not None and FORMATS[self.format] != "none":
            if FORMATS[self.format] == "json_schema":
                schema = {"name": request.schema.__name__, "schema": json_schema(request.schema), "strict": True}
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            else:
                body["response_format"] = {"type": "json_object"}
        return body

    def after(self, refusal: str, request: Request, proven: bool) -> Dialect | None:
        """The next thing to try after a refusal, or None if the refusal is about what is asked.

        Args:
            refusal: The endpoint's message.
            request: What was refused.
            proven: Whether the endpoint has accepted this dialect before: then only a message that names a field
            counts.
        """
        text = refusal.casefold()
        if "max_completion_tokens" in text and self.token_field == "max_tokens":
            return replace(self, token_field="max_completion_tokens")
        if "max_completion_tokens" in text and self.token_field == "max_completion_tokens" and not proven:
            return replace(self, token_field="max_tokens")
        for name in ("seed", "temperature"):
            if name in text and name not in self.dropped:
                return replace(self, dropped=self.dropped | {name})
        if request.schema is not None and self.format + 1 < len(FORMATS):
            named = any(word in text for word in _FORMAT_WORDS)
            if named or not proven:
                return replace(self, format=self.format + 1)
        return None


def merged(known: Dialect | None, used: Dialect, with_schema: bool) -> Dialect:
    """What is known of a model after a request in ``used`` succeeded: never less strict than before."""
    if known is None:
        return used if with_schema else replace(used, format=0)
    level = max(known.format, used.format) if with_schema else known.format
    return Dialect(level, used.token_field, known.dropped | used.dropped)


def body_of(fields: Mapping[str, Any], request: Request, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole body of a chat completion."""
    return {"model": request.endpoint.model, "messages": messages, **fields, **request.endpoint.extra}
