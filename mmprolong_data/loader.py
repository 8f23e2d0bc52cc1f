"""PageStream: packs of samples for one rank, in an order that is planned from the index and resumes exactly."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .catalog import Entry, read_config, read_dataset
from .errors import FormatError, SettingsError
from .order import Plan, fewest_packs, plan_epoch
from .patches import Layout
from .prefetch import Item, Prefetcher, Reader
from .settings import differences
from .source import Source, open_source

STATE_VERSION = 1
READERS = {False: 2, True: 8}
"""Threads that read: from a local folder, and over a network."""


@dataclass(slots=True)
class PackedSample:
    """One sample of a pack.

    Attributes:
        record: The fields of ``schema.Sample`` but the images, as plain types.
        pixels: With ``pixels="patches"``: uint8, shape (patches of all pages, 588), in the vision tower's order:
            pages in order, merged 2 x 2 squares, a patch as channel, row, column. No temporal copy, not normalised
            (``vision.patchify`` does both).
        grid_thw: With ``pixels="patches"``: int64, shape (pages, 3): 1, rows and columns of patches.
        pages: With ``pixels="jpeg"``: the JPEG files of the pages.
        num_tokens: Image and text tokens.
    """

    record: dict[str, Any]
    pixels: npt.NDArray[np.uint8] | None
    grid_thw: npt.NDArray[np.int64] | None
    pages: Sequence[bytes | memoryview]
    num_tokens: int

    def __getstate__(self) -> tuple[Any, ...]:
        """For another process: views cannot be sent, the bytes that they show can."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return tuple((values | {"pages": [bytes(page) for page in self.pages]}).values())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for item, value in zip(fields(self), state, strict=True):
            setattr(self, item.name, value)


@dataclass(slots=True)
class Pack:
    """Samples that are trained on as one sequence.

    Attributes:
        samples: In order. Empty only for a place that is left over at the end of an epoch (``tail="empty"``), or if all
            of its samples were bad and skipped.
        max_tokens: What a pack may hold.
        epoch, position: Which pack of which epoch it is, counted over all ranks.
    """

    samples: list[PackedSample]
    max_tokens: int
    epoch: int = 0
    position: int = 0

    @property
    def num_tokens(self) -> int:
        """Tokens of all samples."""
        return sum(sample.num_tokens for sample in self.samples)


@dataclass(slots=True)
class StreamStats:
    """What a stream has met so far, in this process.

    Attributes:
        samples: Delivered.
        retries: Reads that had to be repeated.
        skipped: Bad samples left out: ``{"shard", "key", "reason"}``.
    """

    samples: int = 0
    retries: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)


class PageStream:
    """An iterator of packs for one rank of a training job.

    The order of an epoch is a pure function of the index, the settings, the seed and the epoch; rank ``r`` of ``n``
    takes the packs ``r``, ``r + n``, ``r + 2n`` ... from the current position on. The state is that position, counted
    over all ranks: taken when all ranks have got equally many packs, it continues exactly on any number of ranks,
    threads and workers.

    Iterating goes on where it stopped; after the last pack of an epoch the stream stands at the start of the next one.
    In a worker of a PyTorch ``DataLoader`` the packs of the rank are shared among the workers.

    Args:
        root: A dataset: a folder, or a URL that fsspec knows, such as ``hf://datasets/ORG/NAME@v1.0.0``.
        configs: Config -> share of the samples, or the configs to use whole.
        split: ``train`` or ``validation``.
        seed, epoch: Decide the order.
        rank, world_size: Which packs are this process's.
        max_tokens: Most tokens of a pack.
        pack: False makes every sample a pack of its own.
        window: Samples among which the packer looks for the best fit.
        packs_per_step: Packs of an optimiser step over all ranks; they are sorted so that ranks do equal work.
        pixels: ``"patches"``, ``"jpeg"`` (undecoded pages) or None (records alone).
        layout: Order of the bytes of a patch: ``"chw"``, or ``"hwc"``, which is cheaper to make.
        threads: That decode. Default: the CPUs of this process, at most 8.
        prefetch_bytes: Memory for samples that are read and decoded ahead. The next sample is always made ready.
        on_error: What a bad sample does: ``"raise"``, or ``"skip"``: it is counted and listed in ``stats.skipped``.
        max_errors: Most samples to skip before giving up.
        too_long: What samples longer than ``max_tokens`` do: ``"raise"``, or ``"drop"``: they are counted in
            ``dropped``.
        tail: The last packs of an epoch if they do not go round: ``"ragged"`` (some ranks get one less), ``"empty"``
            (those get an empty pack, so that all take part in every step) or ``"drop"``.
        epoch_samples: Samples of an epoch. Default: as many as the mixture gives without using any twice.
        version: The dataset version that is expected.
        cache_dir, cache_bytes: Keep what is read from a URL there, and how much at most.
        storage_options: For the file system of a URL.
        attempts, backoff: How often a read is tried, and seconds before the second try (see ``source.open_source``).

    Raises:
        SettingsError: a setting is wrong, or the dataset has no such config, split or version.
        FormatError: no dataset there, damaged, or of a newer format.
        SourceError: it cannot be reached.
    """

    def __init__(
        self,
        root: str | Path,
        configs: Mapping[str, float] | Sequence[str] | str,
        *,
        split: str = "train",
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        max_tokens: int = 131_072,
        pack: bool = True,
        window: int = 256,
        packs_per_step: int | None = None,
        pixels: Literal["patches", "jpeg"] | None = "patches",
        layout: Layout = "chw",
        threads: int | None = None,
        prefetch_bytes: int = 1 << 29,
        on_error: Literal["raise", "skip"] = "raise",
        max_errors: int = 100,
        too_long: Literal["raise", "drop"] = "raise",
        tail: Literal["ragged", "empty", "drop"] = "ragged",
        epoch_samples: int | None = None,
        version: str | None = None,
        cache_dir: str | Path | None = None,
        cache_bytes: int = 1 << 36,
        storage_options: dict[str, Any] | None = None,
        attempts: int = 6,
        backoff: float = 0.5,
    ) -> None:
        _check(rank=rank, world_size=world_size, max_tokens=max_tokens, window=window, packs_per_step=packs_per_step)
        _check_choice("pixels", pixels, ("patches", "jpeg", None))
        _check_choice("layout", layout, ("chw", "hwc"))
        _check_choice("on_error", on_error, ("raise", "skip"))
        _check_choice("too_long", too_long, ("raise", "drop"))
        _check_choice("tail", tail, ("ragged", "empty", "drop"))
        self._rank, self._world_size = rank, world_size
        self._pack, self._window, self._packs_per_step = pack, window, packs_per_step
        self._pixels, self._layout, self._tail = pixels, layout, tail
        self._threads = threads or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
        self._prefetch_bytes, self._on_error, self._max_errors = prefetch_bytes, on_error, max_errors
        self._source_settings: dict[str, Any] = {
            "root": root, "storage_options": storage_options, "attempts": attempts, "backoff": backoff,
            "cache_dir": cache_dir, "cache_bytes": cache_bytes,
        }  # fmt: skip
        self._seed, self._epoch_samples = seed, epoch_samples
        self.max_tokens = max_tokens
        self.stats = StreamStats()
        self._epoch, self._position = epoch, 0
        self._plans: dict[int, Plan] = {}
        self._run = 0
        source = self._open()
        try:
            self.manifest = read_dataset(source, version)
            if isinstance(configs, str):
                configs = [configs]
            self._indexes = [read_config(source, self.manifest, config, split) for config in configs]
        finally:
            source.close()
        self.dropped = self._fit(too_long)
        if isinstance(configs, Mapping):
            weights = [float(weight) for weight in configs.values()]
        else:
            weights = [float(len(index)) for index in self._indexes]
        if not weights or min(weights) <= 0 or not np.isfinite(weights).all():
            raise SettingsError(f"configs = {configs!r}: every share must be above 0, and every config have samples")
        self._weights = weights
        self._settings: dict[str, Any] = {
            "configs": dict(zip(configs, weights, strict=True)), "split": split, "seed": seed, "max_tokens": max_tokens,
            "pack": pack, "window": window if pack else None, "packs_per_step": packs_per_step or 1,
            "epoch_samples": epoch_samples, "index": {index.config: index.digest()[:16] for index in self._indexes},
        }  # fmt: skip

    def __iter__(self) -> Iterator[Pack]:
        """The packs of this rank from the current position to the end of the epoch."""
        self._run += 1
        run = self._run
        worker, workers = _worker()
        plan = self.plan
        epoch, start = self._epoch, self._position
        step = self._world_size * workers  # packs taken by all in one round
        mine = range(start + self._rank + worker * self._world_size, plan.num_packs, step)
        rest = max(0, plan.num_packs - start)
        if self._tail == "drop":
            mine = mine[: (rest // self._world_size - worker + workers - 1) // workers]
        source = self._open()
        reader = Prefetcher(
            Reader(source), self._entries(plan, mine), self._want, self._layout, self._threads,
            READERS[source.remote], self._prefetch_bytes,
        )  # fmt: skip
        retries = self.stats.retries
        try:
            items = iter(reader)
            for number, position in enumerate(mine):
                samples = [self._sample(next(items)) for _ in range(plan.starts[position], plan.starts[position + 1])]
                self.stats.retries = retries + source.retries
                if self._run != run:
                    raise RuntimeError(
                        "this iteration of a PageStream ended when another one began, or its state changed"
                    )
                self._position = min(start + (number + 1) * step, plan.num_packs)
                yield Pack([s for s in samples if s is not None], self.max_tokens, epoch, position)
            if self._tail == "empty" and self._short(rest, worker, workers):
                self._position = plan.num_packs
                yield Pack([], self.max_tokens, epoch, plan.num_packs)
            if self._run == run:
                self._epoch, self._position = epoch + 1, 0
        finally:
            source.close()
            reader.close()

    def _short(self, rest: int, worker: int, workers: int) -> bool:
        """True if the last, incomplete round falls to this worker and has no pack for this rank."""
        rounds, over = divmod(rest, self._world_size)
        return 0 < over <= self._rank and rounds % workers == worker

    def __len__(self) -> int:
        """Packs of this rank in a whole epoch."""
        return len(self._of_rank(self.plan.num_packs))

    def _of_rank(self, packs: int) -> range:
        full = packs // self._world_size
        if self._tail == "ragged":
            return range(full + (packs % self._world_size > self._rank))
        return range(full + (self._tail == "empty" and packs % self._world_size > 0))

    @property
    def epoch(self) -> int:
        """The epoch that the stream is in."""
        return self._epoch

    @property
    def plan(self) -> Plan:
        """The plan of the current epoch: number of packs and samples over all ranks, and how full the packs are."""
        if self._epoch not in self._plans:
            self._plans = {
                self._epoch: plan_epoch(
                    [index.tokens for index in self._indexes], [index.config for index in self._indexes], self._weights,
                    seed=self._seed, epoch=self._epoch, max_tokens=self.max_tokens, window=self._window,
                    pack=self._pack, packs_per_step=self._packs_per_step, samples=self._epoch_samples,
                )
            }  # fmt: skip
        return self._plans[self._epoch]

    def best_fill(self) -> float:
        """The fill that no packing of this epoch's samples could exceed: their lengths bound it (``fewest_packs``)."""
        sources = enumerate(self._indexes)
        lengths = np.concatenate([index.tokens[self.plan.row[self.plan.source == n]] for n, index in sources])
        return float(lengths.sum()) / (self.max_tokens * max(1, fewest_packs(lengths, self.max_tokens)))

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; stay where it is if the stream is in that epoch already."""
        if epoch != self._epoch:
            self._run += 1
            self._epoch, self._position = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """The position after the packs handed out so far, and the settings that it is valid for. JSON-able."""
        return {
            "version": STATE_VERSION, "epoch": self._epoch, "position": self._position, "settings": self._settings,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, on whatever world size.

        Raises:
            SettingsError: it is no state, or one of another dataset or other settings; lists the differences.
        """
        try:
            version, epoch, position = (int(state[name]) for name in ("version", "epoch", "position"))
            settings = dict(state["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"not the state of a PageStream: {type(error).__name__} {error}") from None
        if version > STATE_VERSION:
            raise SettingsError(f"a state of version {version}; this mmprolong reads up to {STATE_VERSION}")
        changed = differences(settings, self._settings)
        if changed:
            raise SettingsError(
                "this state belongs to another order of samples: " + "; ".join(changed)
                + ". Remedy: stream with the settings of the state, or start a new epoch without it"
            )  # fmt: skip
        self._run += 1
        self._epoch, self._position = epoch, position

    def _sample(self, item: Item) -> PackedSample | None:
        if item.error is not None:
            if self._on_error == "raise" or not isinstance(item.error, FormatError):
                raise item.error
            reason = {"shard": item.entry.shard, "key": item.entry.key, "reason": str(item.error)}
            self.stats.skipped.append(reason)
            if len(self.stats.skipped) > self._max_errors:
                raise FormatError(
                    f"more than max_errors = {self._max_errors} bad samples; the last one: {item.error}"
                ) from item.error
            return None
        assert item.raw is not None
        self.stats.samples += 1
        pages = item.raw.pages if self._want == "jpeg" else []
        return PackedSample(item.raw.record, item.pixels, item.grid_thw, pages, item.entry.tokens)

    def _entries(self, plan: Plan, positions: range) -> Iterator[Entry]:
        for position in positions:
            for number in range(plan.starts[position], plan.starts[position + 1]):
                yield self._indexes[plan.source[number]].entry(int(plan.row[number]))

    @property
    def _want(self) -> Literal["patches", "jpeg", "none"]:
        return self._pixels or "none"

    def _open(self) -> Source:
        return open_source(**self._source_settings)

    def _fit(self, too_long: str) -> int:
        """See to samples above ``max_tokens``; returns how many were dropped."""
        over = [np.flatnonzero(index.tokens > self.max_tokens) for index in self._indexes]
        count = sum(map(len, over))
        if count and too_long == "raise":
            longest = max(int(index.tokens.max()) for index in self._indexes if len(index))
            raise SettingsError(
                f"{count} samples are longer than max_tokens = {self.max_tokens}; the longest has {longest}."
                ' Remedy: a larger max_tokens, or too_long="drop"'
            )
        if count:
            self._indexes = [index.without(rows) for index, rows in zip(self._indexes, over, strict=True)]
        return count


def _worker() -> tuple[int, int]:
    """Number of this DataLoader worker and how many there are; torch is never imported for it."""
    module = sys.modules.get("torch.utils.data")
    information = module.get_worker_info() if module is not None else None
    return (information.id, information.num_workers) if information is not None else (0, 1)


def _check(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and (value < 0 or (value == 0 and name != "rank")):
            raise SettingsError(f"{name} = {value}: must be above 0")
    if (values["rank"] or 0) >= (values["world_size"] or 1):
        raise SettingsError(f"rank = {values['rank']}: must be below world_size = {values['world_size']}")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} = {value!r}: must be one of {', '.join(map(repr, choices))}")
