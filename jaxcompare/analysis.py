"""Statistics over seeds: tables and arrays in, tables out; no input or output here.

A replica that failed stays in every figure: a mean over the survivors is never formed. The tables are those of
`docs/tables.md`. Sources of the rules: `mean_interval` (simulated coverage below 20 seeds), AlgoPerf for time to target
and failed runs, Bouthillier et al. 2021 for pairing by seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_SEEDS = 5  # below it no interval is drawn
FIGURES = (
    "train_loss",
    "train_accuracy",
    "train_subset_accuracy",
    "validation_loss",
    "validation_accuracy",
    "best_validation_accuracy",
    "test_loss",
    "test_accuracy",
    "test_accuracy_at_best",
)
STEPS = ("steps_to_target", "examples_to_target")
NOT_FACTORS = {
    *("replica_id", "variant_id", "experiment", "study", "label", "seed", "steps_per_epoch", "parameters"),
    *(
        "first_nonfinite_step",
        "chance_accuracy",
        "train_examples",
        "validation_examples",
        "test_examples",
        "data_digest",
    ),
}
SCIENTIFIC = {"a": "loss", "b": "activation", "c": "optimizer"}
# What a factor's options follow from comes first, so that an option that only follows is not taken for a choice.
FACTOR_ORDER = ("optimizer", "activation", "loss", "model", "hidden", "init", "schedule", "batch_size", "epochs")


class Interval(NamedTuple):
    """A mean over seeds with its 95% interval."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """The difference of two variants, taken seed by seed."""

    mean: float
    low: float
    high: float
    wins: int  # seeds where the first is above the second; a failed run is below every other
    ties: int
    n: int
    p_t: float  # paired t test, two-sided
    p_sign_flip: float  # exact, two-sided; never below 2 / 2^n


class Comparison(NamedTuple):
    """A study on one data set: what is compared, and what is kept apart from the choice of the learning rate."""

    experiment: str
    study: str
    dataset: str
    factor: str
    apart: tuple[str, ...]


@lru_cache
def t_quantile(n: int) -> float:
    """The 97.5% quantile of Student's t for `n` values; NaN below five."""
    return float(stats.t.ppf(0.975, n - 1)) if n >= FEWEST_SEEDS else float("nan")


def mean_interval(values: np.ndarray) -> Interval:
    """Mean and 95% interval (Student's t) of `values` [n].

    The interval is NaN below five values; everything is NaN when any value is not finite.
    """
    values = np.asarray(values, float)
    if values.size == 0 or not np.isfinite(values).all():
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    half = t_quantile(values.size) * float(values.std(ddof=1)) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def median(values: np.ndarray, worst: float = -np.inf) -> float:
    """Median of `values` [n], those not finite ranked last (at `worst`); NaN when it falls on one of them."""
    values = np.asarray(values, float)
    if values.size == 0:
        return np.nan
    ordered = np.sort(np.where(np.isfinite(values), values, worst))
    middle = ordered[[(values.size - 1) // 2, values.size // 2]]
    return float(middle.mean()) if np.isfinite(middle).all() else np.nan


def stuck_at_chance(accuracy: ArrayLike, chance: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Whether a final accuracy on `n` examples is not above `chance` by more than two binomial standard errors.

    False where the accuracy is not finite: that run diverged, it is not stuck.
    """
    accuracy, chance = np.asarray(accuracy, float), np.asarray(chance, float)
    return accuracy <= chance + 2 * np.sqrt(chance * (1 - chance) / np.asarray(n, float))


def factors(replicas: pd.DataFrame) -> list[str]:
    """The columns that are factors, those that others follow from first."""
    names = [name for name in replicas.columns if name not in NOT_FACTORS]
    return sorted(names, key=lambda name: FACTOR_ORDER.index(name) if name in FACTOR_ORDER else len(FACTOR_ORDER))


def varying(replicas: pd.DataFrame, given: tuple[str, ...] = ()) -> list[str]:
    """The factors, data set and learning rate left out, that take several values once those in `given` are fixed.

    A factor that follows from those before it (an optimizer's option from the optimizer) is not among them.
    """
    keys: list[str] = list(given)
    cells = replicas.drop_duplicates("variant_id")
    for name in factors(replicas):
        if name in (*keys, "dataset", "learning_rate") or cells[name].nunique(dropna=False) < 2:
            continue
        known = len(cells[keys].drop_duplicates()) if keys else 1
        if len(cells[[*keys, name]].drop_duplicates()) > known:
            keys.append(name)
    return keys[len(given) :]


def comparisons(replicas: pd.DataFrame) -> list[Comparison]:
    """Every study and data set, in order: the factor compared, and those kept apart."""
    found = []
    groups = replicas[["experiment", "study", "dataset"]].drop_duplicates().astype(str)
    for experiment, study, dataset in groups.itertuples(index=False, name=None):
        rows = rows_of(replicas, Comparison(experiment, study, dataset, "", ()))
        names = varying(rows)
        expected = SCIENTIFIC.get(experiment, "")
        factor = expected if expected in names else next(iter(names), "learning_rate")
        found.append(Comparison(experiment, study, dataset, factor, tuple(varying(rows, (factor,)))))
    return found


def main_comparisons(replicas: pd.DataFrame, experiment: str) -> dict[str, Comparison]:
    """For each data set of an experiment its main comparison: the study `main`, else the first."""
    found: dict[str, Comparison] = {}
    for one in comparisons(replicas[replicas["experiment"] == experiment]):
        if one.dataset not in found or one.study == "main":
            found[one.dataset] = one
    return found


def rows_of(table: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """The rows of `replicas` or `summary` that belong to a comparison."""
    keep = (table["experiment"] == comparison.experiment) & (table["study"] == comparison.study)
    return table[keep & (table["dataset"] == comparison.dataset)]


def finals(
    replicas: pd.DataFrame, history: pd.DataFrame, targets: Mapping[str, float | None] | None = None
) -> pd.DataFrame:
    """A row a replica: its final figures, `diverged`, `stuck`, and steps and examples to the target.

    `targets` maps an experiment to a validation accuracy. A diverged replica's figures are NaN, the best ones too; a
    target that was not reached took infinitely long; where there is no target the steps are NaN.
    """
    history = history.sort_values(["replica_id", "epoch"], kind="stable", ignore_index=True)
    result = replicas.set_index("replica_id")
    last = history.groupby("replica_id").tail(1).set_index("replica_id")
    measured = history.dropna(subset=["validation_accuracy"])
    best = measured.loc[measured.groupby("replica_id")["validation_accuracy"].idxmax()].set_index("replica_id")
    taken = {name: last[name] for name in FIGURES if name in last}
    taken["best_validation_accuracy"] = best["validation_accuracy"]
    taken["test_accuracy_at_best"] = best["test_accuracy"]
    result["diverged"] = result["first_nonfinite_step"].notna()
    figures = pd.DataFrame(taken, dtype=float).reindex(index=result.index, columns=list(FIGURES))
    result[list(FIGURES)] = figures.mask(result["diverged"])
    # On validation, so that the test split has no part in what is chosen; without one, on the training subset.
    chosen_by = result["validation_accuracy"].fillna(result["train_subset_accuracy"])
    examples = result["validation_examples"].where(result["validation_examples"] > 0, result["train_subset"])
    result["stuck"] = stuck_at_chance(chosen_by, result["chance_accuracy"], examples)
    target = result["experiment"].map(lambda name: (targets or {}).get(name)).astype(float)
    reached = measured[measured["validation_accuracy"] >= measured["replica_id"].map(target).astype(float)]
    first = reached.groupby("replica_id").first().reindex(result.index)
    for name, column in zip(STEPS, ("step", "examples"), strict=True):
        steps = first[column].astype(float).fillna(np.inf).mask(result["diverged"], np.inf)
        result[name] = steps.where(target.notna())
    return result.reset_index()


def summarise(
    replicas: pd.DataFrame, history: pd.DataFrame, targets: Mapping[str, float | None] | None = None
) -> pd.DataFrame:
    """The table `summary`: a row a variant, with the mean, interval and median of each final figure over its seeds.

    Of the steps to the target there is a median only (infinite when it falls on a miss) and `reached`, of `n`.
    """
    kept = ["variant_id", "experiment", "study", "label", "dataset"]
    kept += [name for name in factors(replicas) if name not in kept]
    rows = []
    for _, runs in finals(replicas, history, targets).groupby("variant_id", sort=False):
        row = runs.iloc[0][kept].to_dict() | {
            "n": len(runs),
            "n_diverged": int(runs["diverged"].sum()),
            "n_stuck": int(runs["stuck"].sum()),
            "n_failed": int((runs["diverged"] | runs["stuck"]).sum()),
        }
        for name in FIGURES:
            values = runs[name].to_numpy()
            row |= {f"{name}_{part}": value for part, value in mean_interval(values)._asdict().items()}
            row[f"{name}_median"] = median(values, np.inf if name.endswith("loss") else -np.inf)
        row |= {f"{name}_median": float(np.median(runs[name])) for name in STEPS}
        row["reached"] = int(np.isfinite(runs[STEPS[0]]).sum()) if runs[STEPS[0]].notna().all() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def bands(
    table: pd.DataFrame,
    replicas: pd.DataFrame,
    by: str = "variant_id",
    value: str = "validation_accuracy",
    along: tuple[str, ...] = ("epoch",),
) -> pd.DataFrame:
    """Over seeds, for each `by` and `along`: mean, low, high (95%, t), median, least, greatest, n, n_finite.

    Every figure but the counts is NaN wherever a single replica has no finite value.
    """
    sizes = replicas.groupby(by, dropna=False).size()
    joined = table[["replica_id", *along, value]].merge(replicas[["replica_id", by]].drop_duplicates(), on="replica_id")
    joined[value] = joined[value].astype(float).replace([np.inf, -np.inf], np.nan)
    found = joined.groupby([by, *along])[value].agg(["mean", "std", "median", "min", "max", "count"]).reset_index()
    found = found.rename(columns={"min": "least", "max": "greatest", "count": "n_finite"})
    found["n"] = found[by].map(sizes)
    half = found["n"].map(t_quantile) * found.pop("std") / np.sqrt(found["n"])
    found["low"], found["high"] = found["mean"] - half, found["mean"] + half
    drawn = ["mean", "low", "high", "median", "least", "greatest"]
    found[drawn] = found[drawn].where(found["n_finite"] == found["n"])
    return found[[by, *along, *drawn, "n", "n_finite"]]


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
    for _, cell in summary.groupby(["experiment", "study", "dataset", *apart, factor], sort=False, dropna=False):
        rates = sorted(cell["learning_rate"].unique())
        best = ranked(cell).iloc[0].to_dict()
        edge = {rates[-1]: "high", rates[0]: "low"}.get(best["learning_rate"], "")
        edge = "" if factor == "learning_rate" else "only" if len(rates) == 1 else edge
        rows.append(best | {"rates": rates, "edge": edge, "at_edge": bool(edge)})
    return _best_first(pd.DataFrame(rows, columns=[*summary.columns, "score", "rates", "edge", "at_edge"]), apart)


def common_rate(summary: pd.DataFrame, factor: str, apart: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every level of `factor` at one learning rate that all of them tried; no rows where they share none.

    Of several shared rates: the fewest failed runs over the levels, then the highest mean score over them.
    """
    found = []
    for _, cell in summary.groupby(["experiment", "study", "dataset", *apart], sort=False, dropna=False):
        levels = cell[factor].nunique(dropna=False)
        keyed = cell.assign(score=score(cell))
        rates = keyed.groupby("learning_rate").agg(levels=(factor, "nunique"), n_failed=("n_failed", "sum"))
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


def sign_flip_p(differences: np.ndarray) -> float:
    """Exact two-sided p of the sum of `differences` [n] under all 2^n changes of sign.

    NaN where a difference is not finite, and above 20 of them.
    """
    differences = np.asarray(differences, float)
    if not 0 < differences.size <= 20 or not np.isfinite(differences).all():
        return np.nan
    sums = np.zeros(1)
    for one in differences:
        sums = np.concatenate([sums + one, sums - one])
    observed = abs(differences.sum())
    return float(np.mean(np.abs(sums) >= observed - 1e-12 * np.abs(differences).sum()))


def paired_difference(first: np.ndarray, second: np.ndarray) -> Paired:
    """The difference `first` - `second` of two accuracies, both [n] in one order of seeds.

    Mean, interval and p are NaN when any value is not finite (and the interval and p of t below five seeds); wins are
    counted all the same, a failed run below every other.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    a, b = (np.where(np.isfinite(values), values, -np.inf) for values in (first, second))
    differences = first - second
    mean, low, high = mean_interval(differences)
    n, p = differences.size, np.nan
    if np.isfinite(mean) and n >= FEWEST_SEEDS:
        error = differences.std(ddof=1) / np.sqrt(n)
        p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return Paired(mean, low, high, int((a > b).sum()), int((a == b).sum()), n, p, sign_flip_p(differences))


def paired_variants(runs: pd.DataFrame, first: str, second: str, figure: str = "test_accuracy") -> Paired:
    """`paired_difference` of two variants in the table of `finals`, over the seeds that both have."""
    sides = [runs[runs["variant_id"] == name].set_index("seed")[figure] for name in (first, second)]
    seeds = sides[0].index.intersection(sides[1].index)
    return paired_difference(sides[0][seeds].to_numpy(), sides[1][seeds].to_numpy())


def gradient_ratio(layers: pd.DataFrame) -> pd.DataFrame:
    """For each replica and epoch `gradient_ratio`: the gradient's norm in the first layer over that in the last."""
    ends = layers.sort_values("layer_index").groupby(["replica_id", "epoch"])["gradient_norm"].agg(["first", "last"])
    ratio = (ends["first"] / ends["last"]).replace([np.inf, -np.inf], np.nan)
    return ratio.rename("gradient_ratio").reset_index()


def summarise_layers(replicas: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """A row a variant: `gradient_ratio_initial`, `gradient_ratio_final` (medians), `dead_fraction_initial`,
    `dead_fraction_final` (means).

    Over seeds; NaN where a replica's figure is not finite. The dead share is over hidden layers of equal weight.
    """
    ratio = gradient_ratio(layers).groupby("replica_id")["gradient_ratio"]
    dead = layers.groupby(["replica_id", "epoch"])["dead_fraction"].mean().groupby("replica_id")
    runs = pd.DataFrame(
        {
            "gradient_ratio_initial": ratio.agg(lambda values: values.iloc[0]),
            "gradient_ratio_final": ratio.agg(lambda values: values.iloc[-1]),
            "dead_fraction_initial": dead.agg(lambda values: values.iloc[0]),
            "dead_fraction_final": dead.agg(lambda values: values.iloc[-1]),
        }
    ).reindex(replicas["replica_id"])
    groups = runs.groupby(replicas["variant_id"].to_numpy(), sort=False)
    found = groups.median()
    for name in ("dead_fraction_initial", "dead_fraction_final"):
        found[name] = groups[name].mean()
    complete = groups.count().eq(groups.size(), axis=0)
    return found.where(complete).rename_axis("variant_id").reset_index()
