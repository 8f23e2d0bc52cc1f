"""When a run stops by itself: a loss or gradient that is no number, or a loss that jumps."""

from __future__ import annotations

import math
import signal
import statistics
from collections import deque
from collections.abc import Iterable
from types import FrameType

from mmprolong_data.errors import MMProLongError

from .config import Guard


class StoppedRun(MMProLongError):
    """The run stopped itself; its state is saved."""

    exit_code = 3


class LossGuard:
    """Watches the losses. It sees the same numbers on every rank, so that all ranks decide alike."""

    def __init__(self, settings: Guard, history: Iterable[float] = ()) -> None:
        """``history``: the losses before, where a run is continued."""
        self._settings = settings
        self._losses: deque[float] = deque(history, maxlen=settings.window)
        self._skipped = 0

    @property
    def history(self) -> list[float]:
        """The losses of the last ``window`` steps, oldest first."""
        return list(self._losses)

    def check(self, loss: float, norm: float) -> str | None:
        """Judge a step before its gradients are used.

        Returns:
            None: go on. ``skip``: leave the step out. Anything else: why the run must stop.
        """
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self._skipped += 1
            if self._skipped <= self._settings.skip:
                return "skip"
            return f"loss {loss}, gradient norm {norm}: not a number"
        if self._settings.spike > 0 and len(self._losses) == self._settings.window:
            median = statistics.median(self._losses)
            if loss > self._settings.spike * median:
                return f"loss {loss:.4f} is above {self._settings.spike:g} times the median {median:.4f}"
        self._losses.append(loss)
        return None


class SignalFlag:
    """Remembers SIGTERM and SIGINT until the step is over; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.number = 0
        self._old = {name: signal.signal(name, self._note) for name in (signal.SIGTERM, signal.SIGINT)}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number:
            raise KeyboardInterrupt
        self.number = number

    def restore(self) -> None:
        """Give the signals back to their former handlers."""
        for name, handler in self._old.items():
            signal.signal(name, handler)
