"""Which learning rate: variants ranked on validation, each level at its best rate or all at a common one.

Whatever a study tunes (its nuisance factors: the learning rate, and others that its roles name) is chosen together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def score(summary: pd.DataFrame) -> pd.Series:
    """What variants are ranked by: mean validation accuracy, else its median (failed runs last), else -inf.

    Where a study has no validation split the accuracy on the fixed subset of the training set stands in.
    """
    name = "train_subset_accuracy" if summary["validation_accuracy_median"].isna().all() else "validation_accuracy"
    return summary[f"{name}_mean"].fillna(summary[f"{name}_median"]).fillna(-np.inf)


def ranked(summary: pd.DataFrame) -> pd.DataFrame:
    """Variants, best first: those with fewer failed runs before the others, then by their score, then by lower loss.

    Accuracies on a small validation split tie easily; the loss on it, of one kind within a level, says more.
    """
    keyed = summary.assign(score=score(summary), tie=summary["validation_loss_median"].fillna(np.inf))
    ranks = keyed.sort_values(["n_failed", "score", "tie"], ascending=[True, False, True], kind="stable")
    return ranks.drop(columns="tie")


def best_rates(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """The variant at the best learning rate of each level of `factor`, for each value of the factors `apart`.

    Added columns: `rates` (the level's grid), `edge` (`low`, `high`, `only` or empty) and `at_edge`. Chosen on the
    validation split; rows of one study, data set and `apart` stand best first.
    """
    rows = []
    tuned = "learning_rate" not in (factor, *apart)
    for _, cell in summary.groupby(["experiment", "study", "dataset", *apart, factor], sort=False, dropna=False):
        rates = sorted(cell["learning_rate"].unique())
        best = ranked(cell).iloc[0].to_dict()
        edge = {rates[-1]: "high", rates[0]: "low"}.get(best["learning_rate"], "")
        edge = "" if not tuned else "only" if len(rates) == 1 else edge
        rows.append(best | {"rates": rates, "edge": edge, "at_edge": bool(edge)})
    return _best_first(pd.DataFrame(rows, columns=[*summary.columns, "score", "rates", "edge", "at_edge"]), apart)


def common_rate(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every level of `factor` at one learning rate that all of them tried; no rows where they share none.

    Of several shared rates: the fewest failed runs over the levels, then the highest mean score over them. Of several
    variants of a level at that rate (something else is tuned, too): the best.
    """
    found = []
    for _, cell in summary.groupby(["experiment", "study", "dataset", *apart], sort=False, dropna=False):
        levels = cell[factor].nunique(dropna=False)
        of_level = ranked(cell).drop_duplicates([factor, "learning_rate"])  # at each rate a level's best
        keyed = of_level.sort_index()
        rates = keyed.groupby("learning_rate").agg(levels=("score", "size"), n_failed=("n_failed", "sum"))
        rates["score"] = keyed.groupby("learning_rate")["score"].mean()
        shared = rates[rates["levels"] == levels].sort_values(["n_failed", "score"], ascending=[True, False])
        if levels > 1 and len(shared):
            found.append(keyed[keyed["learning_rate"] == shared.index[0]])
    return _best_first(pd.concat(found) if found else summary.iloc[:0].assign(score=[]), apart)


def _best_first(chosen: pd.DataFrame, apart: tuple[str, ...]) -> pd.DataFrame:
    """Rows in their order of study, data set and `apart`, best first within."""
    groups = chosen.groupby(["experiment", "study", "dataset", *apart], sort=False, dropna=False).ngroup()
    order = chosen.assign(group=groups).sort_values(["group", "n_failed", "score"], ascending=[True, True, False])
    return order.drop(columns="group").reset_index(drop=True)
