"""From a model's text to a validated value: finds the JSON in it, and says what is wrong in words."""

from __future__ import annotations

import json
from typing import Any

from .types import Request

MAX_REPLY = 1 << 20
"""A longer text is no answer."""


class BadReply(Exception):
    """A reply that cannot be used: ``kind`` is ``no_json`` or ``invalid``."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


def read_reply(request: Request, text: str) -> Any:
    """The reply's value: an instance of ``request.schema``, or the stripped text where there is no schema.

    Raises:
        BadReply: No JSON object, another schema, or refused by ``request.check``.
    """
    if request.schema is None:
        value: Any = text.strip()
        if not value:
            raise BadReply("no_json", "an empty reply")
    else:
        import pydantic

        found, broken = find_object(text)
        try:
            value = request.schema.model_validate(found)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            # What was found may be a whole part of something broken.
            raise BadReply("no_json" if broken else "invalid", f"{where}: {first['msg']}"[:300]) from None
    if request.check is not None:
        wrong = request.check(value)
        if wrong:
            raise BadReply("invalid", wrong[:300])
    return value


def find_object(text: str) -> tuple[dict[str, Any], bool]:
    """The last JSON object of a text: models think aloud, explain, and put code fences around it.

    Returns:
        The object, and whether anything before it began like one and was none.

    Raises:
        BadReply: There is none.
    """
    if len(text) > MAX_REPLY:
        raise BadReply("no_json", f"a reply of {len(text)} characters")
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    found: dict[str, Any] | None = None
    broken = False
    position = text.find("{")
    attempts = 0
    while position >= 0 and attempts < 1000:  # a reply of many opening braces must not take for ever
        attempts += 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end, broken = position + 1, True
        else:
            if isinstance(value, dict):
                found = value
        position = text.find("{", end)
    if found is None:
        raise BadReply("no_json", "no complete JSON object in the reply" if text.strip() else "an empty reply")
    return found, broken


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
