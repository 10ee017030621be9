"""The comparison CSVs: parts of `summary` for readers, a row per variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxcompare import analysis, plots
from jaxcompare.analysis import FIGURES, STEPS, Comparison
from jaxcompare.config.files import free

COUNTS = ("n", "n_diverged", "n_stuck", "n_failed")
PARTS = ("mean", "low", "high", "median")
INSIDE = ("gradient_ratio_initial", "gradient_ratio_final", "dead_fraction_final")


def comparison_csvs(
    experiment: str,
    replicas: pd.DataFrame,
    summary: pd.DataFrame,
    inside: pd.DataFrame | None = None,
    every: Sequence[Comparison] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the CSVs of one experiment by file name, rounded to five significant digits.

    Main studies have a CSV per data set, or one for all data sets where its pattern does not name the data set. Every other
    study has a CSV per data set. Steps to the target are infinite where the median falls on a run that missed the target,
    and empty where there is no target.

    Args:
        experiment: its name.
        replicas: the table.
        summary: the table.
        inside: `analysis.summarise_layers`; without it, columns about gradients and dead units are missing.
        every: the comparisons, where the caller has them already.
        patterns: of the files' names, where they differ from the rule.
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
    rows = _rows(mine, main)
    files: dict[str, pd.DataFrame] = {}
    for one in main:
        name = plots.file_of("comparison", one, patterns)
        whole = name == plots.file_of("comparison", one._replace(dataset=""), patterns)
        files[name] = rows if whole else rows[rows["dataset"] == one.dataset].reset_index(drop=True)
    for one in beside:
        name = plots.file_of("study_table", one, patterns)
        files[name and free(name, files, f"{experiment}, {one.study}")] = _rows(analysis.rows_of(mine, one), [one])
    return {name: table for name, table in files.items() if name}


def _rows(summary: pd.DataFrame, found: Sequence[Comparison]) -> pd.DataFrame:
    """Return the variants of some comparisons, in order, with the columns for readers."""
    own = summary["study"].isin([one.study for one in found])
    if "confirms" in summary:
        own |= summary["confirms"].isin([one.study for one in found])
    mine = summary[own & summary["dataset"].isin([one.dataset for one in found])]
    keys = list(dict.fromkeys(name for one in found for name in (*one.varied(), "learning_rate")))
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
    """Round every number that is not whole to `digits` significant digits."""
    rounded = table.copy()
    for name in [name for name, kind in table.dtypes.items() if kind.kind == "f"]:
        values = table[name].to_numpy(float)
        rounded[name] = [float(f"{value:.{digits}g}") if np.isfinite(value) else value for value in values]
    return rounded
