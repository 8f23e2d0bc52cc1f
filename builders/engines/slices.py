"""One slice, whoever runs it: its lock, how often it was begun, and the record of one that fails for good."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mmprolong_data.errors import FormatError, MMProLongError

from ..fetch import UnfetchedError
from ..pack import SliceBuilder, made_shards
from ..untrusted import clean_detail
from ..workspace import LOCK_POLL, Workspace, try_lock, write_atomically
from .local import StopFlag, Stopped

ATTEMPTS = 2
"""How often a slice is tried in one run before it counts as failed."""

UPLOADED = ("parse", "pack", "upload")
"""Stages of a slice that goes elsewhere, as progress knows them."""

MOST_LEFT = 5
"""Slices that may lack a file before any slice was built: then the server, not a file, is away."""

_EVERYBODYS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)
"""Errors of the operating system that the next slice would meet too."""


class ProcessLost(Exception):
    """The process that built a slice ended, again and again."""


class Elsewhere(Protocol):
    """Where slices go that are not to stay in the work folder. Every call may come from any thread."""

    def is_there(self, number: int) -> bool:
        """True if a slice is complete there."""

    def note_begun(self, number: int) -> None:
        """A slice is begun, once more."""

    def publish(self, number: int) -> None:
        """A slice is packed in the work folder."""

    def note_failed(self, number: int) -> None:
        """A slice has failed for good; the record is in the work folder."""

    def close(self) -> None:
        """End what is under way: the build is stopped."""


class SliceRunner:
    """Builds slices that were missing when the run began, in this process.

    Safe to use from several threads, and beside other processes on the same folder.

    A slice that raises is tried again; if it fails ``ATTEMPTS`` times that is recorded, and the others go on. What is
    nobody's slice (a full disk, a missing package, an interrupt) is raised. A slice with a file that cannot be fetched
    now is ``left`` for the next run: what a network does must not shape a dataset.

    Args:
        workspace: The work folder.
        builder: Builds one slice.
        stop: Ends the work.
        most: Slice -> how often it may have been begun ever; beyond that it has failed, for it ends its process.
        elsewhere: Takes the slices that are packed.
    """

    def __init__(
        self,
        workspace: Workspace,
        builder: SliceBuilder,
        stop: StopFlag,
        most: Mapping[int, int] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._workspace = workspace
        self._builder = builder
        self._stop = stop
        self._most = most or {}
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self.failed: dict[int, str] = {}
        self.left: dict[int, str] = {}
        self._built = 0

    def run(self, number: int) -> None:
        """Build one slice, unless another process has. Waits for a process that is at it.

        Raises:
            MMProLongError, OSError: what is not about this slice.
            Stopped: the build was asked to stop.
        """
        self._stop.check()
        with slice_lock(self._workspace, number, self._stop) as begun:
            if self._elsewhere is not None and self._elsewhere.is_there(number):
                self._builder.report_done(number, UPLOADED)
                return
            sidecar = self._workspace.read_sidecar("pack", number)
            if sidecar is not None and made_shards(self._workspace.cell("pack", number), sidecar):
                self._publish(number)
                self._builder.report_done(number)
                return
            if attempts(self._workspace, number) >= self._most.get(number, sys.maxsize):
                self._fail(number, ProcessLost("its process ended every time while it was built"))
                return
            for attempt in range(1, ATTEMPTS + 1):
                begun()
                if self._elsewhere is not None:
                    self._elsewhere.note_begun(number)
                try:
                    self._builder.build(number)
                except UnfetchedError as error:
                    self._stop.check()
                    with self._lock:
                        self.left[number] = str(error)
                        if not self._built and len(self.left) >= MOST_LEFT:
                            raise
                    return
                except Exception as error:
                    if is_everybodys(error):
                        raise
                    self._stop.check()  # an interrupt ends children, and a slice fails by that in many ways
                    if attempt == ATTEMPTS:
                        self._fail(number, error)
                else:
                    self._publish(number)
                    failure_file(self._workspace, number).unlink(missing_ok=True)
                    with self._lock:
                        self._built += 1
                    return

    def _publish(self, number: int) -> None:
        if self._elsewhere is not None:
            self._elsewhere.publish(number)
            self._builder.report_done(number, ("upload",))

    def _fail(self, number: int, error: Exception) -> None:
        record_failure(self._workspace, number, error)
        if self._elsewhere is not None:
            self._elsewhere.note_failed(number)
        with self._lock:
            self.failed[number] = describe(self._workspace, error)

    def check_left(self) -> None:
        """Raise if slices are left for the next run.

        Raises:
            UnfetchedError: such slices, and the first cause.
        """
        if self.left:
            first = self.left[min(self.left)]
            raise UnfetchedError(
                f"{len(self.left)} slices are left for the next run, all others are done. Files could not be fetched,"
                f" such as {first.rstrip('.')}. Remedy: run the same command again"
            )


def is_everybodys(error: BaseException) -> bool:
    """True if an error says nothing about the slice in which it was raised."""
    if isinstance(error, FormatError):
        return False
    if isinstance(error, OSError):
        return error.errno in _EVERYBODYS
    return isinstance(error, MMProLongError | Stopped) or not isinstance(error, Exception)


@contextlib.contextmanager
def slice_lock(workspace: Workspace, number: int, stop: StopFlag) -> Iterator[Any]:
    """Hold a slice; waits while another process holds it. Gives a function that notes one more attempt.

    The number of attempts is the length of the lock file: it survives the process, so that a slice that ends its
    process is not the first one to be tried again (``in_order``).
    """
    path = attempts_file(workspace, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        while not try_lock(stream, fcntl.LOCK_EX):
            stop.check()
            time.sleep(LOCK_POLL)

        def begun() -> None:
            os.write(stream.fileno(), b".")

        yield begun


def attempts(workspace: Workspace, number: int) -> int:
    """How often a slice was begun."""
    try:
        return attempts_file(workspace, number).stat().st_size
    except FileNotFoundError:
        return 0


def in_work(workspace: Workspace, number: int) -> bool:
    """True if some process works at a slice now."""
    try:
        with attempts_file(workspace, number).open("rb") as stream:
            return not try_lock(stream, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def in_order(workspace: Workspace, numbers: Sequence[int]) -> list[int]:
    """Slices that were begun least often first: one that ends its process must not keep the others from their turn."""
    return sorted(numbers, key=lambda number: (attempts(workspace, number), number))


def failure_file(workspace: Workspace, number: int) -> Path:
    """Where the failure of a slice is recorded; the next run that makes the slice removes it."""
    return workspace.cells / "failed" / f"{number:05d}.json"


def describe(workspace: Workspace, error: BaseException) -> str:
    """An error in one line that may become part of a dataset: without the place of its files."""
    if isinstance(error, OSError) and error.strerror:
        name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, str | bytes) else ""
        return f"{type(error).__name__}: {error.strerror}" + (f" ({name})" if name else "")
    return clean_detail(error, str(workspace.out))


def record_failure(workspace: Workspace, number: int, error: BaseException) -> None:
    """Note that a slice failed for good, and where in the code."""
    trace = "".join(traceback.format_exception(error))
    record = {"error": describe(workspace, error), "trace": trace[-8000:]}
    write_atomically(failure_file(workspace, number), json.dumps(record, indent=1).encode())


def failures(workspace: Workspace) -> dict[int, str]:
    """Slice -> error, of all slices that failed for good."""
    found = {}
    for path in sorted((workspace.cells / "failed").glob("*.json")):
        try:
            found[int(path.stem)] = str(json.loads(path.read_bytes())["error"])
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return found


def attempts_file(workspace: Workspace, number: int) -> Path:
    """The lock of a slice; its length is how often the slice was begun."""
    return workspace.cells / "locks" / f"{number:05d}"
