"""Which learning rate: variants ranked on validation, each level at its best rate or all at a common one.

Everything that a study tunes (the learning rate, and other factors that its roles call nuisance) is chosen together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

# The columns that rank variants.
SCORED = (
    *(f"{name}_accuracy_{part}" for name in ("validation", "train_subset") for part in ("mean", "median")),
    *("validation_loss_median", "n_failed"),
)
Scored = Mapping[str, np.ndarray]
DIGITS = 12  # after the point, of a score


def ranked(summary: pd.DataFrame) -> pd.DataFrame:
    """Sort variants, best first: by fewer failed runs, then by higher `score`, then by lower validation loss.

    The score is the mean validation accuracy, else the median (failed runs last), else -inf. Where a study has no validation
    split, the accuracy on the fixed subset of the training set replaces it. Accuracies on a small validation split tie
    easily; the loss, of one kind within a level, says more.
    """
    order, scores = _order(_scored(summary), np.arange(len(summary)))
    return summary.iloc[order].assign(score=scores)


def _scored(summary: pd.DataFrame) -> Scored:
    return {name: summary[name].to_numpy(float) for name in SCORED if name in summary}


def _scores(scored: Scored, places: np.ndarray) -> np.ndarray:
    """Return the scores of the variants at some places, from these variants alone."""
    unvalidated = np.isnan(scored["validation_accuracy_median"][places]).all()
    name = "train_subset_accuracy" if unvalidated else "validation_accuracy"
    means, medians = (scored[f"{name}_{part}"][places] for part in ("mean", "median"))
    known = np.where(np.isnan(means), medians, means)
    # Equal means of accuracies may differ in their last bits by the order of their sums: such scores are a tie.
    return np.where(np.isnan(known), -np.inf, known.round(DIGITS))


def _order(scored: Scored, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the `places` of some variants, best first, and their scores."""
    scores, losses = _scores(scored, places), scored["validation_loss_median"][places]
    order = np.lexsort((np.where(np.isnan(losses), np.inf, losses), -scores, scored["n_failed"][places]))
    return places[order], scores[order]


def _cells(summary: pd.DataFrame, keys: Sequence[str]) -> list[np.ndarray]:
    """Return the places of the rows of each cell, in order."""
    names = ["experiment", "study", "dataset", *keys]
    number = summary[names].groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    return [np.flatnonzero(number == cell) for cell in range(number.max() + 1)] if len(number) else []


def best_rates(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the variant at the best learning rate of each level of `factor`, for each value of the factors `apart`.

    The validation split chooses, as in `ranked`. Added columns: `score`, `rates` (the level's grid), `edge` (`low`, `high`,
    `only` or empty) and `at_edge`. Within a study, data set and value of `apart` the best row is first.
    """
    tuned = "learning_rate" not in (factor, *apart)
    scored, every = _scored(summary), summary["learning_rate"].to_numpy()
    chosen, added = [], []
    for places in _cells(summary, (*apart, factor)):
        order, scores = _order(scored, places)
        rates = sorted(set(every[places].tolist()))
        edge = {rates[-1]: "high", rates[0]: "low"}.get(every[order[0]], "")
        edge = "" if not tuned else "only" if len(rates) == 1 else edge
        chosen.append(int(order[0]))
        added.append((scores[0], rates, edge, bool(edge)))
    columns = pd.DataFrame(added, columns=["score", "rates", "edge", "at_edge"])
    return _best_first(pd.concat([summary.iloc[chosen].reset_index(drop=True), columns], axis=1), apart)


def common_rate(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return every level of `factor` at one learning rate that all levels tried; no rows where they share none.

    Among shared rates, the fewest failed runs over the levels decide, then the highest mean score. Where another factor is
    tuned, too, a level has several variants at that rate, and the best is taken.
    """
    scored, columns = _scored(summary), summary[list(dict.fromkeys([factor, "learning_rate", "n_failed"]))]
    tables: list[pd.DataFrame] = []
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
            tables.append(of_level[of_level["learning_rate"] == shared.index[0]])
    if not tables:
        return _best_first(summary.iloc[:0].assign(score=[]), apart)
    shown = pd.concat(tables)
    return _best_first(summary.iloc[shown["place"]].assign(score=shown["score"].to_numpy()), apart)


def _best_first(chosen: pd.DataFrame, apart: tuple[str, ...]) -> pd.DataFrame:
    """Sort rows within each study, data set and value of `apart`, best first."""
    groups = chosen.groupby(["experiment", "study", "dataset", *apart], sort=False, dropna=False).ngroup()
    order = chosen.assign(group=groups).sort_values(["group", "n_failed", "score"], ascending=[True, True, False])
    return order.drop(columns="group").reset_index(drop=True)
