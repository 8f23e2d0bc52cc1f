"""Stratified, paired bootstrap: intervals for means of means, and for the difference of two runs on the same items.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15: items are drawn anew, with
replacement, inside every stratum (a task at a length), so that every replicate has the composition of the suite. For a
difference the same draws serve both runs: what makes an item easy for both cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

REPLICATES = 4000
SEED = 20260513
CHUNK = 4_000_000
"""Draws that exist at a time."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Values of one cell, and its weight in the mean of cells; weights of all strata add up to 1."""

    weight: float
    values: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of strata with its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """For a difference: whether the interval holds 0."""
        return self.low <= 0.0 <= self.high


def estimate(strata: Sequence[Stratum], replicates: int = REPLICATES, seed: int = SEED) -> Estimate:
    """The weighted mean of the strata's means, with its interval. For a paired difference give the items' differences.

    Raises:
        ValueError: a stratum is empty, or there is none.
    """
    if not strata or any(not len(stratum.values) for stratum in strata):
        raise ValueError("an estimate needs values in every stratum")
    mean = float(sum(stratum.weight * stratum.values.mean() for stratum in strata))
    means = np.zeros(replicates)
    generator = np.random.default_rng(seed)
    for stratum in strata:
        count = len(stratum.values)
        rows = max(1, CHUNK // count)
        for start in range(0, replicates, rows):
            size = (min(rows, replicates - start), count)
            drawn = generator.integers(0, count, size, dtype=np.int32)
            means[start : start + size[0]] += stratum.weight * stratum.values[drawn].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    # Equal values give equal means; rounding must not make an interval that leaves the mean out.
    return Estimate(mean, min(mean, float(low)), max(mean, float(high)))
