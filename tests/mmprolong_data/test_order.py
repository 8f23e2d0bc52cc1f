"""The plan of an epoch: nothing twice, nothing lost, never too long, always the same."""

from __future__ import annotations

import hashlib
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmprolong_data.order import (
    Plan,
    best_fit,
    draw,
    epoch_counts,
    fewest_packs,
    interleave,
    permutation,
    plan_epoch,
    uniform,
)

MAX = 131_072


def lengths(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.clip(generator.lognormal(np.log(55_000), 0.5, count), 4_000, MAX).astype(np.int64)


def packs_of(plan: Plan) -> list[list[tuple[int, int]]]:
    pairs = list(zip(plan.source.tolist(), plan.row.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(plan.starts[:-1], plan.starts[1:], strict=True)]


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=4), seed=st.integers(0, 5), epoch=st.integers(0, 3),
    window=st.sampled_from([1, 7, 64]), step=st.sampled_from([None, 1, 3, 8]), pack=st.booleans(),
)  # fmt: skip
def test_an_epoch_of_the_whole_holds_every_sample_once(
    sizes: list[int], seed: int, epoch: int, window: int, step: int | None, pack: bool
) -> None:
    tokens = [lengths(size, number) for number, size in enumerate(sizes)]
    plan = plan_epoch(
        tokens, [f"config {n}" for n in range(len(sizes))], [float(size) for size in sizes], seed=seed, epoch=epoch,
        max_tokens=MAX, window=window, pack=pack, packs_per_step=step,
    )  # fmt: skip
    packs = packs_of(plan)
    assert sorted(chain(*packs)) == [(n, row) for n, size in enumerate(sizes) for row in range(size)]
    assert all(packs)
    sums = [sum(int(tokens[source][row]) for source, row in pack) for pack in packs]
    assert max(sums) <= MAX
    assert plan.fill == pytest.approx(sum(sums) / (MAX * len(packs)))
    if not pack:
        assert len(packs) == sum(sizes)


def test_a_plan_is_the_same_on_every_machine_and_numpy() -> None:
    """A literal: an order that moves with a library would break every resumed run."""
    tokens = [4_000 + np.arange(size, dtype=np.int64) * 7_919 % 120_000 for size in (500, 300)]
    plan = plan_epoch(tokens, ["a", "b"], [0.7, 0.3], seed=3, epoch=2, max_tokens=MAX, packs_per_step=4)
    assert permutation(8, "x").tolist() == [2, 0, 1, 4, 6, 3, 5, 7]
    content = b"".join(np.ascontiguousarray(part, "<i8").tobytes() for part in (plan.source, plan.row, plan.starts))
    assert hashlib.sha256(content).hexdigest()[:16] == "953cf8b17f7c0ce2"


def test_seed_and_epoch_change_the_order() -> None:
    def order(**changed: int) -> list[int]:
        values = {"seed": 0, "epoch": 0} | changed
        return plan_epoch([lengths(200)], ["a"], [1.0], max_tokens=MAX, **values).row.tolist()

    assert order() == order()
    assert order() != order(seed=1)
    assert order() != order(epoch=1)


def test_the_order_of_a_config_does_not_depend_on_its_neighbours() -> None:
    alone = plan_epoch([lengths(100)], ["a"], [1.0], seed=0, epoch=0, max_tokens=MAX, pack=False)
    mixed = plan_epoch([lengths(100, 1), lengths(100)], ["b", "a"], [1, 1], seed=0, epoch=0, max_tokens=MAX, pack=False)
    assert mixed.row[mixed.source == 1].tolist() == alone.row.tolist()


@pytest.mark.parametrize(
    ("sizes", "weights", "expected"),
    [
        ([40, 40, 20], [0.4, 0.4, 0.2], [40, 40, 20]),
        ([100, 40, 20], [4, 4, 2], [40, 40, 20]),
        ([5, 5], [1, 1], [5, 5]),
        ([7, 100], [7.0, 100.0], [7, 100]),
        ([3, 1000], [0.5, 0.5], [3, 3]),
    ],
)
def test_an_epoch_ends_when_the_scarcest_config_does(
    sizes: list[int], weights: list[float], expected: list[int]
) -> None:
    assert epoch_counts(sizes, weights) == expected


@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=5), data=st.data(),
    samples=st.one_of(st.none(), st.integers(0, 10**6)),
)  # fmt: skip
def test_counts_follow_the_weights(sizes: list[int], data: st.DataObject, samples: int | None) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(sizes), max_size=len(sizes)))
    counts = epoch_counts(sizes, weights, samples)
    total = sum(counts)
    assert samples is None or total == samples
    for count, weight, size in zip(counts, weights, sizes, strict=True):
        assert abs(count - total * weight / sum(weights)) <= 1 + 1e-5
        assert samples is not None or count <= size


@given(size=st.integers(1, 50), count=st.integers(1, 120), epochs=st.integers(1, 6))
def test_no_sample_comes_again_before_all_have_come(size: int, count: int, epochs: int) -> None:
    drawn = np.concatenate([draw(size, count, epoch, 0, "a") for epoch in range(epochs)])
    times = np.bincount(drawn, minlength=size)
    assert times.max() - times.min() <= 1
    for start in range(0, len(drawn) - size + 1, size):
        assert len(set(drawn[start : start + size].tolist())) == size


def test_every_stretch_has_the_mixture() -> None:
    order = interleave([4000, 4000, 2000], 0, 0)
    labels = np.repeat([0, 1, 2], [4000, 4000, 2000])[order]
    for start in range(0, 10_000, 100):
        shares = np.bincount(labels[start : start + 100], minlength=3)
        assert abs(shares - [40, 40, 20]).max() <= 8


def test_packs_are_filled_well() -> None:
    tokens = lengths(20_000)
    fills = {}
    for window in (1, 64, 256):
        _, starts = best_fit(tokens, MAX, window)
        fills[window] = tokens.sum() / (MAX * (len(starts) - 1))
    assert fills[1] < 0.5 < 0.94 < fills[64] < fills[256]
    assert fills[256] > 0.97


def optimum(samples: list[int], capacity: int) -> int:
    """The fewest packs there are, by trying everything."""
    best = len(samples)

    def place(rest: list[int], packs: list[int]) -> None:
        nonlocal best
        if len(packs) >= best:
            return
        if not rest:
            best = len(packs)
            return
        for number in range(len(packs)):
            if packs[number] + rest[0] <= capacity:
                place(rest[1:], [*packs[:number], packs[number] + rest[0], *packs[number + 1 :]])
        place(rest[1:], [*packs, rest[0]])

    place(sorted(samples, reverse=True), [])
    return best


@given(samples=st.lists(st.integers(1, 24), max_size=9))
def test_no_packing_gets_below_the_bound(samples: list[int]) -> None:
    least = optimum(samples, 24)
    assert fewest_packs(np.array(samples, np.int64), 24) <= least
    # What the bound counts, one by one: the sum, and those that cannot share.
    assert fewest_packs(np.array(samples, np.int64), 24) >= max(-(-sum(samples) // 24), sum(n > 12 for n in samples))


@pytest.mark.parametrize(
    ("samples", "packs"),
    [([], 0), ([12, 12], 1), ([13, 13, 13], 3), ([9, 9, 9, 9, 9], 3), ([15, 15, 10, 10], 3), ([15, 15, 9, 9], 2)],
)
def test_known_bounds(samples: list[int], packs: int) -> None:
    assert fewest_packs(np.array(samples, np.int64), 24) == packs


def test_packs_are_as_few_as_can_be_where_lengths_bound_them() -> None:
    """Documents of 32 to 50 pages, three samples each: more than half of them are longer than half a pack."""
    tokens = np.repeat(np.random.default_rng(0).integers(32, 51, 600) * 1800, 3)[permutation(1800, "mixed")]
    _, starts = best_fit(tokens, MAX, 256)
    assert len(starts) - 1 <= 1.03 * fewest_packs(tokens, MAX)


def test_packing_does_not_sort_by_length() -> None:
    tokens = lengths(20_000)
    order, _ = best_fit(tokens, MAX, 256)
    assert abs(np.corrcoef(np.arange(len(order)) % 256, tokens[order])[0, 1]) < 0.2
    assert np.abs(order - np.arange(len(order))).max() < 256


def test_packs_that_run_together_cost_the_same() -> None:
    tokens = lengths(20_000)

    def imbalance(packs_per_step: int | None) -> float:
        plan = plan_epoch([tokens], ["a"], [1.0], seed=0, epoch=0, max_tokens=MAX, packs_per_step=packs_per_step)
        squares = np.add.reduceat(tokens[plan.row].astype(float) ** 2, plan.starts[:-1])
        rounds = squares[: len(squares) // 8 * 8].reshape(-1, 8)
        return float((rounds.max(1) / rounds.mean(1)).mean())

    assert imbalance(32) < 1.2 < imbalance(None)


def test_steps_keep_their_packs() -> None:
    def steps(packs_per_step: int | None) -> list[set[tuple[tuple[int, int], ...]]]:
        plan = plan_epoch([lengths(500)], ["a"], [1.0], seed=0, epoch=0, max_tokens=MAX, packs_per_step=packs_per_step)
        packs = [tuple(pack) for pack in packs_of(plan)]
        return [set(packs[start : start + 8]) for start in range(0, len(packs), 8)]

    assert steps(8) == steps(None)


def test_uniform_numbers_are_uniform() -> None:
    numbers = uniform(100_000, "test")
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    assert abs(np.histogram(numbers, 10)[0] - 10_000).max() < 500
