"""Batches: many requests in one file, at a lower price, hours later; found again after a kill by their metadata."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .batch_api import BatchApi
from .dialect import Dialect, body_of
from .ledger import Ledger
from .senders import AttemptFailed, Connections
from .settings import LLM
from .transport import Failed, RawReply, parse_completion, status_failure, wire_messages
from .types import Request

Group = tuple[str, str, str]
"""Base URL, key variable and model: what one batch may hold."""


@dataclass(slots=True)
class _Waiting:
    request: Request
    fields: dict[str, Any]
    future: asyncio.Future[tuple[int, RawReply]]


class BatchSender:
    """Collects requests, sends them as batches, and hands out the results; a ``Sender``.

    A batch and its requests are noted before the file is uploaded, under a name of ours that goes into the batch's
    metadata. After a kill, requests of a batch that is still open are not sent again: they wait for that batch, whose
    results are fetched (again, if need be) until each has been stored. A batch that was created although we were
    killed before noting its id is found by its metadata; one that never came into being is dropped, and its requests
    go into another.

    Args:
        ledger: Of the client.
        settings: Sizes and waiting times.
        connections: Where to send.
        note: Called with lines worth showing.
    """

    def __init__(
        self, ledger: Ledger, settings: LLM, connections: Connections, note: Callable[[str], None] = lambda text: None
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._connections = connections
        self._note = note
        self._pending: dict[Group, dict[str, _Waiting]] = {}
        self._sent: dict[str, _Waiting] = {}  # in a batch, and awaited
        self._attempts: dict[str, int] = {}  # in an open batch, awaited or not
        self._results: dict[str, dict[str, Any] | Failed] = {}  # arrived before anybody asked
        self._resumed: set[tuple[str, str]] = set()
        self._resuming = asyncio.Lock()
        self._last = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushing = False

    async def send(
        self, request: Request, key: str, dialect: Dialect, temperature: float, seed: int
    ) -> tuple[int, RawReply]:
        """See ``client.Sender``."""
        await self._resume(request.endpoint.where)
        waiting = _Waiting(request, dialect.fields(request, temperature, seed), asyncio.Future())
        if key in self._results:
            self._settle(key, waiting, self._results.pop(key))
        elif key in self._attempts:
            self._sent[key] = waiting
        else:
            group = (*request.endpoint.where, request.endpoint.model)
            self._pending.setdefault(group, {})[key] = waiting
            self._last = time.monotonic()
            if not self._flushing:
                self._flushing = True
                self._start(self._flush_when_quiet(), self._all_pending)
        return await waiting.future

    async def close(self) -> None:
        """Stop waiting. Batches go on at the endpoint; the next run takes their results."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connections.close()

    def _all_pending(self) -> list[str]:
        return [key for waiting in self._pending.values() for key in waiting]

    async def _flush_when_quiet(self) -> None:
        """Send what has gathered once it is a full batch or nothing has come for a while."""
        try:
            while any(self._pending.values()):
                full = [g for g, waiting in self._pending.items() if len(waiting) >= self._settings.batch_size]
                quiet = time.monotonic() - self._last >= self._settings.batch_wait
                for group in full or (list(self._pending) if quiet else []):
                    waiting = self._pending[group]
                    chosen = {key: waiting.pop(key) for key in sorted(waiting)[: self._settings.batch_size]}
                    if chosen:
                        self._sent |= chosen
                        self._start(self._submit(group, chosen), partial(list, list(chosen)))
                await asyncio.sleep(min(0.25, self._settings.batch_wait / 4))
        finally:
            self._flushing = False

    def _start(self, work: Coroutine[Any, Any, None], keys: Callable[[], Iterable[str]]) -> None:
        """Run something in the background; should it fail, those who wait for ``keys`` hear of it."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits
                for key in list(keys()):
                    waiting = self._sent.pop(key, None) or self._pop_pending(key)
                    if waiting is not None and not waiting.future.done():
                        failure = (
                            AttemptFailed(self._attempts.get(key, 0), error) if isinstance(error, Failed) else error
                        )
                        waiting.future.set_exception(failure)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pop_pending(self, key: str) -> _Waiting | None:
        return next((w.pop(key) for w in self._pending.values() if key in w), None)

    async def _submit(self, group: Group, items: dict[str, _Waiting]) -> None:
        """Write one file (or several, where the bytes demand it) and follow its batch."""
        lines: list[bytes] = []
        keys: list[str] = []
        size = 0
        for key, waiting in items.items():
            try:
                messages = await wire_messages(waiting.request)
            except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits
                self._sent.pop(key, None)
                if not waiting.future.done():
                    waiting.future.set_exception(error)
                continue
            body = body_of(waiting.fields, waiting.request, messages)
            line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
            data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            if lines and size + len(data) > self._settings.batch_bytes:
                self._start(self._run(group, {k: items[k] for k in keys}, b"".join(lines)), partial(list, keys))
                lines, keys, size = [], [], 0
            lines.append(data)
            keys.append(key)
            size += len(data)
        if keys:
            await self._run(group, {key: items[key] for key in keys}, b"".join(lines))

    async def _run(self, group: Group, items: dict[str, _Waiting], data: bytes) -> None:
        api = self._api(group[:2])
        name = uuid.uuid4().hex
        self._attempts |= self._ledger.begin_batch(name, [(key, w.request) for key, w in items.items()])
        try:
            file_id = await api.upload(name, data)
            self._ledger.update_batch(name, input_file=file_id)
            batch_id = await api.create(name, file_id)
        except Failed as failure:
            self._ledger.void_batch(name, failure.outcome, failure.detail)
            for key in items:
                self._attempts.pop(key, None)
            raise
        self._ledger.update_batch(name, id=batch_id, status="submitted")
        self._note(f"batch {batch_id}: {len(items)} requests sent")
        await self._follow(api, list(items), batch_id)

    async def _follow(self, api: BatchApi, keys: list[str], batch_id: str) -> None:
        """Wait for a batch and hand out what it gave."""
        outcome = await api.outcome(batch_id)
        results: dict[str, dict[str, Any] | Failed] = {}
        for line in outcome.lines:
            try:
                value = json.loads(line)
                results[value["custom_id"]] = value
            except (ValueError, KeyError, TypeError):
                continue  # a damaged line: its request is asked again
        replies = 0
        for key in keys:
            # What the batch left out (it expired, or failed as a whole) is for another one to ask.
            value = results.get(key, Failed("server_error", outcome.detail))
            waiting = self._sent.pop(key, None)
            if waiting is None:
                self._results[key] = value
            else:
                replies += self._settle(key, waiting, value)
        self._note(f"batch {batch_id}: {outcome.status}, {len(keys)} requests, {len(results)} results")

    def _settle(self, key: str, waiting: _Waiting, value: dict[str, Any] | Failed) -> bool:
        """Give one result to whoever waits for it. Returns whether it is a reply."""
        attempt = self._attempts.pop(key, 0)
        try:
            if isinstance(value, Failed):
                raise value
            raw = self._read(value, waiting.request)
        except Failed as failure:
            self._ledger.drop_item(key)
            if not waiting.future.done():
                waiting.future.set_exception(AttemptFailed(attempt, failure))
            return False
        if not waiting.future.done():
            waiting.future.set_result((attempt, raw))
        return True

    def _read(self, value: dict[str, Any], request: Request) -> RawReply:
        response = value.get("response") or {}
        status, body = response.get("status_code") or 0, response.get("body")
        if status == 200:
            return parse_completion(json.dumps(body), request, self._settings.batch_discount)
        failure = status_failure(status or 500, json.dumps(body or value.get("error") or "no response"), {})
        if failure.throttled:  # there is no rate to wait for here: the next batch tries again
            raise Failed("server_error", failure.detail, http=status)
        raise failure

    async def _resume(self, where: tuple[str, str]) -> None:
        """Once for each endpoint: take up the batches that an earlier run has left open."""
        if where in self._resumed:
            return
        async with self._resuming:
            if where in self._resumed:
                return
            batches = [batch for batch in self._ledger.open_batches() if batch["endpoint"].rstrip("/") == where[0]]
            api = self._api(where) if batches else None
            listed: dict[str, str] | None = None
            for batch in batches:
                assert api is not None
                name, batch_id, items = batch["name"], batch["id"], batch["items"]
                if not items:  # all its results have been stored
                    self._ledger.update_batch(name, status="done")
                    continue
                if not batch_id:  # killed between noting it and hearing of its id
                    if listed is None:
                        listed = await self._listed(api)
                    batch_id = listed.get(name, "")
                    if not batch_id:
                        self._ledger.void_batch(name, "lost", "never created")
                        continue
                    self._ledger.update_batch(name, id=batch_id, status="submitted")
                    self._note(f"batch {batch_id}: found by its metadata")
                self._attempts |= items
                keys = list(items)
                self._start(self._follow(api, keys, batch_id), partial(list, keys))
            self._resumed.add(where)

    async def _listed(self, api: BatchApi) -> dict[str, str]:
        try:
            return await api.mine()
        except Failed as failure:
            raise AttemptFailed(0, failure) from None

    def _api(self, where: tuple[str, str]) -> BatchApi:
        return BatchApi(self._connections.to(*where), self._settings, self._ledger.name, self._ledger.names())
