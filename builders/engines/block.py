"""A block of slices as a task of an engine that spans machines: opens the frozen build and makes the slices here."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmprolong_data.errors import MMProLongError
from mmprolong_data.remote import is_url
from mmprolong_data.settings import from_plain

if TYPE_CHECKING:
    from ..select import Plan

Counts = dict[str, list[int]]
"""Stage -> [documents, pages] done."""
PACE = 1.0
"""Seconds between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all blocks of a build have in common; travels as JSON.

    Attributes:
        corpus: As given; paths absolute. URLs may hold what is not to be stored; it stays in memory and messages.
        out: The output folder, absolute, or the URL of a build in a bucket.
        recipe: The whole recipe, plain values.
        format: ``--format``.
        cpus: Sandboxed processes of a block.
        begun: SHA-256 of the record of what the build was begun with, or its name in a bucket: tells whether an output
            is the same one.
        scratch: Folder of each machine for a build in a bucket; "": the default.
    """

    corpus: list[str]
    out: str
    recipe: dict[str, Any]
    format: str
    cpus: int
    begun: str
    scratch: str = ""

    def to_json(self) -> str:
        """The inverse of ``Job(**json.loads(text))``."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class BlockResult:
    """What became of a block.

    Attributes:
        failed: Slice -> error, of those that failed for good.
        cpu_seconds: Of the sandboxed processes.
        counts: The progress that was made, complete slices included.
        left: Why slices are left for the next run (files that cannot be fetched now); else empty.
        error: What ended the block and concerns them all; else empty.
    """

    failed: dict[int, str] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    counts: Counts = field(default_factory=dict)
    left: str = ""
    error: str = ""

    @classmethod
    def from_json(cls, text: str) -> BlockResult:
        """The inverse of ``to_json``."""
        value = json.loads(text)
        return cls(**value | {"failed": {int(number): error for number, error in value["failed"].items()}})

    def to_json(self) -> str:
        """Plain text for the way back."""
        return json.dumps(asdict(self))


class _Reporter:
    """An ``Observer`` that tells its sums now and then, from zero on: a block begun again replaces what it told."""

    def __init__(self, tell: Callable[[Counts], None]) -> None:
        self.counts: Counts = {}
        self._tell = tell
        self._told = 0.0
        self._lock = threading.Lock()

    def progress(self, stage: str, documents: int, pages: int) -> None:
        with self._lock:
            sums = self.counts.setdefault(stage, [0, 0])
            sums[0] += documents
            sums[1] += pages
            if time.monotonic() - self._told >= PACE:
                self._told = time.monotonic()
                self._tell(self.counts)

    def inventory(self, done: int, total: int) -> None:
        """Nothing to tell: the inventory is the driver's."""

    def survey(self, done: int, total: int) -> None:
        """Nothing to tell."""

    def planned(self, plan: Plan) -> None:
        """Nothing to tell."""

    def note(self, text: str) -> None:
        """Nothing to tell."""


def build_block(job: str, most: Mapping[int, int], tell: Callable[[Counts], None]) -> str:
    """Build slices in this process, those that are complete already excepted.

    Args:
        job: ``Job.to_json()``.
        most: The slices -> how often each may have been begun ever.
        tell: Called now and then with the progress so far.

    Returns:
        ``BlockResult.to_json()``. What concerns all slices (a full disk, other versions) is its ``error``.
    """
    from ..bucket.build import open_build
    from ..fetch import UnfetchedError
    from ..recipe import Recipe

    shared = Job(**json.loads(job))
    reporter = _Reporter(tell)
    try:
        recipe = from_plain(Recipe, shared.recipe)
        out = shared.out if is_url(shared.out) else Path(shared.out)
        scratch = Path(shared.scratch) if shared.scratch else None
        build = open_build(shared.corpus, out, recipe, shared.cpus, shared.format, reporter, scratch=scratch)
        ran = build.run_block(most, shared.begun)
    except UnfetchedError as error:
        return BlockResult(counts=reporter.counts, left=str(error)).to_json()
    except (MMProLongError, OSError) as error:
        return BlockResult(error=f"on {socket.gethostname()}: {error}").to_json()
    return BlockResult(dict(ran.failed), ran.cpu_seconds, reporter.counts).to_json()
