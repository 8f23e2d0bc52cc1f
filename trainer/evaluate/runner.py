"""Asks a backend about every item that has no reply yet, and keeps what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from mmprolong_data.errors import FormatError
from mmprolong_data.settings import fingerprint

from .backends.base import Backend, Output
from .items import Item
from .results import Result, ResultStore

Progress = Callable[[int, int, int], None]
"""Called with (items that have a reply, items, replies that are errors)."""


def answer_all(
    items: Sequence[Item],
    backend: Backend,
    store: ResultStore,
    progress: Progress = lambda done, total, errors: None,
) -> list[Result]:
    """The reply to every item, in the order of the items.

    Items that were answered in an earlier run under the same settings are not asked again; those that ended in an error
    are. A page or video that cannot be read is such an error. At most ``backend.concurrency`` items are in memory at a
    time.

    Raises:
        MMProLongError: the backend cannot be used at all; replies so far are kept.
    """
    settings = fingerprint(backend.settings())
    asked = [item.fingerprint() for item in items]
    results: dict[int, Result] = {}
    pending: list[int] = []
    for number, key in enumerate(asked):
        known = store.find(key, settings)
        if known is not None and not known.error:
            results[number] = known
        else:
            pending.append(number)
    errors = 0
    progress(len(results), len(items), errors)

    def ask(number: int) -> tuple[int, Result]:
        item = items[number]
        begun = time.perf_counter()
        try:
            output = backend.answer(item)
        except FormatError as error:  # a damaged page costs the question that shows it
            output = Output("", str(error))
        seconds = round(time.perf_counter() - begun, 3)
        return number, Result(item.key, asked[number], settings, output.text, output.error, seconds)

    def keep(number: int, result: Result) -> None:
        nonlocal errors
        store.add(result)
        results[number] = result
        errors += bool(result.error)
        progress(len(results), len(items), errors)

    if backend.concurrency == 1:
        for number in pending:
            keep(*ask(number))
    else:
        _spread(pending, ask, keep, backend)
    return [results[number] for number in range(len(items))]


def _spread(
    pending: Iterable[int],
    ask: Callable[[int], tuple[int, Result]],
    keep: Callable[[int, Result], None],
    backend: Backend,
) -> None:
    concurrency = backend.concurrency
    with ThreadPoolExecutor(concurrency, thread_name_prefix="ask") as pool:
        running: set[Future[tuple[int, Result]]] = set()
        try:
            for number in pending:
                if len(running) >= concurrency:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        keep(*future.result())
                running.add(pool.submit(ask, number))
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    keep(*future.result())
        except BaseException:
            for future in running:
                future.cancel()
            backend.close()  # or leaving the pool would wait for replies that nobody needs
            raise
