"""How many requests may be under way: grows while all is well, shrinks when many of the last replies were refusals."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

WINDOW = 32
"""Replies that a decision rests on."""
SHRINK_AT = 0.2
"""Share of 429s in the window at which the limit shrinks: a few of them only show that the cap is being used."""
SHRINK_TO = 0.7
LEAST = 2


class Gate:
    """A semaphore whose limit follows the endpoint (additive increase, multiplicative decrease over a window).

    A single 429 says little: an endpoint that is used to its cap refuses some requests all the time. Only a window with
    ``SHRINK_AT`` of refusals shrinks the limit, and then a new window begins. A request that waits for its
    ``Retry-After`` keeps its place, so that waiting itself throttles; then it calls ``retake``, so that those that were
    under way when the limit shrank do not go on asking all at once.

    Args:
        most: Never more under way than this.
        start: The limit to begin with; ``most`` by default.
    """

    def __init__(self, most: int, start: int | None = None) -> None:
        if most < 1:
            raise ValueError(f"most = {most}: must be at least 1")
        self.most = most
        self.limit = float(min(most, start or most))
        self.active = 0
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._waiting or self.active >= int(self.limit):
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._leave()  # the place was given in the same moment
                raise
        else:
            self.active += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def retake(self) -> None:
        """Before another attempt: give the place back if the limit has shrunk below what is under way, and wait for
        one, ahead of those that have not begun."""
        if self.active <= int(self.limit):
            return
        self.active -= 1
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.appendleft(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self.active += 1  # which leaving the gate takes back
            raise

    def report(self, throttled: bool) -> None:
        """Tell the outcome of an attempt: whether it was refused for its rate."""
        self._recent.append(throttled)
        if throttled:
            if len(self._recent) == WINDOW and sum(self._recent) >= SHRINK_AT * WINDOW:
                self.limit = max(float(min(LEAST, self.most)), self.limit * SHRINK_TO)
                self._recent.clear()
        else:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)
            self._admit()

    def _leave(self) -> None:
        self.active -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.active < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self.active += 1
                place.set_result(None)
