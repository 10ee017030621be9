"""Estimates over seeds: arrays [n] in, an estimate out. Failed runs are values that are not finite and are never dropped.

Sources: Student's t below 20 seeds, since a percentile bootstrap covers 84% at n = 5 and 90% at n = 10 (simulated, normal
data; `docs/statistics.md` has the coverage of each interval used here). The interquartile mean follows Agarwal et al. 2021,
"Deep reinforcement learning at the edge of the statistical precipice".
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_SEEDS = 5  # an interval needs at least this many
PRECISION = (
    2.0**-23
)  # of float32, in which is measured: figures that differ by less than this share of themselves are equal
TRIMMED = 0.25  # of the values at each end, for the interquartile mean


class Interval(NamedTuple):
    """A mean over seeds with its 95% interval."""

    mean: float
    low: float
    high: float


@lru_cache
def t_quantile(n: int) -> float:
    """Return the 97.5% quantile of Student's t for `n` values; NaN below five."""
    return float(stats.t.ppf(0.975, n - 1)) if n >= FEWEST_SEEDS else float("nan")


def mean_interval(values: ArrayLike) -> Interval:
    """Compute the mean over seeds with its 95% interval, by Student's t.

    Args:
        values: [n], one value for each seed, in any unit.

    Returns:
        Mean, low and high in the unit of `values`. Low and high are NaN below five values. All three are NaN where a value
        is not finite, or there is none.

    Example:
        >>> mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]).mean
        3.0
    """
    values = np.asarray(values, float)
    if values.size == 0 or not np.isfinite(values).all():
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    half = t_quantile(values.size) * float(values.std(ddof=1)) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def binomial_error(accuracy: float, examples: int) -> float:
    """Compute the standard error that a test set's size leaves in an accuracy, kept one example away from 0 and 1.

    Example:
        >>> round(100 * binomial_error(0.97, 359), 2)  # digits, in points
        0.9
    """
    share = min(max(accuracy, 1 / examples), 1 - 1 / examples) if examples > 1 else 0.5
    return float(np.sqrt(share * (1 - share) / examples))


def _ranked(values: ArrayLike, worst: float) -> np.ndarray:
    values = np.asarray(values, float)
    return np.sort(np.where(np.isfinite(values), values, worst))


def _finite_mean(ordered: np.ndarray) -> float:
    return float(ordered.mean()) if ordered.size and np.isfinite(ordered).all() else np.nan


def median(values: ArrayLike, worst: float = -np.inf) -> float:
    """Return the median of `values` [n], failed runs ranked last (at `worst`); NaN where the median falls on one."""
    ordered = _ranked(values, worst)
    return _finite_mean(ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1])


def interquartile_mean(values: ArrayLike, worst: float = -np.inf) -> float:
    """Return the mean of `values` [n] without the lowest and the highest quarter, failed runs ranked last (at `worst`).

    A quarter is rounded down: one value of 5, two of 10 at each end. The mean is NaN where a failed run is left.
    """
    ordered = _ranked(values, worst)
    cut = int(TRIMMED * ordered.size)
    return _finite_mean(ordered[cut : ordered.size - cut])


def stuck_at_chance(accuracy: ArrayLike, chance: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Return whether a final accuracy on `n` examples is at most two binomial standard errors above `chance`.

    False where the accuracy is not finite: that run diverged and is not stuck.
    """
    accuracy, chance = np.asarray(accuracy, float), np.asarray(chance, float)
    return accuracy <= chance + 2 * np.sqrt(chance * (1 - chance) / np.asarray(n, float))
