"""A study's factors, read from `replicas`: compared, tuned, or separate.

A separate factor (`apart`) keeps its values separate: each value has its own best learning rate and its own claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.config.comparison import spell
from jaxcompare.config.confirmation import CONFIRMED as CONFIRMED

# Columns of `replicas` that are no factors.
NOT_FACTORS = {
    *("replica_id", "variant_id", "experiment", "study", "label", "seed", "steps_per_epoch", "parameters"),
    *("first_nonfinite_step", "chance_accuracy", "train_examples", "validation_examples", "test_examples"),
    *("data_digest", "program", "compared", "tuned", "fixed", "confirms"),
}
# A factor comes before its options, so that an option that only follows from the factor does not count as a choice.
FACTOR_ORDER = (
    *("optimizer", "activation", "loss", "model", "hidden", "init", "schedule", "batch_size", "epochs"),
    *("clip_norm", "precision"),
)


class Comparison(NamedTuple):
    """A study on one data set: the factor compared, and the separate factors."""

    experiment: str
    study: str
    dataset: str
    factor: str
    apart: tuple[str, ...]  # the separate factors
    compared: tuple[str, ...] = ()  # the scientific factors: `factor`, and the separate factors that are not only fixed
    rates_set: bool = False  # the study declares its learning rates fixed: nobody chooses among them

    @property
    def where(self) -> dict[str, str]:
        """Experiment, study and data set, by name."""
        return {"experiment": self.experiment, "study": self.study, "dataset": self.dataset}

    def varied(self, *without: str) -> tuple[str, ...]:
        """Return the factor compared and the separate factors, except for those in `without`."""
        return tuple(name for name in (self.factor, *self.apart) if name not in without)


def factors(replicas: pd.DataFrame) -> list[str]:
    """Return the columns that are factors, each before its options."""
    names = [name for name in replicas.columns if name not in NOT_FACTORS]
    return sorted(names, key=lambda name: FACTOR_ORDER.index(name) if name in FACTOR_ORDER else len(FACTOR_ORDER))


def level_of(value: Any) -> Any:
    """Return a level as a key: None for NaN, which tables have where a choice lacks an option, and which equals nothing."""
    return None if value is None or value != value else value


def at_level(levels: pd.Series, level: Any) -> pd.Series:
    """Return where a column has a level; a missing level is equal to a missing level."""
    return levels.isna() if level_of(level) is None else levels == level


def spelled(replicas: pd.DataFrame) -> dict[float, str]:
    """Return the text of each level that is a number and that `%g` writes as another level of its factor, or not in full."""
    texts: dict[float, str] = {}
    for name in factors(replicas):
        levels = [level for level in replicas[name].unique().tolist() if isinstance(level, float) and level == level]
        texts |= {level: text for level in levels if (text := spell(level, levels)) != f"{level:g}"}
    return texts


def variants_of(replicas: pd.DataFrame) -> pd.DataFrame:
    """Return the first replica of each variant, with texts as plain objects: much faster in few rows of many columns."""
    rows = replicas[~replicas["variant_id"].duplicated()] if replicas["variant_id"].duplicated().any() else replicas
    texts = [name for name, kind in rows.dtypes.items() if isinstance(kind, pd.StringDtype)]
    return rows.astype(dict.fromkeys(texts, object)) if texts else rows


def varying(replicas: pd.DataFrame, given: tuple[str, ...] = ()) -> list[str]:
    """Return the factors that take several values where those in `given` are fixed; never data set and learning rate.

    A factor that follows from the factors before it (an optimizer's option from the optimizer) is left out.
    """
    replicas = variants_of(replicas)
    cells = np.zeros(len(replicas), int)  # the number of each variant's cell in the grid of the factors so far
    names: list[str] = []
    for name in (*given, *(name for name in factors(replicas) if name not in (*given, "dataset", "learning_rate"))):
        levels = pd.factorize(replicas[name].to_numpy())[0]
        if (levels == levels[:1]).all():
            continue
        finer = pd.factorize(cells * (levels.max() + 2) + levels)[0]
        if name not in given and finer.max() > cells.max():
            names.append(name)
        cells = finer
    return names


def _roles(rows: pd.DataFrame, column: str) -> tuple[str, ...] | None:
    """Return the factors of a role that the study declares; None where the study declares no roles."""
    return tuple(str(rows[column].iloc[0]).split()) if column in rows and rows[column].notna().all() else None


def _comparison(rows: pd.DataFrame, experiment: str, study: str, dataset: str) -> Comparison:
    """Return a study on a data set by its recorded roles; without roles all factors except the rate are scientific."""
    tuned, fixed = (_roles(rows, column) or () for column in ("tuned", "fixed"))
    names = [name for name in varying(rows) if name not in tuned]
    declared = _roles(rows, "compared")
    scientific = names if declared is None else [name for name in names if name in declared]
    factor = next(iter(scientific), "learning_rate")
    apart = [name for name in varying(rows, (factor,)) if name not in tuned]
    if "learning_rate" in (*(declared or ()), *fixed) and _varies(rows, "learning_rate", (factor, *apart)):
        apart.append("learning_rate")  # compared or reported separately, so nobody chooses it
    compared = tuple(name for name in (factor, *apart) if declared is None or name in (factor, *declared))
    return Comparison(experiment, study, dataset, factor, tuple(apart), compared, "learning_rate" in fixed)


def _varies(rows: pd.DataFrame, name: str, given: tuple[str, ...]) -> bool:
    """Return whether a factor takes several values where those in `given` are fixed."""
    return name not in given and bool((rows.groupby(list(given), dropna=False)[name].nunique() > 1).any())


def comparisons(replicas: pd.DataFrame) -> list[Comparison]:
    """Return every study on every data set, in order, without studies that only confirm another on fresh seeds."""
    if "confirms" in replicas:
        replicas = replicas[replicas["confirms"].fillna("") == ""]
    replicas = variants_of(replicas)
    groups = replicas[["experiment", "study", "dataset"]].drop_duplicates().astype(str)
    names = groups.itertuples(index=False, name=None)
    places = [Comparison(experiment, study, dataset, "", ()) for experiment, study, dataset in names]
    return [_comparison(rows_of(replicas, place), *place[:3]) for place in places]


def main_comparisons(replicas: pd.DataFrame, experiment: str) -> dict[str, Comparison]:
    """Return `main_of` the comparisons of an experiment."""
    return main_of(comparisons(replicas[replicas["experiment"] == experiment]))


def main_of(every: Sequence[Comparison]) -> dict[str, Comparison]:
    """Return the main comparison of each data set: the study `main`, else the first that tunes its learning rates.

    `every` has all comparisons of one experiment. A study whose rates are set is a main study only without any other study.
    """
    tuned = [one for one in every if not one.rates_set or one.study == "main"]
    main: dict[str, Comparison] = {}
    for one in tuned or every:
        if one.dataset not in main or one.study == "main":
            main[one.dataset] = one
    return main


def rows_of(table: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """Return the rows of `replicas`, `summary` or another table that belong to a comparison."""
    keep = (table["experiment"] == comparison.experiment) & (table["study"] == comparison.study)
    return table[keep & (table["dataset"] == comparison.dataset)]


def cells(table: pd.DataFrame, keys: tuple[str, ...]) -> list[pd.DataFrame]:
    """Return the rows of each cell, which is a set of values of `keys`, in order; the whole table without keys."""
    return [rows for _, rows in table.groupby(list(keys), sort=False, dropna=False)] if keys else [table]


def partners(
    variants: pd.DataFrame, keys: tuple[str, ...], factor: str, reference: object
) -> Iterator[tuple[pd.Series, pd.Series]]:
    """Yield each variant of another level of a factor, with the variant at `reference` that is equal in `keys`."""
    for cell in cells(variants, keys):
        same = at_level(cell[factor], reference)
        if same.sum() == 1:
            yield from ((row, cell[same].iloc[0]) for _, row in cell[~same].iterrows())
