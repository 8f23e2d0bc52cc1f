"""What a backend is: something that answers items, from several threads if it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ..items import Item


@dataclass(frozen=True, slots=True)
class Output:
    """A reply. ``error`` says why there is none."""

    text: str
    error: str = ""


class Backend(Protocol):
    """Answers items."""

    name: str
    concurrency: int

    def settings(self) -> dict[str, Any]:
        """Everything that decides a reply beside the item, as JSON: a reply is never used under other settings."""

    def answer(self, item: Item) -> Output:
        """Ask about one item.

        Raises:
            MMProLongError: nothing can be asked at all.
        """

    def close(self) -> None:
        """Let go of what it holds; replies that are awaited end in an error. May be called twice."""
