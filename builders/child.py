"""One sandboxed child process as its parent sees it: start, exchange of messages, end, and what it cost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError, missing_extra

from . import wire
from .recipe import Sandbox
from .untrusted import clean_text

START_TIMEOUT = 120.0
"""Seconds in which a child has to have imported its libraries."""
LOST = ("crash", "timeout")
"""Reasons after which there is no child any more."""

_KEPT = (
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip
"""Environment variables that a child gets. Keys and tokens of the user are none of its business."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document: ``value``, or a code of ``reasons.DOCUMENT_REASONS`` with its ``detail``."""

    value: dict[str, Any] | None
    reason: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        """True if there is a value."""
        return not self.reason


class ChildProcess:
    """One child process; it gets ``environment`` too. ``run`` is for one thread at a time; ``kill`` for any."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.documents = 0
        self.cpu = 0.0
        self._ended = False
        self._lock = threading.Lock()
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - until ``start`` is over
        self._sock, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(
                    [sys.executable, "-P", "-m", f"{__package__}.worker", str(theirs.fileno()), str(os.getpid())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=self._messages,
                    stderr=self._messages,
                    env=_environment() | dict(environment or {}),
                    start_new_session=True,  # Ctrl-C in the terminal reaches the parent alone
                )
            except OSError as error:
                self._sock.close()
                self._messages.close()
                raise MMProLongError(
                    f"A sandbox process cannot be started: {error.strerror}. Remedy: fewer --workers, or more memory"
                ) from None

    def start(self, settings: Sandbox, tasks: Mapping[str, str], preload: str = "pdf") -> None:
        """Set the limits and wait until the child has imported its libraries, those that module ``preload`` needs.

        Raises:
            MMProLongError: It cannot.
        """
        setup = {"memory": settings.memory, "timeout": settings.timeout, "tasks": dict(tasks), "preload": preload}
        with self._messages:
            try:
                reply = self._exchange(setup, START_TIMEOUT)
            except (wire.ConnectionLost, TimeoutError):
                self._wait_for_its_end()
                self.kill()
                self._messages.seek(0)
                lines = self._messages.read().decode(errors="replace").split("\n")
                said = next((line for line in map(clean_text, reversed(lines)) if line), "no message")
                raise MMProLongError(
                    f"A sandbox process {self._how_it_ended()} while it started: {said}."
                    f" Remedy: check the installation, and sandbox.memory = {settings.memory}"
                ) from None
        _raise_broken(reply)
        self.cpu = float(reply["cpu"])

    def run(self, task: str, payload: dict[str, Any], timeout: float) -> Outcome:
        """Run one task. A child that is lost (``LOST``) has ended; out of ``memory`` it should not be used again.

        Raises:
            MMProLongError: The task cannot run at all, whatever the document.
        """
        self.documents += 1
        try:
            reply = self._exchange({"task": task, "payload": payload}, timeout)
        except TimeoutError:
            self.kill()
            return Outcome(None, "timeout", f"not done in {timeout:g} s")
        except wire.ConnectionLost:
            self._wait_for_its_end()
            self.kill()
            return Outcome(None, "crash", f"its process {self._how_it_ended()}")
        _raise_broken(reply)
        self.cpu = float(reply["cpu"])
        if "value" in reply:
            return Outcome(reply["value"])
        return Outcome(None, reply["reason"], reply["detail"])

    def kill(self) -> None:
        """End the process at once and take note of the CPU time that it used. For any thread; may be called twice."""
        with self._lock:
            if self._ended:
                return
            # Not Popen's own methods: they would reap the process, and its resource usage with it.
            os.kill(self._process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu = usage.ru_utime + usage.ru_stime
            self._ended = True

    def end(self) -> None:
        """``kill``, and close our end of the socket: for the thread that owns the child. May be called twice."""
        self.kill()
        self._sock.close()
        self._messages.close()

    def _exchange(self, message: dict[str, Any], timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        wire.send(self._sock, message, deadline)
        reply: dict[str, Any] = wire.receive(self._sock, deadline)
        return reply

    def _wait_for_its_end(self) -> None:
        """A process closes its files a moment before it has ended: let its own status stand, not our SIGKILL."""
        give_up = time.monotonic() + 2
        while time.monotonic() < give_up and not self._ended:
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return
            time.sleep(0.005)

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        return f"exited with status {code}"


_starter: ThreadPoolExecutor | None = None
_starter_lock = threading.Lock()


def _start(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process from the one thread that lives as long as this process.

    A child asks the kernel to be killed with its parent (``worker.die_with_parent``), and to Linux the parent is the
    thread that started it: threads of a pool end earlier.
    """
    global _starter
    with _starter_lock:
        if _starter is None:
            _starter = ThreadPoolExecutor(1, thread_name_prefix="child-starter")
        future = _starter.submit(lambda: subprocess.Popen(arguments, **options))
    try:
        return future.result()
    except KeyboardInterrupt:
        wait([future])  # it uses a descriptor that our caller is about to close
        raise


def _forget_starter() -> None:
    """A fork has no threads."""
    global _starter, _starter_lock
    _starter, _starter_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_starter)


def _raise_broken(reply: dict[str, Any]) -> None:
    if "broken" not in reply:
        return
    if "message" in reply:
        raise MMProLongError(reply["message"])
    if reply["package"] == "pymupdf":
        raise missing_extra("pymupdf", "build")
    raise MMProLongError(f"A task cannot run in its sandbox process: {reply['broken']}")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # The child imports what its parent would; hashing does not depend on the process.
    path = os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute())
    fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
    return kept | fixed | dict.fromkeys(_THREADS, "1")
