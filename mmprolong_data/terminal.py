"""Consoles of the commands: what they print is shown as it is, and nothing in it drives the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_DRIVES_A_TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and what turns the direction of a line around."""


class _Console(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """A console without rich's markup and emoji: a folder named ``set[v2]`` or ``a:b:c`` is shown as it is named.

    Names of files, titles of PDFs and replies of servers come from others: see ``visible``.
    """
    return _Console(stderr=stderr, markup=False, emoji=False)


def visible(text: str) -> str:
    r"""``text`` with control characters written out, such as ``\x1b`` for an escape."""
    return _DRIVES_A_TERMINAL.sub(lambda match: ascii(match[0])[1:-1], text)
