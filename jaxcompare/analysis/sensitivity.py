"""How much a level depends on its learning rate, and what a budget of trials is expected to find."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from jaxcompare.analysis.design import Comparison, rows_of
from jaxcompare.analysis.estimates import mean_interval
from jaxcompare.analysis.selection import ranked

PARTS = ("mean", "low", "high", "median")
COUNTS = ("n", "n_diverged", "n_stuck", "n_failed")


def rate_sensitivity(summary: pd.DataFrame, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a level (with the factors kept apart) and learning rate: validation and test accuracy with band, failures.

    `below_best` is how far its mean validation accuracy is below the level's best one, `best` marks the rate chosen. Where
    something else is tuned, too, a rate stands at the best of it. A rate with a diverged run has a median, but no mean.
    """
    found = []
    for one in comparisons:
        if "learning_rate" in one.apart:
            continue
        mine = rows_of(summary, one)
        levels = [one.factor, *one.apart] if one.factor != "learning_rate" else list(one.apart)
        for _, cell in mine.groupby(levels, sort=False, dropna=False) if levels else [((), mine)]:
            order = ranked(cell).drop_duplicates("learning_rate")
            rows = order.sort_values("learning_rate")
            figures = [f"{name}_{part}" for name in ("validation_accuracy", "test_accuracy") for part in PARTS]
            table = rows[["variant_id", "learning_rate", *COUNTS, *figures]].assign(
                below_best=rows["validation_accuracy_mean"].max() - rows["validation_accuracy_mean"],
                best=rows["variant_id"] == order["variant_id"].iloc[0],
            )
            found.append(_named(table, one, _level(cell, one)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _level(cell: pd.DataFrame, one: Comparison) -> dict[str, str]:
    return {name: str(cell[name].iloc[0]) for name in (one.factor, *one.apart) if name != "learning_rate"}


def _named(table: pd.DataFrame, one: Comparison, level: dict[str, str]) -> pd.DataFrame:
    """The table with where it belongs in front: experiment, study, data set, factor, level, and what is kept apart."""
    others = ", ".join(f"{name} {value}" for name, value in level.items() if name != one.factor)
    front = {"experiment": one.experiment, "study": one.study, "dataset": one.dataset, "factor": one.factor}
    front |= {"level": level.get(one.factor, ""), "apart": others}
    for place, (name, value) in enumerate(front.items()):
        table.insert(place, name, value)
    return table


def weights_of_best(n: int, drawn: int, *, replacement: bool = True) -> np.ndarray:
    """How probable it is that each of `n` trials, worst first, is the best of `drawn`: [n], with sum 1.

    With replacement the i-th is with (i/n)^k - ((i-1)/n)^k (Dodge et al. 2019, "Show your work", equation 7), for any k.
    Without it, C(i-1, k-1) / C(n, k), which estimates a random search's expectation without bias (Tang et al. 2020, "Showing
    your work doesn't always work"), for k up to n.
    """
    if replacement:
        return np.diff((np.arange(n + 1) / n) ** drawn)
    return np.array([comb(i - 1, drawn - 1) / comb(n, drawn) for i in range(1, n + 1)])


def expected_best(
    values: ArrayLike, reported: ArrayLike | None = None, *, worst: float = 0.0, replacement: bool = True
) -> np.ndarray:
    """The expected best of k of the trials `values` [n], for k = 1 .. n: [n].

    Args:
        values: a figure a trial, the higher the better; one that is not finite counts as `worst` (chance, say).
        reported: [n] another figure of the same trials: then its expectation at the one that is best by `values`.
        worst: what a failed trial counts as, in both.
        replacement: as in `weights_of_best`.
    """
    values = np.asarray(values, float)
    shown = values if reported is None else np.asarray(reported, float)
    values, shown = (np.where(np.isfinite(found), found, worst) for found in (values, shown))
    order = np.argsort(values, kind="stable")
    n = values.size
    weights = np.stack([weights_of_best(n, drawn, replacement=replacement) for drawn in range(1, n + 1)])
    return weights @ shown[order]


def trials(runs: pd.DataFrame, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """What tuning is expected to find with k of a level's rates: a row a level (and what is kept apart) and k.

    At each seed the level's settings are its trials: k of them are drawn, the best on validation is taken. `*_drawn` draws
    with replacement (Dodge et al. 2019), the others without; means and 95% intervals over seeds. A run that diverged counts
    as chance, one that is stuck as what it is.
    """
    found = []
    for one in comparisons:
        mine = rows_of(runs, one)
        levels = [one.factor, *one.apart]
        for _, cell in mine.groupby(levels, sort=False, dropna=False):
            if cell["variant_id"].nunique() < 2 or cell["validation_accuracy"].isna().all():
                continue
            found.append(_named(_trials(cell), one, _level(cell, one)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _trials(cell: pd.DataFrame) -> pd.DataFrame:
    """Of one level: rows by k, up to the fewest settings that a seed has."""
    chance = float(cell["chance_accuracy"].iloc[0])
    seeds = [rows for _, rows in cell.groupby("seed")]
    most = min(len(rows) for rows in seeds)
    figures = {"validation_accuracy": (None, False), "test_accuracy": ("test_accuracy", False)}
    figures |= {"validation_accuracy_drawn": (None, True), "test_accuracy_drawn": ("test_accuracy", True)}
    table = {"trials": np.arange(1, most + 1), "n": len(seeds)}
    for name, (reported, replacement) in figures.items():
        each = [
            expected_best(
                rows["validation_accuracy"],
                None if reported is None else rows[reported],
                worst=chance,
                replacement=replacement,
            )[:most]
            for rows in seeds
        ]
        intervals = [mean_interval(values) for values in np.stack(each, axis=1)]
        for part, numbers in zip(("mean", "low", "high"), zip(*intervals, strict=True), strict=True):
            table[f"{name}_{part}"] = np.array(numbers)
    return pd.DataFrame(table)
