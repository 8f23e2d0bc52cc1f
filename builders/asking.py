"""Slices whose questions come from a language model: many wait on the network at once, packing never waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm import LLMService, Unanswered

from .engines.local import StopFlag, run_slices
from .fetch import UnfetchedError
from .pack import SliceBuilder
from .qa.openai.stage import AskStage
from .workspace import Workspace

MOST_SLICES = 64
"""Slices that wait at once in batch mode; each holds its parsed documents in memory."""


def ledger_path(workspace: Workspace) -> Path:
    """The ledger of a build: of all its recipes, so that equal requests are paid once."""
    return workspace.root / "llm.sqlite"


def run_asking_slices(
    builder: SliceBuilder,
    numbers: Sequence[int],
    *,
    at_once: int,
    stop: StopFlag,
    max_cost: float | None,
    note: Callable[[str], None],
) -> float:
    """Build slices with questions by a model.

    A slice in which a request got no answer is left for the next run, and the others are built.

    Args:
        builder: Without its ``asker``.
        numbers: The slices.
        at_once: Slices that parse and pack at a time.
        stop: Ends the work.
        max_cost: US dollars that may be spent, or None.
        note: Shows a line.

    Returns:
        US dollars spent.

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
    with (
        LLMService(ledger_path(builder.workspace), recipe.llm, max_cost=max_cost, batch=batch, note=note) as service,
        AskStage(recipe, service, builder.pool) as stage,
    ):
        asking = replace(builder, asker=stage)

        def build(number: int) -> None:
            try:
                asking.build(number)
            except (Unanswered, UnfetchedError) as error:
                stop.check()
                with lock:
                    left.append(str(error))
                note(f"slice {number} is left for the next run: {error}")

        def abort() -> None:
            service.drain()
            builder.pool.close()

        run_slices(numbers, build, at_once=at_once + waiting, stop=stop, abort=abort)
        spent = stage.spent
    if left:
        raise MMProLongError(
            f"{len(left)} of {len(numbers)} slices have requests without an answer or files that could not be fetched,"
            f" such as: {left[0]}. All others are done, and every reply is kept. Remedy: run the same command again, or"
            " give such questions up with --set llm.unanswered=drop"
        )
    return spent
