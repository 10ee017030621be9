"""A row a replica: its final and best figures, whether it failed, how soon it converged and how steadily."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxcompare.analysis.curves import STABILITY, area_under_curve, jumps_and_spikes, late_deviation, seconds_per_step
from jaxcompare.analysis.estimates import stuck_at_chance

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
SECONDS = "seconds_to_target"
AREA = "validation_accuracy_area"


def finals(
    replicas: pd.DataFrame,
    history: pd.DataFrame,
    targets: Mapping[str, float | None] | None = None,
    timing: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A row a replica: its final figures, `diverged`, `stuck`, the way to the target, area under the curve, stability.

    `targets` maps an experiment to a validation accuracy. A diverged replica's figures are NaN, the best ones too; a
    target that was not reached took infinitely long; where there is no target the steps are NaN. Seconds are the program's
    wall time over its replicas (`seconds_per_step`), NaN without `timing`.
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
    _add_target(result, measured, targets or {})
    rate = seconds_per_step(replicas, timing) if timing is not None else pd.Series(np.nan, replicas.index)
    result[SECONDS] = result[STEPS[0]] * rate.to_numpy()
    _add_curves(result, history)
    return result.reset_index()


def _add_target(result: pd.DataFrame, measured: pd.DataFrame, targets: Mapping[str, float | None]) -> None:
    target = result["experiment"].map(lambda name: targets.get(name)).astype(float)
    reached = measured[measured["validation_accuracy"] >= measured["replica_id"].map(target).astype(float)]
    first = reached.groupby("replica_id").first().reindex(result.index)
    for name, column in zip(STEPS, ("step", "examples"), strict=True):
        steps = first[column].astype(float).fillna(np.inf).mask(result["diverged"], np.inf)
        result[name] = steps.where(target.notna())


def _add_curves(result: pd.DataFrame, history: pd.DataFrame) -> None:
    """Area and stability; NaN of a diverged run, whose loss jumped infinitely far."""
    found: dict[str, pd.Series] = {AREA: area_under_curve(history), "late_deviation": late_deviation(history)}
    if "train_loss" in history:
        shapes = jumps_and_spikes(history)
        found |= {name: shapes[name] for name in ("largest_jump", "spikes")}
    for name in (AREA, *STABILITY):
        values = found.get(name, pd.Series(dtype=float)).reindex(result.index).astype(float)
        result[name] = values.mask(result["diverged"], np.inf if name == "largest_jump" else np.nan)


def seconds_to_target(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a variant: `n`, `reached` and the median `seconds_to_target` of its `runs`, `finals` with `timing`.

    A table apart, since it rests on a clock: no other result changes from one run of a config to the next. A miss is infinite.
    """
    groups = runs.groupby("variant_id", sort=False)[SECONDS]
    reached = groups.agg(lambda values: int(np.isfinite(values).sum()))
    found = pd.DataFrame({"n": groups.size(), "reached": reached, f"{SECONDS}_median": groups.agg(np.median)})
    return found.reset_index()
