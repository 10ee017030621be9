"""What a study compares, what it tunes and what it keeps apart, read from `replicas`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.config.confirmation import CONFIRMED

__all__ = [
    "CONFIRMED",
    "Comparison",
    "cells",
    "comparisons",
    "factors",
    "main_comparisons",
    "main_of",
    "rows_of",
    "variants_of",
    "varying",
]

# Columns of `replicas` that are no factors.
NOT_FACTORS = {
    *("replica_id", "variant_id", "experiment", "study", "label", "seed", "steps_per_epoch", "parameters"),
    *("first_nonfinite_step", "chance_accuracy", "train_examples", "validation_examples", "test_examples"),
    *("data_digest", "program", "compared", "tuned", "fixed", "confirms"),
}
# What a factor's options follow from comes first, so that an option that only follows is not taken for a choice.
FACTOR_ORDER = (
    *("optimizer", "activation", "loss", "model", "hidden", "init", "schedule", "batch_size", "epochs"),
    *("clip_norm", "precision"),
)


class Comparison(NamedTuple):
    """A study on one data set: what is compared, and what is kept apart from the choice of the learning rate."""

    experiment: str
    study: str
    dataset: str
    factor: str
    apart: tuple[str, ...]
    compared: tuple[str, ...] = ()  # the scientific factors: `factor`, and those kept apart that are not only fixed
    rates_set: bool = False  # the study says that its learning rates are fixed: nobody chooses among them


def factors(replicas: pd.DataFrame) -> list[str]:
    """The columns that are factors, those that others follow from first."""
    names = [name for name in replicas.columns if name not in NOT_FACTORS]
    return sorted(names, key=lambda name: FACTOR_ORDER.index(name) if name in FACTOR_ORDER else len(FACTOR_ORDER))


def variants_of(replicas: pd.DataFrame) -> pd.DataFrame:
    """The first replica of each variant, with texts as plain objects: of few rows and many columns they are much faster."""
    rows = replicas[~replicas["variant_id"].duplicated()] if replicas["variant_id"].duplicated().any() else replicas
    texts = [name for name, kind in rows.dtypes.items() if isinstance(kind, pd.StringDtype)]
    return rows.astype(dict.fromkeys(texts, object)) if texts else rows


def varying(replicas: pd.DataFrame, given: tuple[str, ...] = ()) -> list[str]:
    """The factors, data set and learning rate left out, that take several values once those in `given` are fixed.

    A factor that follows from those before it (an optimizer's option from the optimizer) is not among them.
    """
    replicas = variants_of(replicas)
    cells = np.zeros(len(replicas), int)  # which of the cells of the factors so far a variant is in
    found: list[str] = []
    for name in (*given, *(name for name in factors(replicas) if name not in (*given, "dataset", "learning_rate"))):
        levels = pd.factorize(replicas[name].to_numpy())[0]
        if (levels == levels[:1]).all():
            continue
        finer = pd.factorize(cells * (levels.max() + 2) + levels)[0]
        if name not in given and finer.max() > cells.max():
            found.append(name)
        cells = finer
    return found


def _roles(rows: pd.DataFrame, column: str) -> tuple[str, ...] | None:
    """The factors that the study says are compared or tuned; None where it does not say."""
    return tuple(str(rows[column].iloc[0]).split()) if column in rows and rows[column].notna().all() else None


def _comparison(rows: pd.DataFrame, experiment: str, study: str, dataset: str) -> Comparison:
    """A study's roles where they are recorded, else guesses: every factor is scientific but for the learning rate."""
    tuned, fixed = (_roles(rows, column) or () for column in ("tuned", "fixed"))
    names = [name for name in varying(rows) if name not in tuned]
    declared = _roles(rows, "compared")
    scientific = names if declared is None else [name for name in names if name in declared]
    factor = next(iter(scientific), "learning_rate")
    apart = [name for name in varying(rows, (factor,)) if name not in tuned]
    if "learning_rate" in (*(declared or ()), *fixed) and _varies(rows, "learning_rate", (factor, *apart)):
        apart.append("learning_rate")  # compared, or told of, as the others are, so nobody chooses it
    compared = tuple(name for name in (factor, *apart) if declared is None or name in (factor, *declared))
    return Comparison(experiment, study, dataset, factor, tuple(apart), compared, "learning_rate" in fixed)


def _varies(rows: pd.DataFrame, name: str, given: tuple[str, ...]) -> bool:
    """Whether a factor takes several values where those in `given` are fixed."""
    return name not in given and bool((rows.groupby(list(given), dropna=False)[name].nunique() > 1).any())


def comparisons(replicas: pd.DataFrame) -> list[Comparison]:
    """Every study and data set, in order: the factor compared, and those kept apart.

    Studies that only confirm another one on fresh seeds are not among them.
    """
    if "confirms" in replicas:
        replicas = replicas[replicas["confirms"].fillna("") == ""]
    found = []
    replicas = variants_of(replicas)
    groups = replicas[["experiment", "study", "dataset"]].drop_duplicates().astype(str)
    for experiment, study, dataset in groups.itertuples(index=False, name=None):
        rows = rows_of(replicas, Comparison(experiment, study, dataset, "", ()))
        found.append(_comparison(rows, experiment, study, dataset))
    return found


def main_comparisons(replicas: pd.DataFrame, experiment: str) -> dict[str, Comparison]:
    """`main_of` the comparisons of an experiment."""
    return main_of(comparisons(replicas[replicas["experiment"] == experiment]))


def main_of(every: Sequence[Comparison]) -> dict[str, Comparison]:
    """For each data set of an experiment its main comparison: the study `main`, else the first that tunes its rates.

    Studies whose learning rates are set stand beside a main one, on whichever data set, unless there is no other study.
    `every` are the comparisons of one experiment.
    """
    tuned = [one for one in every if not one.rates_set or one.study == "main"]
    found: dict[str, Comparison] = {}
    for one in tuned or every:
        if one.dataset not in found or one.study == "main":
            found[one.dataset] = one
    return found


def rows_of(table: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """The rows of `replicas` or `summary` that belong to a comparison."""
    keep = (table["experiment"] == comparison.experiment) & (table["study"] == comparison.study)
    return table[keep & (table["dataset"] == comparison.dataset)]


def cells(table: pd.DataFrame, keys: tuple[str, ...]) -> list[pd.DataFrame]:
    """The rows of a table by the values of `keys`, in order; all of them where there is no key."""
    return [rows for _, rows in table.groupby(list(keys), sort=False, dropna=False)] if keys else [table]
