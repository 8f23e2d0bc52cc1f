"""One event loop in a thread of its own, in which all threads of a process ask their questions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .batch import BatchSender
from .budget import Budget
from .client import LLMClient
from .ledger import Ledger
from .ledger_file import LedgerFile
from .senders import Connections
from .settings import LLM
from .summary import Summary, summarize
from .types import Draining

T = TypeVar("T")


class LLMService:
    """A client that any thread can use. A context manager: leaving it closes the ledger.

    Args:
        ledger: Where replies and attempts are kept.
        settings: How endpoints are used.
        max_cost: US dollars that this run may spend, or None.
        batch: Whether requests go into batches.
        note: Called with lines worth showing, from the service's thread.
    """

    def __init__(
        self,
        ledger: Path | LedgerFile,
        settings: LLM,
        *,
        max_cost: float | None = None,
        batch: bool = False,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.settings = settings
        self._ledger = Ledger(ledger)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._drained = False
        self._closed = False
        connections = Connections(settings)
        sender = BatchSender(self._ledger, settings, connections, note) if batch else None
        self.client = LLMClient(self._ledger, settings, Budget(max_cost, probe=not batch), sender)
        self._thread = threading.Thread(target=self._run, name="llm", daemon=True)
        self._thread.start()

    def __enter__(self) -> LLMService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("" if kind is None else kind.__name__)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result.

        Raises:
            Draining: The service is being stopped.
            Exception: Whatever the coroutine raises.
        """
        with self._lock:
            if self._drained:
                work.close()
                raise Draining("The run is being stopped")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._tasks.add(future)
        try:
            return future.result()
        except CancelledError:
            raise Draining("The run is being stopped") from None
        finally:
            with self._lock:
                self._tasks.discard(future)

    def summary(self) -> Summary:
        """What the ledger says now."""

        async def read() -> Summary:
            return summarize(self._ledger.connection)

        return self.run(read())

    def drain(self) -> None:
        """Send nothing new and store what arrives within ``settings.drain`` seconds. May be called twice."""
        with self._lock:
            if self._drained:
                return
            self._drained = True
        asyncio.run_coroutine_threadsafe(self.client.drain(self.settings.drain), self._loop).result()
        with self._lock:
            waiting = list(self._tasks)
        for future in waiting:
            future.cancel()

    def close(self, why: str = "") -> None:
        """Stop at once: nothing is waited for. May be called twice."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            self._drained = True
            waiting = list(self._tasks)
        for future in waiting:
            future.cancel()
        asyncio.run_coroutine_threadsafe(self.client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._ledger.close(why)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()
