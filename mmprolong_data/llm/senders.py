"""How attempts reach an endpoint: the protocol, open connections, and one HTTP request an attempt."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from .dialect import Dialect, body_of
from .ledger import Ledger
from .settings import LLM
from .transport import Failed, RawReply, complete, open_connection, wire_messages
from .types import Request, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class Sender(Protocol):
    """How attempts reach the endpoint: one by one, or in batches."""

    async def send(
        self, request: Request, key: str, dialect: Dialect, temperature: float, seed: int
    ) -> tuple[int, RawReply]:
        """Note an attempt and make it. Returns its number in the ledger and the reply.

        Raises:
            AttemptFailed: With the attempt's number.
        """

    async def close(self) -> None:
        """Let go of connections."""


class AttemptFailed(Exception):
    """An attempt that is noted in the ledger has failed."""

    def __init__(self, attempt: int, failure: Failed) -> None:
        super().__init__(attempt, failure)
        self.attempt = attempt
        self.failure = failure


class Connections:
    """Open connections by endpoint; made in the event loop that uses them."""

    def __init__(self, settings: LLM) -> None:
        self._settings = settings
        self._open: dict[tuple[str, str], AsyncOpenAI] = {}

    def of(self, request: Request) -> AsyncOpenAI:
        """The connection for a request's endpoint."""
        return self.to(*request.endpoint.where)

    def to(self, base_url: str, key_env: str) -> AsyncOpenAI:
        """The connection for a base URL."""
        if (base_url, key_env) not in self._open:
            self._open[base_url, key_env] = open_connection(base_url, key_env, self._settings)
        return self._open[base_url, key_env]

    async def close(self) -> None:
        """Close them all."""
        for connection in self._open.values():
            with contextlib.suppress(Exception):
                await connection.close()
        self._open.clear()


class DirectSender:
    """One HTTP request an attempt."""

    def __init__(self, ledger: Ledger, settings: LLM) -> None:
        self._ledger = ledger
        self._timeout = settings.timeout
        self._connections = Connections(settings)

    async def send(
        self, request: Request, key: str, dialect: Dialect, temperature: float, seed: int
    ) -> tuple[int, RawReply]:
        """See ``Sender``."""
        messages = await wire_messages(request)
        connection = self._connections.of(request)
        body = body_of(dialect.fields(request, temperature, seed), request, messages)
        attempt = self._ledger.begin(request, key)
        try:
            return attempt, await complete(connection, body, request, self._timeout)
        except Failed as failure:
            raise AttemptFailed(attempt, failure) from None
        except asyncio.CancelledError:
            self._ledger.end(attempt, "cancelled", usage=Usage())
            raise

    async def close(self) -> None:
        """See ``Sender``."""
        await self._connections.close()
