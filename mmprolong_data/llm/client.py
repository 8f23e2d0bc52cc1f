"""The client: asks each request once, tries until it is answered or refused, and books every attempt."""

from __future__ import annotations

import asyncio
import random
from collections import deque

from .budget import Budget
from .dialect import Dialect, merged
from .gate import Gate
from .ledger import Ledger, StoredCall
from .replies import BadReply, read_reply
from .senders import AttemptFailed, DirectSender, Sender
from .settings import LLM
from .transport import Failed, RawReply
from .types import Draining, EndpointError, Reply, Request, Unanswered

LONGEST_BACKOFF = 60.0
HEALTHY = 0.5
"""Share of the last ``RECENT`` attempts with a reply from which on an endpoint counts as healthy."""
RECENT = 32
DEAD_AFTER = 24
"""Attempts without any reply, in a row and twice the concurrency at least, after which an endpoint counts as dead."""
REFUSES_ALL = 8
"""Refused requests, none accepted, after which an endpoint counts as unable to serve the run."""


class LLMClient:
    """Asks language models, in one event loop.

    Equal requests are asked once, whether in this run or in an earlier one. Use ``ask`` from any number of tasks;
    ``drain`` to stop.

    Args:
        ledger: Where replies and attempts are kept.
        settings: How the endpoint is used.
        budget: What may be spent.
        sender: How attempts are made (default: one HTTP request each).
    """

    def __init__(
        self, ledger: Ledger, settings: LLM, budget: Budget | None = None, sender: Sender | None = None
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.budget = budget or Budget(None)
        self._sender = sender or DirectSender(ledger, settings)
        self._batch = sender is not None
        self._gates: dict[tuple[str, str], Gate] = {}
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._silent: dict[tuple[str, str], int] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._recent: dict[tuple[str, str], deque[bool]] = {}
        self._asking: dict[str, asyncio.Task[Reply]] = {}
        self._fatal: EndpointError | None = None
        self._draining = False

    async def ask(self, request: Request) -> Reply:
        """The reply to a request, from the ledger where it is there.

        Returns:
            A ``Reply``. One with a ``failure`` is final as well: it will not be asked again.

        Raises:
            Unanswered: No usable answer after all tries; another run asks again.
            EndpointError: No request to this endpoint can succeed.
            BudgetReached: It might cost more than is left.
            Draining: The client is being stopped.
            MMProLongError: A picture could not be made, or the extra ``openai`` is missing.
        """
        key = request.key()
        stored = self.ledger.find(key)
        if stored is not None:
            return self._stored(request, key, stored)
        task = self._asking.get(key)
        if task is None:
            self._check_open()
            task = asyncio.create_task(self._ask(request, key))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._draining and task.cancelled():
                raise Draining("The run is being stopped") from None
            raise

    @property
    def under_way(self) -> int:
        """Requests that are being asked now."""
        return len(self._asking)

    async def drain(self, seconds: float) -> None:
        """Send nothing new, store the replies that come within ``seconds``, give up on the others."""
        self._draining = True
        tasks = list(self._asking.values())
        if tasks and not self._batch:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Drop what is under way and close the connections; the ledger stays open."""
        await self.drain(0)
        await self._sender.close()

    def _forget(self, key: str, task: asyncio.Task[Reply]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # whoever waited has seen it

    def _check_open(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if self._draining:
            raise Draining("The run is being stopped")

    async def _ask(self, request: Request, key: str) -> Reply:
        if self._batch:  # waiting for a batch takes no place that another request could use
            return await self._try(request, key)
        gate = self._gates.setdefault(self._model(request), Gate(self.settings.concurrency))
        async with gate:
            return await self._try(request, key, gate)

    async def _try(self, request: Request, key: str, gate: Gate | None = None) -> Reply:
        settings = self.settings
        model = self._model(request)
        temperature, seed = request.temperature, request.seed
        tries, repairs, malformed, waited = 0, 0, 0, 0.0
        dialect = self._dialects.get(model, Dialect())
        while True:
            self._check_open()
            reserved = await self.budget.reserve(request)
            spent: float | None = 0.0
            tokens = 0
            failure: Failed | None = None
            try:
                self._check_open()
                attempt, raw = await self._sender.send(request, key, dialect, temperature, seed)
                spent, tokens = raw.usage.cost, raw.usage.input_tokens
            except AttemptFailed as failed:
                failure = failed.failure.without(request.endpoint.key())
                spent, tokens = failure.usage.cost, failure.usage.input_tokens
                if failure.may_be_billed and spent is None:
                    spent = reserved  # for the limit's sake: nobody knows
                if failed.attempt:
                    self.ledger.end(
                        failed.attempt, failure.outcome, http=failure.http, detail=failure.detail, usage=failure.usage
                    )
                if gate is not None:
                    gate.report(failure.throttled)
                attempt = failed.attempt
            finally:
                await self.budget.settle(reserved, request, tokens, spent)

            recent = self._recent.setdefault(model, deque(maxlen=RECENT))
            if failure is None or not failure.throttled:
                recent.append(failure is None or failure.refused)
            if failure is None:
                self._silent[model] = 0
                self._refused[model] = -1
                if gate is not None:
                    gate.report(False)
                self._dialects[model] = merged(self._dialects.get(model), dialect, request.schema is not None)
                bad = self._store(request, key, attempt, raw, final=False)
                if isinstance(bad, Reply):
                    return bad
                repairs += bad.kind == "invalid"
                malformed += bad.kind == "no_json"
                if repairs > settings.repairs or malformed > settings.malformed:
                    reply = self._store(request, key, attempt, raw, final=True)
                    assert isinstance(reply, Reply)
                    return reply
                # A greedy retry fails alike.
                seed, temperature = seed + 1, min(1.0, temperature + 0.35)
                continue
            proven = model in self._dialects
            # An endpoint that has answered before says 403 about what is asked (moderation), not about the key.
            moderated = failure.http == 403 and proven and not failure.no_credit
            if failure.fatal and not moderated:
                raise self._give_up(request, failure)
            if failure.refused or moderated:
                other = dialect.after(failure.detail, request, proven)
                if other is not None and other != dialect:
                    dialect = other
                    continue
                self._count_refusal(request, failure)
                self.ledger.store(attempt, request, key, "refused", "", failure.detail, failure.usage)
                return Reply(key, failure="refused", detail=failure.detail)
            if failure.throttled:
                pause = (
                    failure.retry_after if failure.retry_after is not None else self._backoff(min(tries + 1, 3), recent)
                )
                waited += pause
                if waited > settings.patience:
                    raise self._unanswered(request, f"refused for the rate for {waited:.0f} s")
            else:
                self._count_silence(request, failure)
                tries += 1
                if tries >= settings.tries:
                    raise self._unanswered(request, f"{tries} attempts, the last: {failure.outcome} {failure.detail}")
                pause = max(failure.retry_after or 0.0, self._backoff(tries, recent))
            await asyncio.sleep(pause)
            if gate is not None:
                await gate.retake()

    def _store(self, request: Request, key: str, attempt: int, raw: RawReply, final: bool) -> Reply | BadReply:
        """Store a reply that is good or final; else note the attempt and return what is wrong with the reply."""
        if raw.refusal or raw.finish == "content_filter":
            detail = raw.refusal[:300] or "the endpoint's content filter"
            self.ledger.store(attempt, request, key, "refused", raw.text, detail, raw.usage, raw.served)
            return Reply(key, raw.text, failure="refused", detail=detail, served=raw.served)
        try:
            value = read_reply(request, raw.text)
        except BadReply as bad:
            detail = bad.detail
            if bad.kind == "no_json" and raw.finish == "length":
                detail = f"cut after {request.max_tokens} tokens"
            if final:
                self.ledger.store(attempt, request, key, bad.kind, raw.text, detail, raw.usage, raw.served)
                return Reply(key, raw.text, failure=bad.kind, detail=detail, served=raw.served)
            self.ledger.end(attempt, bad.kind, http=200, detail=detail, usage=raw.usage)
            return bad
        self.ledger.store(attempt, request, key, "ok", raw.text, "", raw.usage, raw.served)
        return Reply(key, raw.text, value, served=raw.served)

    def _stored(self, request: Request, key: str, stored: StoredCall) -> Reply:
        if stored.status != "ok":
            return Reply(
                key, stored.text, failure=stored.status, detail=stored.detail, cached=True, served=stored.served
            )
        try:
            return Reply(key, stored.text, read_reply(request, stored.text), cached=True, served=stored.served)
        except BadReply as bad:
            return Reply(key, stored.text, failure=bad.kind, detail=bad.detail, cached=True, served=stored.served)

    def _model(self, request: Request) -> tuple[str, str]:
        return request.endpoint.where[0], request.endpoint.model

    def _backoff(self, tries: int, recent: deque[bool]) -> float:
        """Seconds before the next attempt.

        They double where the endpoint is in trouble. Where most attempts get their reply, those that do not are chance,
        and waiting longer and longer would only hold up the end of the run.
        """
        if len(recent) == RECENT and sum(recent) >= HEALTHY * RECENT:
            tries = min(tries, 2)
        return min(LONGEST_BACKOFF, self.settings.backoff * 2.0 ** (tries - 1)) * random.uniform(0.75, 1.25)

    def _unanswered(self, request: Request, why: str) -> Unanswered:
        return Unanswered(f"{request.endpoint.base_url}: no answer about {request.about or request.stage}: {why}")

    def _give_up(self, request: Request, failure: Failed) -> EndpointError:
        endpoint = request.endpoint
        status = f" (HTTP {failure.http})" if failure.http else ""
        remedy = {
            401: f"the API key in the environment variable {endpoint.key_env}",
            403: f"the rights of the API key in {endpoint.key_env}",
            404: f"the model's name {endpoint.model!r} and the base URL",
        }.get(failure.http or 0, "the endpoint")
        self._fatal = EndpointError(
            f"{endpoint.base_url}: {failure.detail}{status}. Everything paid for is kept."
            f" Remedy: check {remedy}, then run the same command again"
        )
        return self._fatal

    def _count_silence(self, request: Request, failure: Failed) -> None:
        model = self._model(request)
        self._silent[model] = self._silent.get(model, 0) + 1
        if self._silent[model] >= max(DEAD_AFTER, 2 * self.settings.concurrency):
            detail = f"the last {self._silent[model]} attempts gave nothing ({failure.outcome}: {failure.detail})"
            raise self._give_up(request, Failed("fatal", detail, http=failure.http))

    def _count_refusal(self, request: Request, failure: Failed) -> None:
        """An endpoint that refuses everything (too short a context, no pictures ...) must not spoil the build."""
        model = self._model(request)
        count = self._refused.get(model, 0)
        if count < 0:
            return
        self._refused[model] = count + 1
        if count + 1 >= REFUSES_ALL:
            self.ledger.forget_refusals(request.endpoint)
            detail = f"the model {request.endpoint.model} refuses every request: {failure.detail}"
            raise self._give_up(request, Failed("fatal", detail, http=failure.http))
