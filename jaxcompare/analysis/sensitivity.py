"""How much a level depends on its learning rate, and the best that a budget of trials is expected to give."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from jaxcompare.analysis.design import Comparison, cells, rows_of
from jaxcompare.analysis.estimates import Interval, mean_interval
from jaxcompare.analysis.selection import ranked

PARTS = ("mean", "low", "high", "median")
COUNTS = ("n", "n_diverged", "n_stuck", "n_failed")


def rate_sensitivity(summary: pd.DataFrame, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Compute the table `sensitivity`: accuracies with intervals, and failures, for each level, separate cell and rate.

    `below_best` is the distance of the mean validation accuracy from the level's highest; `best` marks the rate chosen. Where
    another factor is tuned, too, a rate has the best of that factor. A rate with a diverged run has a median, but no mean.
    """
    figures = [f"{name}_{part}" for name in ("validation_accuracy", "test_accuracy") for part in PARTS]
    tables = []
    for comparison in comparisons:
        if "learning_rate" in comparison.apart:
            continue
        for cell in cells(rows_of(summary, comparison), comparison.varied("learning_rate")):
            order = ranked(cell).drop_duplicates("learning_rate")
            rows = order.sort_values("learning_rate")
            table = rows[["variant_id", "learning_rate", *COUNTS, *figures]].assign(
                below_best=rows["validation_accuracy_mean"].max() - rows["validation_accuracy_mean"],
                best=rows["variant_id"] == order["variant_id"].iloc[0],
            )
            tables.append(_named(table, comparison, cell))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _named(table: pd.DataFrame, comparison: Comparison, cell: pd.DataFrame) -> pd.DataFrame:
    """Put in front of a cell's table its experiment, study, data set, factor, level, and values of the separate factors."""
    level = {name: str(cell[name].iloc[0]) for name in comparison.varied("learning_rate")}
    others = ", ".join(f"{name} {value}" for name, value in level.items() if name != comparison.factor)
    front = comparison.where | {"factor": comparison.factor}
    front |= {"level": level.get(comparison.factor, ""), "apart": others}
    for place, (name, value) in enumerate(front.items()):
        table.insert(place, name, value)
    return table


def weights_of_best(n: int, drawn: int, *, replacement: bool = True) -> np.ndarray:
    """Return the probability that each of `n` trials, worst first, is the best of `drawn`: [n], with sum 1.

    With replacement it is (i/n)^k - ((i-1)/n)^k for the i-th (Dodge et al. 2019, "Show your work", equation 7), for any k.
    Without, C(i-1, k-1) / C(n, k) for k up to n, which estimates a random search's expectation without bias (Tang et al.
    2020, "Showing your work doesn't always work").
    """
    if replacement:
        return np.diff((np.arange(n + 1) / n) ** drawn)
    return np.array([comb(i - 1, drawn - 1) / comb(n, drawn) for i in range(1, n + 1)])


def expected_best(
    values: ArrayLike, reported: ArrayLike | None = None, *, worst: float = 0.0, replacement: bool = True
) -> np.ndarray:
    """Compute the expected best of k trials, for k = 1 .. n.

    Args:
        values: [n], a figure of each trial, better when higher. A value that is not finite counts as `worst`.
        reported: [n], another figure of the same trials, to report at the trial that is best by `values`.
        worst: the figure of a failed trial (chance, say), in both.
        replacement: as in `weights_of_best`.

    Returns:
        [n], the expectation for each k, in the unit of `reported`, or else of `values`. Trials that tie in `values` are
        equally likely to be taken: each counts with the mean of their reported figures.
    """
    values = np.asarray(values, float)
    shown = values if reported is None else np.asarray(reported, float)
    values, shown = (np.where(np.isfinite(figure), figure, worst) for figure in (values, shown))
    order = np.argsort(values, kind="stable")
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shown = (np.bincount(place, shown) / count)[place]
    n = values.size
    weights = np.stack([weights_of_best(n, drawn, replacement=replacement) for drawn in range(1, n + 1)])
    return weights @ shown[order]


def trials(runs: pd.DataFrame, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Compute the table `trials`: the expected best of k of a level's settings, for each level, separate cell and k.

    At each seed the level's settings are its trials: k of them are drawn, and the best on validation is taken. `*_drawn` draws
    with replacement (Dodge et al. 2019), the others without. Means and 95% intervals are over seeds. A run that diverged
    counts as chance, a stuck run with its own figure.
    """
    tables = []
    for comparison in comparisons:
        for cell in cells(rows_of(runs, comparison), comparison.varied()):
            if cell["variant_id"].nunique() > 1 and cell["validation_accuracy"].notna().any():
                tables.append(_named(_trials(cell), comparison, cell))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _trials(cell: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of one level: a row for each k, up to the fewest settings that a seed has."""
    chance = float(cell["chance_accuracy"].iloc[0])
    seeds = [rows for _, rows in cell.groupby("seed")]
    most = min(len(rows) for rows in seeds)
    table = {"trials": np.arange(1, most + 1), "n": len(seeds)}
    for suffix, name in itertools.product(("", "_drawn"), ("validation_accuracy", "test_accuracy")):
        options: dict[str, Any] = {"worst": chance, "replacement": bool(suffix)}
        bests = [expected_best(rows["validation_accuracy"], rows[name], **options)[:most] for rows in seeds]
        intervals = [mean_interval(values) for values in np.stack(bests, axis=1)]
        for part, numbers in zip(Interval._fields, zip(*intervals, strict=True), strict=True):
            table[f"{name}{suffix}_{part}"] = np.array(numbers)
    return pd.DataFrame(table)
