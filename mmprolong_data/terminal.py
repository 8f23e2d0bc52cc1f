"""Consoles of the commands: what they print is shown as it is."""

from __future__ import annotations

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console without rich's markup and emoji: a folder named ``set[v2]`` or ``a:b:c`` is shown as it is named."""
    return Console(stderr=stderr, markup=False, emoji=False)
