"""Slices whose questions come from a language model: many wait on the network at once, packing never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm import LLMService, Unanswered
from mmprolong_data.llm.ledger_file import LedgerFile, LedgerInUse

from .engines.local import StopFlag, run_slices
from .engines.slices import SliceRunner, in_order
from .pack import SliceBuilder
from .qa.openai.ledgers import tell
from .qa.openai.stage import AskStage
from .workspace import LOCK_POLL

T = TypeVar("T")

MOST_SLICES = 64
"""Slices that wait at once in batch mode; each holds its parsed documents in memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking gave: US dollars spent, and the slices that failed for good, slice -> error."""

    spent: float
    failed: dict[int, str]


def once_free(use: Callable[[], T], stop: StopFlag, note: Callable[[str], None]) -> T:
    """Call something as soon as no other process uses the ledger that it needs.

    The same part can be started twice, by hand or by a scheduler that has lost sight of a node.

    Raises:
        Stopped: the build was asked to stop.
    """
    told = False
    while True:
        try:
            return use()
        except LedgerInUse as error:
            if not told:
                note(f"{error.args[0].partition('. Remedy')[0]}; waiting for it")
                told = True
            stop.check()
            time.sleep(LOCK_POLL)


def run_asking_slices(
    builder: SliceBuilder,
    numbers: Sequence[int],
    *,
    ledger: LedgerFile,
    at_once: int,
    stop: StopFlag,
    max_cost: float | None,
    note: Callable[[str], None],
) -> Asked:
    """Build slices with questions by a model, under the locks and records of all slices (``SliceRunner``).

    A slice in which a request got no answer is left for the next run, and the others are built: that is no failure.

    Args:
        builder: Without its ``asker``.
        numbers: The slices.
        ledger: What was asked and paid.
        at_once: Slices that parse and pack at a time.
        stop: Ends the work.
        max_cost: US dollars that may be spent, or None.
        note: Shows a line.

    Raises:
        MMProLongError: Some slices are left, or see ``LLMClient.ask``.
    """
    recipe = builder.recipe
    batch = recipe.qa.mode == "batch"
    # Enough documents to keep the endpoint busy while other slices are packed.
    documents = MOST_SLICES * recipe.pack.documents_per_slice if batch else 2 * recipe.llm.concurrency
    waiting = min(MOST_SLICES, 1 + -(-documents // recipe.pack.documents_per_slice))
    left: list[str] = []
    lock = threading.Lock()

    def open_service() -> LLMService:
        return LLMService(ledger, recipe.llm, max_cost=max_cost, batch=batch, note=note)

    with once_free(open_service, stop, note) as service, AskStage(recipe, service, builder.pool) as stage:
        runner = SliceRunner(builder.workspace, replace(builder, asker=stage), stop)

        def build(number: int) -> None:
            try:
                runner.run(number)
            except Unanswered as error:
                stop.check()
                with lock:
                    left.append(str(error))
                note(f"slice {number} is left for the next run: {error}")
            if ledger.alone:
                with lock:
                    tell(ledger.path, service.summary())

        def abort() -> None:
            service.drain()
            builder.pool.close()

        run_slices(in_order(builder.workspace, numbers), build, at_once=at_once + waiting, stop=stop, abort=abort)
        spent = stage.spent
    left += runner.left.values()
    if left:
        raise MMProLongError(
            f"{len(left)} of {len(numbers)} slices have requests without an answer or files that could not be fetched,"
            f" such as: {left[0]}. All others are done, and every reply is kept. Remedy: see that the endpoint works,"
            " then run the same command again, or give such questions up with --set llm.unanswered=drop"
        )
    return Asked(spent, runner.failed)
