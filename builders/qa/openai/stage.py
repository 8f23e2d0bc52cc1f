"""The stage ask: all documents of a slice at once, in the event loop that all slices share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from mmprolong_data.llm import Draining, LLMService, Unanswered

from ...recipe import Recipe
from ...sandbox import Outcome, SandboxPool
from .generator import DocumentAsker
from .pages import PageCache
from .tally import count

Done = Callable[[dict[str, Any]], None]


class AskStage:
    """Asks about the documents of slices. ``slice`` may be called from several threads; use as a context manager.

    The parent's event loop waits on the network; everything that looks at a document, checks included, happens in
    sandboxed children.

    Args:
        recipe: The settings.
        service: Asks the models.
        pool: The children.
    """

    def __init__(self, recipe: Recipe, service: LLMService, pool: SandboxPool) -> None:
        self._recipe = recipe
        self._service = service
        self._pool = pool
        self._cache = PageCache()
        self._executor = ThreadPoolExecutor(2 * pool.workers, thread_name_prefix="ask")

    def __enter__(self) -> AskStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    @property
    def spent(self) -> float:
        """US dollars that this run has spent."""
        return self._service.client.budget.spent

    def slice(self, rows: Sequence[dict[str, Any]], documents: dict[str, bytes], done: Done) -> list[dict[str, Any]]:
        """Make the questions of a slice.

        Args:
            rows: The slice's rows of the plan.
            documents: ``doc_id`` -> packed document, of those that were parsed.
            done: Called with a row when its document is done, from the event loop's thread.

        Returns:
            A record a document, in the order of the rows: see ``DocumentAsker.run``.

        Raises:
            Unanswered: Some requests got no answer; all others have been made and stored.
            EndpointError, BudgetReached, Draining: See ``LLMClient.ask``.
        """
        return self._service.run(self._slice([row for row in rows if row["doc_id"] in documents], documents, done))

    def count(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What is kept of a slice's records in its sidecar: see ``tally.count``."""
        return count(records, reworded=self._recipe.qa.generator != "openai")

    async def _slice(
        self, rows: Sequence[dict[str, Any]], documents: dict[str, bytes], done: Done
    ) -> list[dict[str, Any]]:
        async def one(row: dict[str, Any]) -> dict[str, Any]:
            packed = documents[row["doc_id"]]
            asker = DocumentAsker(row, packed, self._recipe, self._service.client.ask, self._call, self._cache)
            record = await asker.run()
            done(row)
            return record

        results = await asyncio.gather(*map(one, rows), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        # What ends the run comes before what another run may mend.
        for error in sorted(errors, key=lambda error: isinstance(error, Unanswered) + 2 * isinstance(error, Draining)):
            raise error
        return [result for result in results if not isinstance(result, BaseException)]

    def _call(self, task: str, payload: dict[str, Any]) -> asyncio.Future[Outcome]:
        try:
            return asyncio.get_running_loop().run_in_executor(self._executor, self._pool.call, task, payload)
        except RuntimeError:
            raise Draining("The run is being stopped") from None  # the executor has been shut down
