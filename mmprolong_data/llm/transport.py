"""One chat completion over the wire: the openai client without its retries, every way to fail told apart."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import MMProLongError, missing_extra
from .settings import LLM
from .types import OPENAI_URL, EndpointError, Image, Request, Usage, api_key

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MAX_DETAIL = 300
MAX_NAME = 120
NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "insufficient credits", "payment required")


@dataclass(frozen=True, slots=True)
class RawReply:
    """A completion as the endpoint gave it.

    Attributes:
        text: The model's text.
        finish: ``finish_reason``.
        refusal: The model's words for not answering.
        usage: What was billed.
        served: The model's name as the endpoint reports it; "" if it does not.
    """

    text: str
    finish: str
    refusal: str
    usage: Usage
    served: str = ""


class Failed(Exception):
    """One attempt gave nothing. ``outcome`` is a short code; the properties tell how to go on."""

    def __init__(
        self,
        outcome: str,
        detail: str = "",
        *,
        http: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(outcome, detail)
        self.outcome = outcome
        self.detail = " ".join(detail.split())[:MAX_DETAIL]
        self.http = http
        self.retry_after = retry_after
        self.usage = usage or Usage()

    def without(self, secret: str) -> Failed:
        """The same failure, should the endpoint have repeated the API key in its message."""
        if len(secret) >= 4 and secret in self.detail:
            detail = self.detail.replace(secret, "[API key]")
            return Failed(self.outcome, detail, http=self.http, retry_after=self.retry_after, usage=self.usage)
        return self

    @property
    def no_credit(self) -> bool:
        """There is nothing left to pay with."""
        return self.fatal and self.detail.startswith("no credit")

    @property
    def throttled(self) -> bool:
        """The endpoint wants fewer requests."""
        return self.outcome == "throttled"

    @property
    def refused(self) -> bool:
        """The endpoint does not want this request, now or later."""
        return self.outcome == "refused"

    @property
    def fatal(self) -> bool:
        """No request of this run will fare better."""
        return self.outcome == "fatal"

    @property
    def may_be_billed(self) -> bool:
        """Whether the endpoint may have worked for it although nothing arrived."""
        return self.outcome in ("timeout", "connection", "garbage", "server_error")


def open_connection(base_url: str, key_env: str, settings: LLM) -> AsyncOpenAI:
    """An ``AsyncOpenAI`` with aiohttp beneath, no retries and no time-out of its own.

    Raises:
        MMProLongError: The extra is missing, or the endpoint needs a key and the environment has none.
    """
    try:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient
    except ImportError:
        raise missing_extra("openai", "openai") from None
    key = api_key(key_env)
    if not key and base_url.rstrip("/") == OPENAI_URL:
        raise EndpointError(
            f"{base_url}: no API key. Remedy: put it into the environment variable {key_env},"
            " or give the base URL of another endpoint"
        )
    most = settings.concurrency + 8

    async def put_key(request: httpx2.Request) -> None:
        """The key in its own header only: what stands in the other one would be taken for a token."""
        del request.headers["Authorization"]
        request.headers[settings.key_header] = key or "none"

    try:
        http = DefaultAioHttpClient(
            timeout=None,
            event_hooks={"request": [put_key]} if settings.key_header else None,
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
        )
    except RuntimeError:
        raise missing_extra("aiohttp", "openai") from None
    # Local servers want no key, but the client does.
    return AsyncOpenAI(
        api_key=key or "none", base_url=base_url, max_retries=0, http_client=http,
        default_query=dict(settings.query),
    )  # fmt: skip


async def wire_messages(request: Request) -> list[dict[str, Any]]:
    """The request's messages as they are sent: images are made now, as data URLs unless they bring their own."""
    images = [part for _, parts in request.messages for part in parts if isinstance(part, Image)]
    loaded = iter(await asyncio.gather(*(image.load() for image in images)))
    messages: list[dict[str, Any]] = []
    for role, parts in request.messages:
        if all(isinstance(part, str) for part in parts):
            # Plain strings are what the most servers understand.
            messages.append({"role": role, "content": "\n".join(str(part) for part in parts)})
            continue
        content: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
            else:
                page = next(loaded)
                url = page if isinstance(page, str) else "data:image/jpeg;base64," + base64.b64encode(page).decode()
                content.append({"type": "image_url", "image_url": {"url": url}})
        messages.append({"role": role, "content": content})
    return messages


async def complete(client: AsyncOpenAI, body: Mapping[str, Any], request: Request, timeout: float) -> RawReply:
    """Send one chat completion.

    Raises:
        Failed: However it went wrong.
    """
    known = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "response_format"}
    extra = {name: value for name, value in body.items() if name not in known}
    arguments: Any = {name: value for name, value in body.items() if name in known}
    create = client.chat.completions.with_raw_response.create
    return parse_completion(await body_text(lambda: create(**arguments, extra_body=extra or None), timeout), request)


async def body_text(call: Callable[[], Awaitable[Any]], timeout: float) -> str:
    """The body of the raw response that a call of the openai client gives, whatever it holds.

    Raises:
        Failed: There is none, or its status is not 2xx.
    """
    import httpx2
    import openai

    try:
        async with asyncio.timeout(timeout):
            raw = await call()
            text = raw.text
            content: str = text() if callable(text) else text
    except TimeoutError:
        raise Failed("timeout", f"no reply in {timeout:g} s") from None
    except openai.APIStatusError as error:
        raise status_failure(error.status_code, error.response.text, error.response.headers) from None
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            raise Failed("unreachable", f"nobody answers there: {cause}") from None
        raise Failed("connection", f"{type(cause).__name__}: {cause}") from None
    except (openai.OpenAIError, ValueError) as error:
        raise Failed("garbage", f"{type(error).__name__}: {error}") from None
    except MMProLongError:
        raise
    except Exception as error:  # noqa: BLE001 - the transport below lets errors of its own through, e.g. for a cut body
        raise Failed("connection", f"{type(error).__name__}: {error}") from None
    return content


def parse_completion(content: str, request: Request, discount: float = 1.0) -> RawReply:
    """The reply in a completion's JSON.

    Raises:
        Failed: ``garbage``: it is no completion (HTML, cut JSON, no choices).
    """
    try:
        value = json.loads(content)
    except ValueError:
        raise Failed("garbage", f"no JSON: {content[:80]!r}", http=200) from None
    if not isinstance(value, dict):
        raise Failed("garbage", f"no completion: {content[:80]!r}", http=200)
    usage = _usage(value.get("usage"), request, discount)
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(choice, dict):
        detail = json.dumps(value.get("error") or "no choices in the reply")
        raise Failed("garbage", detail, http=200, usage=usage)
    text = message.get("content")
    if isinstance(text, list):
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    return RawReply(
        text=text if isinstance(text, str) else "",
        finish=str(choice.get("finish_reason") or ""),
        refusal=str(message.get("refusal") or ""),
        usage=usage,
        served=served_name(value.get("model"), request.endpoint.key()),
    )


def served_name(value: object, secret: str) -> str:
    """A model's name as a server reports it, fit to be published: one line, no path or URL, no API key."""
    if not isinstance(value, str):
        return ""
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    if name.startswith(("/", "~", ".")) or "\\" in name or "://" in name:  # servers of files report where they lie
        name = re.split(r"[\\/]", name)[-1]
    if len(secret) >= 4:
        name = name.replace(secret, "[API key]")
    return name[:MAX_NAME]


def status_failure(status: int, text: str, headers: Mapping[str, str]) -> Failed:
    """What an HTTP status other than 2xx means for how to go on."""
    detail = _message(text) or f"HTTP {status}"
    lower = text[:2000].casefold()
    if status == 402 or (status in (403, 429) and any(word in lower for word in NO_CREDIT)):
        return Failed("fatal", f"no credit: {detail}", http=status)
    if status == 429:
        return Failed("throttled", detail, http=status, retry_after=retry_after(headers))
    if status in (401, 403, 404):
        return Failed("fatal", detail, http=status)
    if status in (408, 409, 425) or status >= 500:
        return Failed("server_error", detail, http=status, retry_after=retry_after(headers))
    return Failed("refused", detail, http=status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``Retry-After`` (seconds or an HTTP date) or ``retry-after-ms``; None if neither says."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(name)
        if not text:
            continue
        try:
            seconds = float(text) * unit
        except ValueError:
            date = email.utils.parsedate_tz(text)
            seconds = email.utils.mktime_tz(date) - time.time() if date else -1.0
        if 0 <= seconds < 86_400:
            return seconds
    return None


def _message(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text[:MAX_DETAIL]
    for _ in range(3):
        if isinstance(value, dict):
            value = value.get("error") or value.get("message") or value.get("detail") or ""
        if isinstance(value, list):
            value = value[0] if value else ""
    return value if isinstance(value, str) else json.dumps(value)[:MAX_DETAIL]


def _usage(value: Any, request: Request, discount: float) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    counts = [value.get(name) for name in ("prompt_tokens", "completion_tokens")]
    inputs, outputs = (count if isinstance(count, int) and 0 <= count < 1 << 40 else 0 for count in counts)
    cost = request.endpoint.cost(inputs, outputs)
    if cost is None and isinstance(value.get("cost"), (int, float)):
        cost = float(value["cost"])  # some providers say it
    else:
        cost = None if cost is None else cost * discount
    return Usage(inputs, outputs, cost)
