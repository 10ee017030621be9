"""Differences seed by seed: arrays [n] in one order of seeds, tests, effect sizes, Holm's correction.

Seeds are paired because variants of a seed share initial weights and batches (Bouthillier et al. 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from jaxcompare.analysis.estimates import FEWEST_SEEDS, PRECISION, Interval, mean_interval

LARGEST_T = 1e4  # beyond it SciPy has no noncentral t
MOST_FLIPPED = 20  # differences; all 2^n changes of sign are tried


class Paired(NamedTuple):
    """The difference of two variants, seed by seed."""

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


def sign_flip_p(differences: ArrayLike, rounding: ArrayLike = 0.0) -> float:
    """Compute the exact two-sided p of a sum of paired differences under all 2^n changes of sign.

    SciPy's `permutation_test` gives the same p in a hundred times the time.

    Args:
        differences: [n], one for each seed, in any unit.
        rounding: [n] or [], by how much each difference may be off, in the same unit. Sums that differ by no more are ties.

    Returns:
        The share of sign changes with a sum as far from zero, at least 2 / 2^n. NaN where a difference is not finite, where
        there is none, and above 20 differences.

    Example:
        >>> sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0])
        0.0625
    """
    differences = np.asarray(differences, float)
    if not 0 < differences.size <= MOST_FLIPPED or not np.isfinite(differences).all():
        return np.nan
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    # Both sums are off by as much, and by their own rounding.
    slack = 2 * np.broadcast_to(rounding, differences.shape).sum() + 1e-12 * np.abs(differences).sum()
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - slack))


def effect_size(differences: ArrayLike, rounding: float = 0.0) -> Interval:
    """Compute Cohen's d_z with its 95% interval: the mean of paired differences over their standard deviation.

    The interval inverts the noncentral t distribution, which is exact for normal differences (Cumming and Finch 2001).

    Args:
        differences: [n], one for each seed, in any unit.
        rounding: by how much a difference may be off; a standard deviation up to `rounding` is none.

    Returns:
        d_z and its interval, without a unit. All three are NaN below five differences and where one is not finite. Without
        spread d_z is infinite, or NaN where all differences are zero, and has no interval.
    """
    differences = np.asarray(differences, float)
    n = differences.size
    if n < FEWEST_SEEDS or not np.isfinite(differences).all():
        return Interval(np.nan, np.nan, np.nan)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= max(1e-12 * abs(mean), rounding):
        certain = abs(mean) > rounding
        return Interval(float(np.sign(mean)) * np.inf if certain else np.nan, np.nan, np.nan)
    t = abs(mean) / deviation * np.sqrt(n)  # mirrored: far below zero SciPy computes the noncentral t badly
    if t > LARGEST_T:
        return Interval(mean / deviation, np.nan, np.nan)

    def noncentrality(share: float) -> float:
        """Return the noncentrality at which a t below the observed one has probability `share`.

        The probability falls as the noncentrality grows. At -3 it is above 0.998 for any t above zero; at 2 t + 10 it is
        next to nothing.
        """
        return float(optimize.brentq(lambda at: stats.nct.cdf(t, n - 1, at) - share, -3.0, 2 * t + 10))

    bounds = (noncentrality(0.975) / np.sqrt(n), noncentrality(0.025) / np.sqrt(n))
    low, high = bounds if mean >= 0 else (-bounds[1], -bounds[0])
    return Interval(mean / deviation, low, high)


def paired_difference(first: ArrayLike, second: ArrayLike) -> Paired:
    """Compute the paired difference `first` - `second`, with its interval, tests and effect size.

    Args:
        first: [n] accuracies, or another figure that is better when higher.
        second: [n], in the same order of seeds and the same unit.

    Returns:
        Mean, interval, effect and p are NaN where a value is not finite. Below five seeds only the mean and the sign-flip p
        are numbers. Wins and ties are always counted: a failed run is below every other. Values that float32 cannot tell
        from each other are a tie.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    a, b = (np.where(np.isfinite(values), values, -np.inf) for values in (first, second))
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        rounding = PRECISION * np.where(np.isfinite(first + second), np.maximum(np.abs(first), np.abs(second)), 0.0)
        differences = first - second
        tied = (a == b) | (np.abs(a - b) <= rounding)
    mean, low, high = mean_interval(differences)
    n, p, largest = differences.size, np.nan, float(rounding.max(initial=0.0))
    if np.isfinite(mean) and n >= FEWEST_SEEDS:
        deviation = differences.std(ddof=1)
        p = (
            float(2 * stats.t.sf(abs(mean) / deviation * np.sqrt(n), n - 1))
            if deviation > largest
            else float(tied.all())
        )
    wins = int((~tied & (a > b)).sum())
    p_values = (p, sign_flip_p(differences, rounding))
    return Paired(mean, low, high, wins, int(tied.sum()), n, *p_values, *effect_size(differences, largest))


def paired_variants(runs: pd.DataFrame, first: str, second: str, figure: str = "test_accuracy") -> Paired:
    """Compute `paired_difference` of two variants in the table of `finals`, over the seeds that both have."""
    sides = [
        runs.loc[runs["variant_id"] == name, ["seed", figure]].set_index("seed")[figure] for name in (first, second)
    ]
    seeds = sides[0].index.intersection(sides[1].index)
    return paired_difference(sides[0][seeds].to_numpy(), sides[1][seeds].to_numpy())


def holm(p_values: ArrayLike) -> np.ndarray:
    """Correct the p-values of one family by Holm's step-down method (Holm 1979).

    Args:
        p_values: [m], one for each claim of the family. A NaN is a claim that could not be tested.

    Returns:
        [m] corrected p-values, at most 1, in the same order. A NaN counts in the family's size and stays NaN.

    Example:
        >>> holm([0.01, 0.04, 0.02]).tolist()
        [0.03, 0.04, 0.04]
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, kind="stable")  # NaN are last, so that the running maximum carries them nowhere
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1)).clip(max=1.0)
    return corrected
