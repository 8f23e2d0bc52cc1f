"""What a check of a proof found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a fact: ``missing`` or ``rival`` with words for it; both empty if nothing is."""

    missing: str = ""
    rival: str = ""
