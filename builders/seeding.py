"""Random choices as hashes: a pure function of the seed and the purpose, never of time, rank or order."""

from __future__ import annotations

import hashlib


def stable_int(*parts: object) -> int:
    """A uniform 64-bit integer from SHA-256 of the parts (their ``str``, joined by NUL)."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def stable_unit(*parts: object) -> float:
    """A uniform number in [0, 1) from ``stable_int`` (53 bits)."""
    return (stable_int(*parts) >> 11) / (1 << 53)
