"""Versions of a dataset, ``X.Y.Z``: reading and ordering them."""

from __future__ import annotations

import re

from .errors import FormatError

Version = tuple[int, int, int]


def parse_version(text: str) -> Version:
    """``"1.2.3"`` as ``(1, 2, 3)``, which orders as versions do.

    Raises:
        FormatError: not three numbers without leading zeros.
    """
    match = re.fullmatch(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", text)
    if match is None:
        raise FormatError(f"version {text[:40]!r}: must be X.Y.Z, three numbers such as 1.2.0")
    major, minor, patch = map(int, match.groups())
    return major, minor, patch


def format_version(version: Version) -> str:
    """The inverse of ``parse_version``."""
    return ".".join(map(str, version))
