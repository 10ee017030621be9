"""A row for each replica: final and best figures, failure, convergence, stability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxcompare.analysis.curves import STABILITY, area_under_curve, jumps_and_spikes, late_deviation, seconds_per_step
from jaxcompare.analysis.estimates import PRECISION, stuck_at_chance

FIGURES = (
    *("train_loss", "train_accuracy", "train_subset_accuracy"),
    *("validation_loss", "validation_accuracy", "best_validation_accuracy"),
    *("test_loss", "test_accuracy", "test_accuracy_at_best"),
)
STEPS = ("steps_to_target", "examples_to_target")
SECONDS = "seconds_to_target"
AREA = "validation_accuracy_area"


def finals(
    replicas: pd.DataFrame,
    history: pd.DataFrame,
    targets: Mapping[str, float | None] | None = None,
    timing: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compute each replica's final figures, failure, steps to the target, area under the curve and stability.

    Args:
        replicas: the table `replicas`.
        history: the table `history`, in any order.
        targets: the validation accuracy to reach, for each experiment that has a target.
        timing: the table `timing`; without it seconds to the target are NaN.

    Returns:
        A row for each replica: its columns in `replicas`, `FIGURES`, `diverged`, `stuck`, `STEPS`, `SECONDS`, `AREA` and
        `STABILITY`. A diverged replica's figures are NaN, the best ones too. Steps are infinite where the target was not
        reached, and NaN where there is no target or no validation split. Seconds are the steps times `seconds_per_step`.
        Accuracies are exact shares of a split's examples.
    """
    history = history.sort_values(["replica_id", "epoch"], kind="stable", ignore_index=True)
    history = with_exact_shares(history, replicas)
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
    # Validation decides, since the test split must not choose; without a validation split the training subset decides.
    chosen_by = result["validation_accuracy"].fillna(result["train_subset_accuracy"])
    subset = _examples(result)["train_subset_accuracy"]
    examples = result["validation_examples"].where(result["validation_accuracy"].notna(), subset)
    result["stuck"] = stuck_at_chance(chosen_by, result["chance_accuracy"], examples)
    _add_target(result, measured, targets or {})
    rate = seconds_per_step(replicas, timing) if timing is not None else pd.Series(np.nan, replicas.index)
    result[SECONDS] = result[STEPS[0]] * rate.to_numpy()
    _add_curves(result, history)
    return result.reset_index()


def with_exact_shares(history: pd.DataFrame, replicas: pd.DataFrame) -> pd.DataFrame:
    """Return `history` with each accuracy as right answers over examples in float64, from its rounded value.

    In float32, 0.9 is below 0.9, and equal differences of accuracies are unequal: ties, medians and targets need the counts. A
    value that is no share of the split's examples stays as it is.
    """
    exact = {}
    for name, sizes in _examples(replicas.set_index("replica_id")).items():
        if name in history:
            values, examples = history[name].astype(float), history["replica_id"].map(sizes.astype(float))
            shares = (values * examples).round() / examples
            exact[name] = shares.where((shares - values).abs() <= PRECISION, values)
    return history.assign(**exact)


def _examples(replicas: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the number of examples behind each accuracy, for each replica; only those that the table has."""
    found = {}
    for split in ("validation", "test"):
        if f"{split}_examples" in replicas:
            found[f"{split}_accuracy"] = replicas[f"{split}_examples"]
    if "train_subset" in replicas:
        subset = replicas["train_subset"]
        # A training set may have fewer examples than the subset asks for.
        every = replicas.get("train_examples", subset)
        found["train_subset_accuracy"] = subset.where(subset < every, every)
    return found


def _add_target(result: pd.DataFrame, measured: pd.DataFrame, targets: Mapping[str, float | None]) -> None:
    target = result["experiment"].map(lambda name: targets.get(name)).astype(float)
    validated = result.index.isin(measured["replica_id"]) | result["diverged"]
    reached = measured[measured["validation_accuracy"] >= measured["replica_id"].map(target).astype(float)]
    first = reached.groupby("replica_id").first().reindex(result.index)
    for name, column in zip(STEPS, ("step", "examples"), strict=True):
        steps = first[column].astype(float).fillna(np.inf).mask(result["diverged"], np.inf)
        result[name] = steps.where(target.notna() & validated)


def _add_curves(result: pd.DataFrame, history: pd.DataFrame) -> None:
    """Add area and stability: NaN for a diverged run, whose largest jump is infinite."""
    curves: dict[str, pd.Series] = {AREA: area_under_curve(history), "late_deviation": late_deviation(history)}
    if "train_loss" in history:
        jumps = jumps_and_spikes(history)
        curves |= {name: jumps[name] for name in ("largest_jump", "spikes")}
    for name in (AREA, *STABILITY):
        values = curves.get(name, pd.Series(dtype=float)).reindex(result.index).astype(float)
        result[name] = values.mask(result["diverged"], np.inf if name == "largest_jump" else np.nan)


def seconds_to_target(runs: pd.DataFrame) -> pd.DataFrame:
    """Compute each variant's `n`, `reached` and median `seconds_to_target` from `runs`, which is `finals` with `timing`.

    A separate table, since it depends on a clock: no other result changes between runs of a config. A miss is infinite.
    """
    groups = runs.groupby("variant_id", sort=False)[SECONDS]
    reached = groups.agg(lambda values: int(np.isfinite(values).sum()))
    table = {"n": groups.size(), "reached": reached, f"{SECONDS}_median": groups.agg(np.median)}
    return pd.DataFrame(table).reset_index()
