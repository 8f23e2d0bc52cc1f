"""The rule of versions: which part a change raises, what a tag is called, and the entry of the changelog."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mmprolong_data.errors import MMProLongError
from mmprolong_data.versions import format_version, parse_version

from .diff import Difference

PARTS = {"schema": 0, "content": 1, "metadata": 2, "none": 2}
"""Level of a change -> the part of X.Y.Z that it raises at least."""
MEANINGS = {
    "schema": "what readers must be changed for: the format, the container, a config that is gone",
    "content": "documents or samples added, removed or changed",
    "metadata": "recipe, tools, licences or the card alone; every sample is the same",
}


def tag_of(version: str) -> str:
    """The tag of a version: ``v1.2.3``."""
    return f"v{version}"


def published_versions(tags: Iterable[str]) -> list[str]:
    """The versions among a repository's tags, ascending; other tags are ignored."""
    found = [tag[1:] for tag in tags if re.fullmatch(r"v(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}", tag)]
    return sorted(found, key=parse_version)


def next_version(parent: str, level: str) -> str:
    """The smallest version that may follow ``parent`` after a change of ``level`` (one of ``diff.LEVELS``)."""
    part = PARTS[level]
    numbers = list(parse_version(parent))
    numbers[part] += 1
    numbers[part + 1 :] = [0] * (2 - part)
    return format_version((numbers[0], numbers[1], numbers[2]))


def check_version(version: str, parent: str, difference: Difference) -> None:
    """Check that a version says what has changed since its parent.

    Raises:
        MMProLongError: it is not later, or promises less of a change than there is; names the smallest that would do.
    """
    smallest = next_version(parent, difference.level)
    wanted, before = parse_version(version), parse_version(parent)
    part = next((i for i in range(3) if wanted[i] != before[i]), 3)
    if wanted <= before:
        raise MMProLongError(f"version {version} is not later than {parent}. Remedy: --version {smallest}")
    if part > PARTS[difference.level]:
        raise MMProLongError(
            f"version {version} says less than what has changed since {parent}: {MEANINGS[difference.level]}."
            f" Remedy: --version {smallest} or later"
        )


def changelog_entry(version: str, parent: str, difference: Difference | None, note: str) -> dict[str, Any]:
    """The entry of a version; ``difference`` is to its parent, None for the first one."""
    counts = {"documents": {}, "samples": {}} if difference is None else difference.counts()
    level = "first" if difference is None else difference.level
    return {"version": version, "parent": parent, "level": level, "note": note} | counts


def is_later(version: str, other: str) -> bool:
    """True if ``version`` comes after ``other``."""
    return parse_version(version) > parse_version(other)
