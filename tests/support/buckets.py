"""Builds into the bucket of the tests: what they are called with, and where their datasets are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from .builds import SLICED as ALL_CONFIGS

BUCKET = "sets"
SLICED = (*ALL_CONFIGS, "--set", "tasks.configs=[extract_single,ocr_full]")
"""Few objects: what is tested does not depend on how many a slice has."""


def prefix(url: str) -> str:
    """The key of a dataset, with a slash at its end."""
    return url.removeprefix(f"s3://{BUCKET}/") + "/"


class Call(Protocol):
    """``mmprolong`` in this process, which tries again at once. Returns all that it says."""

    def __call__(self, *arguments: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> str: ...
