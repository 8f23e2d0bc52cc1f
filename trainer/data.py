"""From the stream of packs to batches: encode, check, cut out this rank's part; one thread ahead of the training loop."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mmprolong_data.errors import MMProLongError
from mmprolong_data.schema import CONFIG_NAMES

from .batch import Document, RankBatch, make_batch
from .encode import ChatEncoder
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
    """Mean losses by source (``loss/extract_single``) and by length (``loss/len_0_8k``); groups without labels are absent."""
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

    def state_dict(self) -> dict[str, Any]:
        """The position behind the last pack handed out, as JSON, the same on every rank."""


@dataclass(slots=True)
class Ready:
    """A batch, and the position of the data after it."""

    batch: RankBatch
    state: dict[str, Any]


class StreamSource:
    """Long documents from a ``PageStream``, epoch after epoch."""

    def __init__(self, stream: Any, encoder: ChatEncoder, page_labels: bool, max_tokens: int, path: str) -> None:
        """Wrap a stream.

        Args:
            stream: A ``PageStream``.
            encoder: Makes tokens.
            page_labels: Samples must have them (or must not).
            max_tokens: Longest pack.
            path: The dataset, for messages.
        """
        self._stream, self._encoder, self._labels = stream, encoder, page_labels
        self._max_tokens, self._path = max_tokens, path
        self._packs: Iterator[Any] | None = None

    def next_documents(self) -> list[Document]:
        """See ``PackSource``.

        Raises:
            MMProLongError: the dataset has other page labels, or documents longer than the window.
        """
        for _ in range(2):
            if self._packs is None:
                self._packs = iter(self._stream)
            pack = next(self._packs, None)
            if pack is not None:
                return self._encode(pack)
            self._packs = None
            self._stream.set_epoch(self._stream.epoch + 1)
        raise MMProLongError(f"{self._path}: too few samples: an epoch gives this process no pack at all")

    def state_dict(self) -> dict[str, Any]:
        """See ``PackSource``."""
        state: dict[str, Any] = self._stream.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the pack at which ``state`` was taken, on any number of processes."""
        self._stream.load_state_dict(state)
        self._packs = None

    def _encode(self, pack: Any) -> list[Document]:
        documents = []
        for sample in pack.samples:
            record = sample.record
            check_page_labels(record["messages"], self._labels, f"{self._path}: sample {record['id']}")
            encoded = self._encoder.encode(record["messages"], sample.grid_thw)
            if len(encoded) > self._max_tokens:
                raise MMProLongError(
                    f"{self._path}: sample {record['id']} has {len(encoded):,} tokens, data.max_tokens is"
                    f" {self._max_tokens:,}. Remedy: a larger data.max_tokens, or build with a smaller select.max_tokens"
                )
            group = group_of(record["config"], len(encoded))
            documents.append(Document(encoded, sample.pixels, sample.grid_thw, group, record["id"]))
        total = sum(len(document.encoded) for document in documents)
        if total > self._max_tokens:
            raise MMProLongError(
                f"{self._path}: a pack planned for {pack.num_tokens:,} tokens has {total:,}: the dataset counts fewer tokens"
                " than this model's tokenizer makes. Remedy: build it with tasks.tokenizer = the model's tokenizer.json"
            )
        return documents


def check_page_labels(messages: list[dict[str, Any]], wanted: bool, where: str) -> None:
    """Check that pages are labelled ``Page N:``, or are not.

    Raises:
        MMProLongError: the dataset was built the other way; starts with ``where``.
    """
    parts = [part for message in messages for part in message["content"]]
    found = parts[0]["type"] == "text" and parts[0]["text"] == "Page 1:"
    if found != wanted:
        remedies = f"data.page_labels = {str(found).lower()}, or a dataset built with tasks.page_labels = "
        raise MMProLongError(
            f"{where}: pages {'have' if found else 'lack'} 'Page N:' labels, data.page_labels = {str(wanted).lower()}."
            f" Remedy: {remedies}{str(wanted).lower()}"
        )


class Feed:
    """Batches for one rank, made one thread ahead."""

    def __init__(self, source: PackSource, rank: int, ranks: int, merge_size: int, patch_values: int) -> None:
        """Start reading.

        Args:
            source: Documents of this rank's data-parallel group.
            rank, ranks: Place in, and size of, the group that shares each pack.
            merge_size, patch_values: Of the model (see ``make_batch``).
        """
        self._source, self._rank, self._ranks = source, rank, ranks
        self._merge, self._values = merge_size, patch_values
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

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.05)

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                documents = self._source.next_documents()
                batch = make_batch(documents, self._rank, self._ranks, self._merge, self._values)
                self._queue.put(Ready(batch, self._source.state_dict()))
        except BaseException as error:  # noqa: BLE001 - handed to the training loop
            self._queue.put(error)


def open_tokens(folder: Path, kind: str, loss_on: Any, merge_size: int) -> ChatEncoder:
    """The encoder of a model folder."""
    return ChatEncoder(folder, loss_on, system=kind == "qwen2_5_vl", merge_size=merge_size)
