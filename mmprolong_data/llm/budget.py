"""Money: what a run may spend, kept by reserving the worst case of every request before it is sent."""

from __future__ import annotations

import asyncio

from .types import BudgetReached, Request


class Budget:
    """Keeps a run below ``most`` US dollars, requests under way included.

    A request reserves what it may cost at worst (its tokens by our estimate, all the output it may give). Where that
    does not fit, it waits for requests under way to give back what they did not use; where none is under way, the run
    is over. Endpoints count tokens in ways of their own: the first request to a model goes alone, and all later
    estimates grow by the largest ratio seen.

    Args:
        most: US dollars, or None for no limit.
        probe: Whether the first request to a model goes alone; not in batches, where it would wait for hours.
    """

    def __init__(self, most: float | None, probe: bool = True) -> None:
        self.most = most
        self._probe = probe
        self.spent = 0.0
        self._reserved = 0.0
        self._holders = 0
        self._ratios: dict[str, float] = {}
        self._probing: set[str] = set()
        self._reached = False
        self._changed = asyncio.Condition()

    def worst_case(self, request: Request) -> float:
        """The most that one attempt may cost, in US dollars."""
        ratio = self._ratios.get(request.endpoint.model, 1.0)
        return request.endpoint.cost(int(request.tokens_in() * ratio) + 1, request.max_tokens) or 0.0

    async def reserve(self, request: Request) -> float:
        """Wait until an attempt fits. Returns the amount to give back to ``settle``.

        Raises:
            BudgetReached: It does not fit, and nothing that is under way could change that.
        """
        if self.most is None:
            return 0.0
        model = request.endpoint.model
        async with self._changed:
            while True:
                if model in self._probing:
                    await self._changed.wait()
                    continue
                amount = self.worst_case(request)
                if not self._reached and self.spent + self._reserved + amount <= self.most:
                    self._reserved += amount
                    self._holders += 1
                    if self._probe and model not in self._ratios:
                        self._probing.add(model)
                    return amount
                if self._reached or not self._holders:
                    self._reached = True  # one stop: cheaper requests must not trickle on
                    self._changed.notify_all()
                    remedy = "run the same command again to go on with as much again"
                    if amount > self.most:  # the same command would stop here for ever
                        remedy = (
                            f"one request alone may cost that much: raise --max-cost above {amount:.4f}, or"
                            " make requests smaller (qa.max_tokens, segments.pages, qa.image_dpi; another build)"
                        )
                    raise BudgetReached(
                        f"Stopped at --max-cost: {self.spent:.4f} of {self.most:g} US dollars spent in this run, and"
                        f" the next request may cost {amount:.4f}. Everything paid for is kept."
                        f" Remedy: {remedy}"
                    )
                await self._changed.wait()

    async def settle(self, amount: float, request: Request, input_tokens: int, cost: float | None) -> None:
        """Give a reservation back and book what the attempt really cost."""
        self.spent += cost or 0.0
        if self.most is None:
            return
        model = request.endpoint.model
        if input_tokens:
            ratio = input_tokens / max(1, request.tokens_in())
            self._ratios[model] = max(self._ratios.get(model, 1.0), ratio)
        async with self._changed:
            self._probing.discard(model)
            self._reserved -= amount
            self._holders -= 1
            self._changed.notify_all()
