"""Numbers over seeds: arrays [n] in, an estimate out. Failed runs are values that are not finite; they are never dropped.

Sources: Student's t below 20 seeds, since a percentile bootstrap covers 84% at n = 5 and 90% at n = 10 (simulated, normal
data; `docs/statistics.md` has the coverage of what is used here); the interquartile mean after Agarwal et al. 2021, "Deep
reinforcement learning at the edge of the statistical precipice".
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_SEEDS = 5  # below it no interval is drawn
TRIMMED = 0.25  # of the values at each end, for the interquartile mean


class Interval(NamedTuple):
    """A mean over seeds with its 95% interval."""

    mean: float
    low: float
    high: float


@lru_cache
def t_quantile(n: int) -> float:
    """The 97.5% quantile of Student's t for `n` values; NaN below five."""
    return float(stats.t.ppf(0.975, n - 1)) if n >= FEWEST_SEEDS else float("nan")


def mean_interval(values: ArrayLike) -> Interval:
    """Mean and 95% interval (Student's t) of `values` [n].

    The interval is NaN below five values; everything is NaN when any value is not finite.
    """
    values = np.asarray(values, float)
    if values.size == 0 or not np.isfinite(values).all():
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    half = t_quantile(values.size) * float(values.std(ddof=1)) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def _ranked(values: ArrayLike, worst: float) -> np.ndarray:
    values = np.asarray(values, float)
    return np.sort(np.where(np.isfinite(values), values, worst))


def median(values: ArrayLike, worst: float = -np.inf) -> float:
    """Median of `values` [n], those not finite ranked last (at `worst`); NaN when it falls on one of them."""
    ordered = _ranked(values, worst)
    if ordered.size == 0:
        return np.nan
    middle = ordered[[(ordered.size - 1) // 2, ordered.size // 2]]
    return float(middle.mean()) if np.isfinite(middle).all() else np.nan


def interquartile_mean(values: ArrayLike, worst: float = -np.inf) -> float:
    """Mean of `values` [n] without the lowest and the highest quarter (rounded down: one of 5, two of 10 at each end).

    Those not finite are ranked last (at `worst`); NaN when one of them is left.
    """
    ordered = _ranked(values, worst)
    cut = int(TRIMMED * ordered.size)
    middle = ordered[cut : ordered.size - cut]
    return float(middle.mean()) if middle.size and np.isfinite(middle).all() else np.nan


def stuck_at_chance(accuracy: ArrayLike, chance: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Whether a final accuracy on `n` examples is not above `chance` by more than two binomial standard errors.

    False where the accuracy is not finite: that run diverged, it is not stuck.
    """
    accuracy, chance = np.asarray(accuracy, float), np.asarray(chance, float)
    return accuracy <= chance + 2 * np.sqrt(chance * (1 - chance) / np.asarray(n, float))
