"""Requests for the tests of the client, a model that answers them, and running the client beside a server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from mmprolong_data.llm import LLM, Endpoint, Ledger, LLMClient, Request
from mmprolong_data.llm.batch import BatchSender
from mmprolong_data.llm.budget import Budget
from mmprolong_data.llm.senders import Connections

from .llm_server import Body, text_of

T = TypeVar("T")

QUICK = LLM(concurrency=16, timeout=30.0, backoff=0.01, drain=2.0, batch_wait=0.2, batch_poll=0.05)


class Square(BaseModel):
    """A reply."""

    model_config = ConfigDict(extra="forbid")

    number: int
    square: int
    evidence_pages: list[int]


def square_brain(body: Body) -> str:
    """Squares the last number of the request."""
    number = int(re.findall(r"\d+", text_of(body))[-1])
    return "Let me see. " + json.dumps({"number": number, "square": number * number, "evidence_pages": [number]})


def request(number: int, url: str, /, **changed: Any) -> Request:
    """Asks for a square."""

    def check(value: Square) -> str:
        return "" if value.evidence_pages == [number] else f"pages {value.evidence_pages} do not exist"

    values: dict[str, Any] = {
        "stage": "square", "prompt": "1", "endpoint": Endpoint("model-a", url, "TEST_KEY", (1.0, 10.0)),
        "messages": [("system", ["You square numbers."]), ("user", [f"Square {number}"])],
        "schema": Square, "check": check, "about": f"number {number}",
    }  # fmt: skip
    return Request(**(values | changed))


def with_client(
    path: Path,
    work: Callable[[LLMClient], Awaitable[T]],
    settings: LLM = QUICK,
    *,
    most: float | None = None,
    batch: bool = False,
) -> T:
    """Run ``work`` with a client on the ledger at ``path``."""

    async def inside() -> T:
        ledger = Ledger(path)
        sender = BatchSender(ledger, settings, Connections(settings)) if batch else None
        client = LLMClient(ledger, settings, Budget(most), sender)
        try:
            return await work(client)
        finally:
            await client.close()
            ledger.close()

    return asyncio.run(inside())


def ask_all(path: Path, requests: Sequence[Request], settings: LLM = QUICK, **options: Any) -> list[Any]:
    """Ask all at once; replies, or the exceptions in their place."""

    async def work(client: LLMClient) -> list[Any]:
        return await asyncio.gather(*map(client.ask, requests), return_exceptions=True)

    return with_client(path, work, settings, **options)
