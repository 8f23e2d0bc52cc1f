"""Running slices on this machine: a few at once in threads, all sharing one pool of sandboxed children."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait


class Stopped(Exception):
    """The build was asked to stop; raised inside slice threads."""


class StopFlag:
    """Set on an interrupt or on the first failure; slices look at it between documents."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask every slice to stop."""
        self._event.set()

    def check(self) -> None:
        """Raise ``Stopped`` once ``set`` was called."""
        if self._event.is_set():
            raise Stopped


def run_slices(
    numbers: Sequence[int],
    run: Callable[[int], None],
    *,
    at_once: int,
    stop: StopFlag,
    abort: Callable[[], None],
) -> None:
    """Call ``run`` for every slice number, ``at_once`` of them at a time.

    The first exception, or an interrupt of the calling thread, stops the others: ``stop`` is set, then ``abort`` is
    called to end what they wait for. Slices that are complete stay complete.
    """
    executor = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="slice")
    try:
        futures = [executor.submit(run, number) for number in numbers]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failure = next((error for future in done if (error := future.exception()) is not None), None)
        if failure is not None:
            raise failure
    except BaseException:
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)
        abort()
        raise
    finally:
        executor.shutdown(wait=True)
