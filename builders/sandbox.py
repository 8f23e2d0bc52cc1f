"""The pool of sandboxed children: one document a call, and whatever it does to its child is a reason code."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from mmprolong_data.errors import MMProLongError

from .child import LOST, ChildProcess, Outcome
from .fetch import FileStore, UnfetchedError
from .recipe import Sandbox
from .worker import TASKS

__all__ = ["UNFETCHED", "Outcome", "SandboxClosed", "SandboxPool"]

UNFETCHED = "unfetched"
"""Reason of an outcome of ``SandboxPool.map`` with ``tolerant``: no code of a document, its file may come yet."""


class SandboxClosed(MMProLongError):
    """The pool was closed while somebody waited for a result."""


class SandboxPool:
    """Persistent child processes that run tasks on untrusted documents, under limits.

    Each call owns one child over a private socket. A child that dies, or is not done in time, is killed and the
    document gets one more chance in a fresh child; then its outcome is ``crash``, ``timeout`` or ``memory``.
    A child is replaced after ``settings.recycle`` documents. Children hold no state between documents that a
    result could depend on. Safe to use from several threads. Use it as a context manager, or call ``close``.

    Where a payload's ``path`` is a URL, this process fetches the file (``files``) and the child, which has no
    credentials, gets its place on this machine. ``doc_id``, if the payload has it, must be the hash of its content: a
    file that was removed or replaced is ``unreadable``, as one on this machine that was removed.

    Args:
        workers: Most children at a time. They start when they are needed.
        settings: Their limits.
        tasks: Further tasks, name -> ``module:function``; the function takes and returns a dict of plain values.
        preload: The module of this package that a child imports when it starts.
        environment: Variables that children get besides the few that all of them have.

    Raises:
        MMProLongError: From any call: a child cannot start or a task cannot be imported, such as for a missing
            package; that is nobody's document.
    """

    def __init__(
        self,
        workers: int,
        settings: Sandbox,
        tasks: Mapping[str, str] | None = None,
        preload: str = "pdf",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers = {workers}: must be at least 1")
        self.workers = workers
        self._settings = settings
        self._tasks = dict(tasks or {})
        self._preload = preload
        self._environment = dict(environment or {})
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
        self.files = FileStore()
        self._changed = threading.Condition()
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._starting = 0
        self._closed = False
        self._ended_cpu = 0.0

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, task: str, payload: dict[str, Any], timeout: float | None = None, retry: bool = True) -> Outcome:
        """Run one task in a child and wait for its outcome.

        Args:
            task: Its name.
            payload: Plain values.
            timeout: Seconds, at most those of the settings (the default).
            retry: Give it the one more chance; without, the caller has a way of its own to go on.

        Raises:
            MMProLongError: See the class; ``SandboxClosed`` if the pool is closed meanwhile.
            UnfetchedError: The file at a URL cannot be fetched, and may still be there.
            ValueError: There is no such task.
        """
        if task not in self._tasks and task not in TASKS:
            raise ValueError(f"no task {task!r}; there are {', '.join([*TASKS, *self._tasks])}")
        if "path" not in payload:
            return self._call(task, payload, timeout, retry)
        try:
            with self.files.local(payload["path"], payload.get("doc_id", "")) as path:
                return self._call(task, payload | {"path": path}, timeout, retry)
        except UnfetchedError as error:
            if error.gone:
                return Outcome(None, "unreadable", error.lasting)
            raise

    def _call(self, task: str, payload: dict[str, Any], timeout: float | None, retry: bool) -> Outcome:
        for last_chance in (False, True) if retry else (True,):
            child = self._acquire(fresh=last_chance and retry)
            try:
                outcome = child.run(task, payload, min(timeout or math.inf, self._settings.timeout))
            except BaseException:
                self._release(child, usable=False)
                raise
            # What a child has done before must not decide: out of memory counts in a fresh child only.
            usable = outcome.reason not in LOST and outcome.reason != "memory"
            final = usable or last_chance or (outcome.reason == "memory" and child.documents == 1)
            self._release(child, usable)
            if outcome.reason in LOST:
                self._check_open()  # it was close() that ended the child
            if final:
                return outcome
        raise AssertionError("unreachable")

    def map(
        self,
        task: str,
        payloads: Iterable[dict[str, Any]],
        window: int | None = None,
        retry: bool = True,
        tolerant: bool = False,
    ) -> Iterator[Outcome]:
        """Run a task on every payload; outcomes come in the order of the payloads.

        Args:
            task: Its name.
            payloads: Read as needed, in the calling thread.
            window: Most payloads that are in work or wait for their turn to be yielded (default ``2 * workers``).
            retry: As in ``call``.
            tolerant: A file that cannot be fetched is an outcome: ``unreadable`` where the server said that for good,
                else ``UNFETCHED``.

        Raises:
            MMProLongError: See ``call``.
        """
        window = window or 2 * self.workers
        call = self._tolerant_call if tolerant else self.call
        waiting: deque[Future[Outcome]] = deque()
        try:
            for payload in payloads:
                if len(waiting) >= window:
                    yield self._result(waiting.popleft())
                self.files.want(payload.get("path", ""), payload.get("doc_id", ""))
                try:
                    waiting.append(self._executor.submit(call, task, payload, None, retry))
                except RuntimeError:
                    self._check_open()
                    raise
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def _tolerant_call(self, task: str, payload: dict[str, Any], timeout: float | None, retry: bool) -> Outcome:
        try:
            return self.call(task, payload, timeout, retry)
        except UnfetchedError as error:
            return Outcome(None, "unreadable", error.lasting) if error.lasting else Outcome(None, UNFETCHED, str(error))

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all children, ended ones included."""
        with self._changed:
            return self._ended_cpu + sum(child.cpu for child in [*self._idle, *self._busy])

    def close(self) -> None:
        """End every child at once; calls that wait for one raise ``SandboxClosed``. May be called twice."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            self._changed.notify_all()
        for child in busy:
            child.kill()  # the thread that waits for it sees the end of the stream
        for child in idle:
            self._count(child)
        self.files.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _result(self, future: Future[Outcome]) -> Outcome:
        try:
            return future.result()
        except CancelledError:
            self._check_open()
            raise

    def _count(self, child: ChildProcess) -> None:
        child.end()
        with self._changed:
            self._ended_cpu += child.cpu

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxClosed("The sandbox was closed before the work was done")

    def _acquire(self, fresh: bool) -> ChildProcess:
        """Take an idle child or start one; ``fresh``: one that has seen no document."""
        retired = None
        with self._changed:
            while True:
                self._check_open()
                if self._idle and not fresh:
                    child = self._idle.pop()
                    self._busy.add(child)
                    return child
                if len(self._idle) + len(self._busy) + self._starting < self.workers:
                    break
                if self._idle:
                    retired = self._idle.pop()
                    break
                self._changed.wait()
            self._starting += 1
        if retired is not None:
            self._count(retired)
        started: ChildProcess | None = None
        try:
            child = started = ChildProcess(self._environment)
            with self._changed:
                self._busy.add(child)  # from here on, close() ends it
                self._starting -= 1
            child.start(self._settings, self._tasks, self._preload)
        except BaseException:
            if started is None:
                with self._changed:
                    self._starting -= 1
                    self._changed.notify()
            else:
                self._release(started, usable=False)
            self._check_open()
            raise
        return child

    def _release(self, child: ChildProcess, usable: bool) -> None:
        keep = usable and child.documents < self._settings.recycle
        if not keep:
            child.end()
        with self._changed:
            self._busy.discard(child)
            if keep and not self._closed:
                self._idle.append(child)
            else:
                child.end()
                self._ended_cpu += child.cpu
            self._changed.notify()
