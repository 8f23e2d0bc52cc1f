"""From the stream of packs to batches: cut out this rank's part, one thread ahead of the training loop."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from mmprolong_data.schema import CONFIG_NAMES

from .batch import Document, RankBatch, make_batch
from .images import PageDecoder
from .metrics import BUCKETS, bucket_names, bucket_of

GROUPS = (*CONFIG_NAMES, "short_context")
"""What the logged losses tell apart, beside the length of the document."""

QUEUE = 2
"""Batches that wait ready."""


def num_groups() -> int:
    """Losses that are summed apart: sources x length buckets."""
    return len(GROUPS) * (len(BUCKETS) + 1)


def group_of(source: str, tokens: int) -> int:
    """The group of a document."""
    return GROUPS.index(source) * (len(BUCKETS) + 1) + bucket_of(tokens)


def grouped(sums: list[float], counts: list[float]) -> dict[str, float]:
    """Mean losses by source (``loss/extract_single``) and by length (``loss/len_0_8k``); empty ones are absent."""
    width = len(BUCKETS) + 1
    members = {f"loss/{name}": range(i * width, (i + 1) * width) for i, name in enumerate(GROUPS)}
    members |= {f"loss/{name}": range(i, num_groups(), width) for i, name in enumerate(bucket_names())}
    result = {}
    for name, group in members.items():
        count = sum(counts[i] for i in group)
        if count:
            result[name] = sum(sums[i] for i in group) / count
    return result


class PackSource(Protocol):
    """Where documents come from: the long-document stream, or a mixture of it with short context."""

    def next_documents(self) -> list[Document]:
        """The documents of this rank's next pack; never ends."""

    def describe(self) -> str:
        """An epoch of it, for the user."""

    def state_dict(self) -> dict[str, Any]:
        """The position behind the last pack handed out, as JSON, the same on every rank."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the pack at which ``state`` was taken, on any number of processes."""

    def close(self) -> None:
        """Stop reading ahead."""


@dataclass(slots=True)
class Ready:
    """A batch, and the position of the data after it."""

    batch: RankBatch
    state: dict[str, Any]


class Feed:
    """Batches for one rank, made one thread ahead."""

    def __init__(self, source: PackSource, rank: int, ranks: int, decoder: PageDecoder) -> None:
        """Start reading.

        Args:
            source: Documents of this rank's data-parallel group.
            rank, ranks: Place in, and size of, the group that shares each pack.
            decoder: Decodes pages that come as image files.
        """
        self._source, self._rank, self._ranks = source, rank, ranks
        self._decoder = decoder
        self._queue: queue.Queue[Ready | BaseException] = queue.Queue(maxsize=QUEUE)
        self._stopped = threading.Event()
        self.waited = 0.0
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)
        self._thread.start()

    def next(self) -> Ready:
        """The next batch. ``waited`` grows by the seconds that it was not ready.

        Raises:
            Exception: whatever went wrong while it was made.
        """
        begun = time.perf_counter()
        item = self._queue.get()
        self.waited += time.perf_counter() - begun
        if isinstance(item, BaseException):
            raise item
        return item

    def describe(self) -> str:
        """An epoch of the source, for the user."""
        return self._source.describe()

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.05)
        self._source.close()

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                documents = self._source.next_documents()
                batch = make_batch(documents, self._rank, self._ranks, self._decoder)
                self._queue.put(Ready(batch, self._source.state_dict()))
        except BaseException as error:  # noqa: BLE001 - handed to the training loop
            self._queue.put(error)
