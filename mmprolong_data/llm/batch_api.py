"""The files and batches API of an endpoint: a few calls that are tried again where that may help."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .settings import LLM
from .transport import Failed, status_failure

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

ENDED = ("completed", "failed", "expired", "cancelled")
"""States of a batch that change no more."""
METADATA = "mmprolong"
"""The key of a batch's metadata under which our name for it stands."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ended batch: its status, the lines of its result files, and what the endpoint says of it as a whole."""

    status: str
    lines: list[str]
    detail: str


class BatchApi:
    """Batches at one endpoint, of the ledger named ``ledger``; ``ours`` are all names that its batches may bear."""

    def __init__(self, connection: AsyncOpenAI, settings: LLM, ledger: str, ours: Collection[str] = ()) -> None:
        self._connection = connection
        self._settings = settings
        self._ledger = ledger
        self._ours = {ledger, *ours}

    async def upload(self, name: str, data: bytes) -> str:
        """Upload a batch's requests. Returns the file's id."""
        uploaded = await self._call(
            lambda: self._connection.files.create(file=(f"{METADATA}-{name}.jsonl", io.BytesIO(data)), purpose="batch")
        )
        return uploaded.id

    async def create(self, name: str, file_id: str) -> str:
        """Create a batch, unless an attempt of ours that seemed to fail has created it. Returns its id."""
        tried = False

        async def make() -> str:
            nonlocal tried
            if tried:
                found = (await self._list()).get(name)
                if found:
                    return found
            tried = True
            batch = await self._connection.batches.create(
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={METADATA: name, "ledger": self._ledger},
            )
            return batch.id

        return await self._call(make)

    async def outcome(self, batch_id: str) -> Outcome:
        """Wait until a batch has ended and fetch its results."""
        while True:
            batch = await self._call(lambda: self._connection.batches.retrieve(batch_id))
            if batch.status in ENDED:
                break
            await asyncio.sleep(self._settings.batch_poll)
        lines: list[str] = []
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            lines += (await self._call(partial(self._text, file_id))).splitlines()
        errors = batch.errors.data if batch.errors and batch.errors.data else []
        detail = str(errors[0].message or errors[0].code or "") if errors else ""
        return Outcome(str(batch.status), lines, detail[:300] or f"the batch is {batch.status}")

    async def mine(self) -> dict[str, str]:
        """Our name -> id of all batches that the endpoint lists as this ledger's."""
        return await self._call(self._list)

    async def _text(self, file_id: str) -> str:
        content = await self._connection.files.content(file_id)
        return content.text

    async def _list(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async for batch in self._connection.batches.list(limit=100):
            metadata: dict[str, Any] = dict(batch.metadata or {})
            if metadata.get("ledger") in self._ours and METADATA in metadata:
                found[metadata[METADATA]] = batch.id
        return found

    async def _call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Make a call, again where that may help.

        Raises:
            Failed: It does not; ``fatal`` where the endpoint knows no batches or refuses ours.
        """
        import openai

        failure = Failed("connection")
        for number in range(1, self._settings.tries + 1):
            try:
                async with asyncio.timeout(self._settings.timeout):
                    return await make()
            except TimeoutError:
                failure = Failed("timeout", f"no reply in {self._settings.timeout:g} s")
            except openai.APIStatusError as error:
                failure = status_failure(error.status_code, error.response.text, error.response.headers)
                if failure.fatal or failure.refused:
                    raise Failed("fatal", f"batches: {failure.detail}", http=failure.http) from None
            except openai.APIConnectionError as error:
                failure = Failed("connection", f"{type(error.__cause__ or error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - the transport below lets errors of its own through
                failure = Failed("connection", f"{type(error).__name__}: {error}")
            pause = failure.retry_after
            await asyncio.sleep(pause if pause is not None else min(60.0, self._settings.backoff * 2**number))
        raise failure
