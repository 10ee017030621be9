"""The comparison CSVs: views of `summary` for people, a row a variant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxcompare import analysis, plots
from jaxcompare.analysis import FIGURES, STEPS, Comparison

COUNTS = ("n", "n_diverged", "n_stuck", "n_failed")
PARTS = ("mean", "low", "high", "median")
INSIDE = ("gradient_ratio_initial", "gradient_ratio_final", "dead_fraction_final")
# C has one CSV over everything; the others have one a data set.
WHOLE = {"c": "experiment_c_comprehensive_comparison.csv"}


def comparison_csvs(
    experiment: str,
    replicas: pd.DataFrame,
    summary: pd.DataFrame,
    inside: pd.DataFrame | None = None,
    every: Sequence[Comparison] | None = None,
) -> dict[str, pd.DataFrame]:
    """File name -> rows, of one experiment, rounded to five significant digits: of main studies as the design names them, and
    one a data set of each study beside them.

    `every` are the comparisons, for whoever has them already. `inside` is `analysis.summarise_layers`; without it the columns
    about gradients and dead units are missing. Steps to the target are infinite where the median falls on a run that missed
    it, and empty where there is no target.
    """
    mine = summary[summary["experiment"] == experiment]
    if mine.empty:
        return {}
    if inside is not None:
        apart = [name for name in mine if name == "variant_id" or name not in inside]
        mine = mine[apart].merge(inside, on="variant_id", how="left")
    every = analysis.comparisons(replicas) if every is None else every
    every = [one for one in every if one.experiment == experiment]
    main = list(analysis.main_of(every).values())
    beside = [one for one in every if one not in main]
    files = {f"{plots.stem(one)}.csv": _rows(analysis.rows_of(mine, one), [one]) for one in beside}
    rows = _rows(mine, main)
    if experiment in WHOLE:
        return {WHOLE[experiment]: rows} | files
    return {
        f"experiment_{experiment}_comparison_{dataset}.csv": rows[rows["dataset"] == dataset].reset_index(drop=True)
        for dataset in rows["dataset"].unique()
    } | files


def _rows(summary: pd.DataFrame, found: Sequence[Comparison]) -> pd.DataFrame:
    """The variants of some comparisons, in order, with the columns that people read."""
    own = summary["study"].isin([one.study for one in found])
    if "confirms" in summary:
        own |= summary["confirms"].isin([one.study for one in found])
    mine = summary[own & summary["dataset"].isin([one.dataset for one in found])]
    keys = list(dict.fromkeys(name for one in found for name in (one.factor, *one.apart, "learning_rate")))
    best = pd.concat([analysis.best_rates(analysis.rows_of(mine, one), one.factor, one.apart) for one in found])
    mine = mine.assign(best_rate=mine["variant_id"].isin(best["variant_id"]))
    where = [name for name in ("dataset", "study") if mine[name].nunique() > 1 or name == "dataset"]
    figures = [f"{name}_{part}" for name in ("test_accuracy", *FIGURES) for part in PARTS]
    chosen = [] if all(one.rates_set for one in found) else ["best_rate"]
    wanted = [*where, *keys, *chosen, *COUNTS, *figures, *(f"{name}_median" for name in STEPS), "reached", *INSIDE]
    columns = [name for name in dict.fromkeys(wanted) if name in mine]
    ordered = mine.sort_values([*where, *keys], kind="stable")[columns].reset_index(drop=True)
    return round_figures(ordered)


def round_figures(table: pd.DataFrame, digits: int = 5) -> pd.DataFrame:
    """Every number that is not whole, rounded to `digits` significant digits."""
    rounded = table.copy()
    for name in [name for name, kind in table.dtypes.items() if kind.kind == "f"]:
        values = table[name].to_numpy(float)
        rounded[name] = [float(f"{value:.{digits}g}") if np.isfinite(value) else value for value in values]
    return rounded
