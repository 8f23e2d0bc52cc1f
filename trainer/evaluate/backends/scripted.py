"""Backends that need no model: they prove the harness, or score replies that were made elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.settings import fingerprint

from ..items import Item
from .base import Output


class Scripted:
    """Says what a function of the item says."""

    concurrency = 1

    def __init__(
        self,
        name: str,
        reply: Callable[[Item], str | None],
        load_pages: bool = False,
        delay: float = 0.0,
        content: str = "",
    ) -> None:
        """Make one.

        Args:
            name: For reports and settings.
            reply: None: no reply, an error.
            load_pages: Read every item's pages as a model would have to.
            delay: Seconds that every reply takes.
            content: Hash of what the replies come from, where it can change under the same name.
        """
        self.name = name
        self._reply, self._load, self._delay, self._content = reply, load_pages, delay, content

    def settings(self) -> dict[str, Any]:
        """See ``Backend``."""
        return {"backend": self.name} | ({"content": self._content} if self._content else {})

    def answer(self, item: Item) -> Output:
        """See ``Backend``."""
        if self._load and len(item.load()) != len(item.pages):
            raise FormatError(f"{item.key}: the number of pages read is not {len(item.pages)}")
        if self._delay:
            time.sleep(self._delay)
        text = self._reply(item)
        return Output("", "no reply in the file") if text is None else Output(text)

    def close(self) -> None:
        """See ``Backend``."""


def oracle(load_pages: bool = False, delay: float = 0.0) -> Scripted:
    """Knows every answer."""
    return Scripted("oracle", lambda item: item.perfect(), load_pages, delay)


def constant(text: str) -> Scripted:
    """Says the same to everything."""
    return Scripted(f"constant:{text}", lambda item: text)


def every_second_page() -> Scripted:
    """Knows the answers whose evidence stands on the first, third, fifth ... page alone, and nothing else."""
    return Scripted(
        "every-second-page",
        lambda item: item.perfect() if item.evidence and not any(page % 2 for page in item.evidence) else "",
    )


def replay(path: Path) -> Scripted:
    """Replies from a file: JSON lines with ``item`` (or ``id``, ``key``) and ``output`` (or ``pred``, ``response``).

    A results file of this harness is one; so are the outputs of other harnesses, brought to these names.

    Raises:
        MMProLongError: the file cannot be read.
        FormatError: a line is no such object.
    """
    replies: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MMProLongError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            key = next(value[name] for name in ("item", "id", "key") if name in value)
            text = next(value[name] for name in ("output", "pred", "response", "prediction") if name in value)
        except (ValueError, TypeError, StopIteration):
            raise FormatError(
                f'{path}: line {number} is no reply. Wanted: {{"item": KEY, "output": TEXT}} a line'
            ) from None
        if not value.get("error"):
            replies[str(key)] = str(text)
    content = fingerprint(sorted(replies.items()))
    return Scripted(f"replay:{path.name}", lambda item: replies.get(item.key), content=content)
