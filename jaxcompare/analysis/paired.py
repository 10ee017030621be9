"""Differences taken seed by seed: arrays [n] in one order of seeds, tests, effect sizes, Holm's correction.

Seeds are paired because variants of a seed share initial weights and batches (Bouthillier et al. 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from jaxcompare.analysis.estimates import FEWEST_SEEDS, Interval, mean_interval

LARGEST_T = 1e4  # beyond it SciPy has no noncentral t
MOST_FLIPPED = 20  # differences, of which all 2^n changes of sign are tried


class Paired(NamedTuple):
    """The difference of two variants, taken seed by seed."""

    mean: float
    low: float
    high: float
    wins: int  # seeds where the first is above the second; a failed run is below every other
    ties: int
    n: int
    p_t: float  # paired t test, two-sided
    p_sign_flip: float  # exact, two-sided; never below 2 / 2^n
    effect: float = np.nan  # Cohen's d_z: mean over deviation of the differences
    effect_low: float = np.nan  # 95%
    effect_high: float = np.nan


def sign_flip_p(differences: ArrayLike) -> float:
    """Exact two-sided p of the sum of `differences` [n] under all 2^n changes of sign.

    NaN where a difference is not finite, and above 20 of them.
    """
    differences = np.asarray(differences, float)
    if not 0 < differences.size <= MOST_FLIPPED or not np.isfinite(differences).all():
        return np.nan
    sums = np.zeros(1)
    for one in differences:
        sums = np.concatenate([sums + one, sums - one])
    observed = abs(differences.sum())
    return float(np.mean(np.abs(sums) >= observed - 1e-12 * np.abs(differences).sum()))


def effect_size(differences: ArrayLike) -> Interval:
    """Cohen's d_z of `differences` [n], their mean over their deviation, with its 95% interval.

    The interval inverts the noncentral t distribution, which is exact for normal differences (Cumming and Finch 2001). NaN
    below five differences and where one is not finite; without spread it is infinite, or NaN where all are zero.
    """
    differences = np.asarray(differences, float)
    n = differences.size
    if n < FEWEST_SEEDS or not np.isfinite(differences).all():
        return Interval(np.nan, np.nan, np.nan)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= 1e-12 * abs(mean) or deviation == 0:
        return Interval(float(np.sign(mean)) * np.inf if mean else np.nan, np.nan, np.nan)
    t = abs(mean) / deviation * np.sqrt(n)  # mirrored: far below zero the noncentral t is not computed well
    if t > LARGEST_T:
        return Interval(mean / deviation, np.nan, np.nan)

    def shift(share: float) -> float:
        """Under which a t as large as this one has so much probability below it; it falls as the shift grows.

        A shift of -3 leaves more than 0.998 below any t above zero, one of 2 t + 10 next to nothing.
        """
        return float(optimize.brentq(lambda at: stats.nct.cdf(t, n - 1, at) - share, -3.0, 2 * t + 10))

    bounds = (shift(0.975) / np.sqrt(n), shift(0.025) / np.sqrt(n))
    low, high = bounds if mean >= 0 else (-bounds[1], -bounds[0])
    return Interval(mean / deviation, low, high)


def paired_difference(first: ArrayLike, second: ArrayLike) -> Paired:
    """The difference `first` - `second` of two accuracies, both [n] in one order of seeds.

    Mean, interval, effect and p are NaN when any value is not finite (and all but the mean and the sign-flip p below five
    seeds); wins are counted all the same, a failed run below every other.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    a, b = (np.where(np.isfinite(values), values, -np.inf) for values in (first, second))
    differences = first - second
    mean, low, high = mean_interval(differences)
    n, p = differences.size, np.nan
    if np.isfinite(mean) and n >= FEWEST_SEEDS:
        error = differences.std(ddof=1) / np.sqrt(n)
        p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    wins, ties = int((a > b).sum()), int((a == b).sum())
    return Paired(mean, low, high, wins, ties, n, p, sign_flip_p(differences), *effect_size(differences))


def paired_variants(runs: pd.DataFrame, first: str, second: str, figure: str = "test_accuracy") -> Paired:
    """`paired_difference` of two variants in the table of `finals`, over the seeds that both have."""
    sides = [
        runs.loc[runs["variant_id"] == name, ["seed", figure]].set_index("seed")[figure] for name in (first, second)
    ]
    seeds = sides[0].index.intersection(sides[1].index)
    return paired_difference(sides[0][seeds].to_numpy(), sides[1][seeds].to_numpy())


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's step-down correction of the p-values [m] of one family: [m].

    A p that is NaN (a claim that could not be tested) counts in the family's size and stays NaN.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(np.where(np.isnan(p_values), np.inf, p_values), kind="stable")
    corrected = p_values[order] * np.arange(p_values.size, 0, -1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(np.maximum.accumulate(corrected), 1.0)  # NaN stand last, and reach no other
    return found
