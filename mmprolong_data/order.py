"""The order of an epoch: shuffle, mixture, packing and steps, as pure functions of (index, seed, epoch).

Nothing here reads a file or draws from a generator with a state: random numbers are a hash of a counter (splitmix64,
the finaliser of Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), so that an order is the
same for every release of NumPy and on every machine. One million samples are planned in about a second.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """The packs of one epoch, in the order in which all ranks together take them.

    Attributes:
        source: int64, shape (samples,): which of the configs a sample is from; pack after pack.
        row: int64, shape (samples,): its row in that config's index.
        starts: int64, shape (packs + 1,): pack ``p`` holds the samples ``starts[p]`` to ``starts[p + 1]``.
        fill: Tokens of all packs over what they could hold.
    """

    source: Ints
    row: Ints
    starts: Ints
    fill: float

    @property
    def num_packs(self) -> int:
        """Packs of the epoch, over all ranks."""
        return len(self.starts) - 1

    @property
    def num_samples(self) -> int:
        """Samples of the epoch, over all ranks."""
        return len(self.row)


def plan_epoch(
    tokens: Sequence[Ints],
    names: Sequence[str],
    weights: Sequence[float],
    *,
    seed: int,
    epoch: int,
    max_tokens: int,
    window: int = 256,
    pack: bool = True,
    packs_per_step: int | None = None,
    samples: int | None = None,
) -> Plan:
    """Plan an epoch.

    Args:
        tokens: Of every config, the lengths of its samples.
        names: Of every config, its name: the order of a config does not depend on which others are mixed in.
        weights: Of every config, its share of the samples; need not sum to 1.
        seed, epoch: Other values give another order.
        max_tokens: What a pack holds; no sample may be longer.
        window: Samples that best fit looks at together. A larger one fills better and shuffles a little less.
        pack: False makes every sample a pack of its own.
        packs_per_step: Packs of one optimiser step over all ranks; they are sorted by attention cost.
        samples: Length of the epoch (see ``epoch_counts``).
    """
    counts = epoch_counts([len(lengths) for lengths in tokens], weights, samples)
    rows = [
        draw(len(lengths), count, epoch, seed, name) for lengths, count, name in zip(tokens, counts, names, strict=True)
    ]
    mixed = interleave(counts, seed, epoch)
    source = np.repeat(np.arange(len(counts)), counts)[mixed]
    row = np.concatenate(rows)[mixed] if rows else np.empty(0, np.int64)
    lengths = np.concatenate([t[r] for t, r in zip(tokens, rows, strict=True)])[mixed] if rows else row
    if pack:
        order, starts = best_fit(lengths, max_tokens, window)
    else:
        order, starts = np.arange(len(row)), np.arange(len(row) + 1)
    if packs_per_step is not None and packs_per_step > 1:
        order, starts = sort_steps(lengths, order, starts, packs_per_step)
    held = max_tokens * max(1, len(starts) - 1)
    return Plan(source[order], row[order], starts, float(lengths.sum()) / held)


def epoch_counts(sizes: Sequence[int], weights: Sequence[float], samples: int | None = None) -> list[int]:
    """How many samples an epoch takes from every config.

    Args:
        sizes: Samples that each config has.
        weights: Their shares; positive.
        samples: Length of the epoch. Default: the longest that takes no sample of any config twice, so that the config
            that is scarcest for its weight is used up exactly.

    Returns:
        Counts that sum to the epoch's length, each within one of its share (largest remainder).
    """
    share = np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    if samples is None:
        # Rounding keeps 40 / 0.4 from becoming 99.99999999999999.
        samples = int(np.floor(np.round(np.min(np.asarray(sizes) / share), 6)))
    exact = np.round(share * samples, 6)
    counts = np.floor(exact).astype(np.int64)
    for number in np.argsort(counts - exact, kind="stable")[: samples - int(counts.sum())]:
        counts[number] += 1
    return [int(count) for count in counts]


def draw(size: int, count: int, epoch: int, seed: int, name: str) -> Ints:
    """The rows that epoch ``epoch`` takes from a config of ``size`` samples.

    A config is an endless row of shuffled passes over its samples, of which every epoch takes the next ``count``: over
    the epochs every sample is used before any is used again, however small the config's share is.
    """
    start, stop = epoch * count, (epoch + 1) * count
    if start == stop:
        return np.empty(0, np.int64)
    parts = []
    for number in range(start // size, (stop - 1) // size + 1):
        shuffled = permutation(size, "rows", seed, name, number)
        parts.append(shuffled[max(0, start - number * size) : stop - number * size])
    return np.concatenate(parts)


def interleave(counts: Sequence[int], seed: int, epoch: int) -> Ints:
    """An order of ``sum(counts)`` samples, config after config, in which every stretch has about the epoch's mixture.

    Sample ``j`` of a config with ``n`` samples goes to the relative place ``(j + u) / n``, ``u`` random in [0, 1).
    """
    places = [
        (np.arange(count) + uniform(count, "mixture", seed, epoch, number)) / max(1, count)
        for number, count in enumerate(counts)
    ]
    return np.argsort(np.concatenate(places), kind="stable") if places else np.empty(0, np.int64)


def best_fit(lengths: Ints, max_tokens: int, window: int) -> tuple[Ints, Ints]:
    """Best-fit-decreasing packing of every ``window`` consecutive samples.

    Returns:
        ``(order, starts)``: the samples, pack after pack, and where each pack starts. Packs follow each other as their
        first samples do, and so do the samples of a pack, so that length does not decide when a sample comes.
    """
    count = len(lengths)
    bin_of = np.empty(count, np.int64)
    bins = 0
    shift = 32  # an open bin is one integer, free tokens above and its number below: cheap to keep sorted
    low = (1 << shift) - 1
    for start in range(0, count, window):
        part = lengths[start : start + window]
        order = np.argsort(-part, kind="stable")
        shortest = int(part[order[-1]])
        chosen = []
        free: list[int] = []
        for length in part[order].tolist():
            at = bisect_left(free, length << shift)
            if at == len(free):
                left, number = max_tokens - length, bins
                bins += 1
            else:
                entry = free.pop(at)
                left, number = (entry >> shift) - length, entry & low
            if left >= shortest:
                insort(free, left << shift | number)
            chosen.append(number)
        bin_of[start + order] = chosen
    first = np.full(bins, count, np.int64)
    np.minimum.at(first, bin_of, np.arange(count))
    order = np.lexsort((np.arange(count), first[bin_of]))
    starts = np.flatnonzero(np.diff(first[bin_of[order]], prepend=-1))
    return order, np.append(starts, count)


def fewest_packs(lengths: Ints, max_tokens: int) -> int:
    """A number of packs below which no packing of these samples can get, whatever it does.

    From Fekete and Schepers, "New classes of fast lower bounds for bin packing problems" (2001): lengths are replaced
    by others of which no pack can hold more than a packful either, and these are added up. First (their ``U``) samples
    shorter than ``cut`` count nothing, and those that leave less than ``cut`` a whole pack; then (their ``u``) samples
    longer than one ``k + 1``-th of a pack count one ``k``-th, since only ``k`` of them fit. It includes the bound L2 of
    Martello and Toth. At most 64 cuts are tried, and ``k`` up to 8.
    """
    values, counts = np.unique(lengths, return_counts=True)
    cuts = np.append(0, values[values <= max_tokens // 2])
    fewest = 0
    for cut in cuts[:: -(-len(cuts) // 64)]:
        cut_off = np.where(values < cut, 0, np.where(values > max_tokens - cut, max_tokens, values))
        fewest = max(fewest, -(-int(cut_off @ counts) // max_tokens))
        for k in range(1, 9):
            parts = (k + 1) * cut_off
            shares = np.where(parts % max_tokens == 0, k * cut_off, parts // max_tokens * max_tokens)
            fewest = max(fewest, -(-int(shares @ counts) // (k * max_tokens)))
    return fewest


def sort_steps(lengths: Ints, order: Ints, starts: Ints, packs_per_step: int) -> tuple[Ints, Ints]:
    """Sort the packs of every step by attention cost, dearest first; neighbours, which run together, then cost the
    same.

    The cost of a pack is the sum of its samples' squared lengths. A last step with fewer packs is sorted as well.
    """
    packs = len(starts) - 1
    squares = np.concatenate([[0.0], np.cumsum(lengths[order].astype(np.float64) ** 2)])
    cost = squares[starts[1:]] - squares[starts[:-1]]
    ranking = np.lexsort((-cost, np.arange(packs) // packs_per_step))
    sizes = np.diff(starts)[ranking]
    moved = np.append(0, np.cumsum(sizes))
    within = np.arange(len(order)) - np.repeat(moved[:-1], sizes)
    return order[np.repeat(starts[:-1][ranking], sizes) + within], moved


def permutation(size: int, *words: object) -> Ints:
    """A permutation of ``range(size)`` that depends on ``words`` alone."""
    return np.argsort(_hashes(size, *words), kind="stable")


def uniform(size: int, *words: object) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that depend on ``words`` alone."""
    return (_hashes(size, *words) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _hashes(size: int, *words: object) -> npt.NDArray[np.uint64]:
    digest = hashlib.sha256("\0".join(map(str, words)).encode()).digest()
    base = np.uint64(int.from_bytes(digest[:8], "little"))
    with np.errstate(over="ignore"):
        value = base + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
