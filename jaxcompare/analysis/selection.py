"""Which learning rate: variants ranked on validation, each level at its best rate or all at a common one.

Whatever a study tunes (its nuisance factors: the learning rate, and others that its roles name) is chosen together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def score(summary: pd.DataFrame) -> pd.Series:
    """What variants are ranked by: mean validation accuracy, else its median (failed runs last), else -inf.

    Where a study has no validation split the accuracy on the fixed subset of the training set stands in.
    """
    return pd.Series(_scores(_scored(summary), np.arange(len(summary))), index=summary.index)


def ranked(summary: pd.DataFrame) -> pd.DataFrame:
    """Variants, best first: those with fewer failed runs before the others, then by their score, then by lower loss.

    Accuracies on a small validation split tie easily; the loss on it, of one kind within a level, says more.
    """
    order, _ = _order(_scored(summary), np.arange(len(summary)))
    return summary.assign(score=score(summary)).iloc[order]


# What variants are ranked by.
SCORED = (
    *(f"{name}_accuracy_{part}" for name in ("validation", "train_subset") for part in ("mean", "median")),
    *("validation_loss_median", "n_failed"),
)


Scored = Mapping[str, np.ndarray]


def _scored(summary: pd.DataFrame) -> Scored:
    return {name: summary[name].to_numpy(float) for name in SCORED if name in summary}


def _scores(scored: Scored, places: np.ndarray) -> np.ndarray:
    """The scores of some variants, taken among them alone."""
    unvalidated = np.isnan(scored["validation_accuracy_median"][places]).all()
    name = "train_subset_accuracy" if unvalidated else "validation_accuracy"
    means, medians = (scored[f"{name}_{part}"][places] for part in ("mean", "median"))
    known = np.where(np.isnan(means), medians, means)
    return np.where(np.isnan(known), -np.inf, known)


def _order(scored: Scored, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `places` of some variants, best first, and their scores."""
    scores, losses = _scores(scored, places), scored["validation_loss_median"][places]
    order = np.lexsort((np.where(np.isnan(losses), np.inf, losses), -scores, scored["n_failed"][places]))
    return places[order], scores[order]


def _cells(summary: pd.DataFrame, keys: Sequence[str]) -> list[np.ndarray]:
    """The places of the rows of each cell, in order."""
    names = ["experiment", "study", "dataset", *keys]
    number = summary[names].groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    return [np.flatnonzero(number == one) for one in range(number.max() + 1)] if len(number) else []


def best_rates(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """The variant at the best learning rate of each level of `factor`, for each value of the factors `apart`.

    Added columns: `rates` (the level's grid), `edge` (`low`, `high`, `only` or empty) and `at_edge`. Chosen on the
    validation split; rows of one study, data set and `apart` stand best first.
    """
    tuned = "learning_rate" not in (factor, *apart)
    scored, every = _scored(summary), summary["learning_rate"].to_numpy()
    chosen, told = [], []
    for places in _cells(summary, (*apart, factor)):
        order, scores = _order(scored, places)
        rates = sorted(set(every[places].tolist()))
        edge = {rates[-1]: "high", rates[0]: "low"}.get(every[order[0]], "")
        edge = "" if not tuned else "only" if len(rates) == 1 else edge
        chosen.append(int(order[0]))
        told.append((scores[0], rates, edge, bool(edge)))
    found = summary.iloc[chosen].reset_index(drop=True)
    added = pd.DataFrame(told, columns=["score", "rates", "edge", "at_edge"])
    return _best_first(pd.concat([found, added], axis=1), apart)


def common_rate(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every level of `factor` at one learning rate that all of them tried; no rows where they share none.

    Of several shared rates: the fewest failed runs over the levels, then the highest mean score over them. Of several
    variants of a level at that rate (something else is tuned, too): the best.
    """
    scored, columns = _scored(summary), summary[list(dict.fromkeys([factor, "learning_rate", "n_failed"]))]
    found: list[pd.DataFrame] = []
    for places in _cells(summary, apart):
        order, scores = _order(scored, places)
        narrow = columns.iloc[order].assign(score=scores, place=order)
        of_level = narrow.drop_duplicates([factor, "learning_rate"]).sort_values("place")  # at each rate a level's best
        rates = of_level.groupby("learning_rate").agg(
            levels=("score", "size"), n_failed=("n_failed", "sum"), score=("score", "mean")
        )
        levels = narrow[factor].nunique(dropna=False)
        shared = rates[rates["levels"] == levels].sort_values(["n_failed", "score"], ascending=[True, False])
        if levels > 1 and len(shared):
            found.append(of_level[of_level["learning_rate"] == shared.index[0]])
    if not found:
        return _best_first(summary.iloc[:0].assign(score=[]), apart)
    shown = pd.concat(found)
    return _best_first(summary.iloc[shown["place"]].assign(score=shown["score"].to_numpy()), apart)


def _best_first(chosen: pd.DataFrame, apart: tuple[str, ...]) -> pd.DataFrame:
    """Rows in their order of study, data set and `apart`, best first within."""
    groups = chosen.groupby(["experiment", "study", "dataset", *apart], sort=False, dropna=False).ngroup()
    order = chosen.assign(group=groups).sort_values(["group", "n_failed", "score"], ascending=[True, True, False])
    return order.drop(columns="group").reset_index(drop=True)
