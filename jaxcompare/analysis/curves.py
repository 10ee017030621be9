"""Figures of a run's curves: area, steadiness, jumps and spikes. Tables in, a row for each replica out.

Curves have a value at each evaluated epoch. Only the running mean of the loss shows what happens within an epoch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

LATE = 0.25  # the share of the evaluated epochs, the last ones, over which a run's deviation is taken
FEWEST_LATE = 3  # but no fewer than these
SPIKE = 1.5  # a spike rises to at least this many times the lowest training loss before it
SPIKE_FLOOR = 0.01  # and by at least this share of the first epoch's loss, or every tremor near zero would be a spike

STABILITY = ("late_deviation", "largest_jump", "spikes")


def area_under_curve(history: pd.DataFrame, value: str = "validation_accuracy") -> pd.Series:
    """Compute each replica's mean height of a curve over the examples seen: the trapezoids' area over the whole width.

    The area is between 0 and 1 for an accuracy, and NaN where a value is missing.
    """
    ordered = history.sort_values(["replica_id", "epoch"], kind="stable")
    groups = ordered.groupby("replica_id", sort=False)
    width = groups["examples"].diff()
    height = (ordered[value] + groups[value].shift()) / 2
    parts = pd.DataFrame({"replica_id": ordered["replica_id"], "area": height * width, "width": width})
    sums = parts[width.notna()].groupby("replica_id")
    areas, widths = sums["area"], sums["width"]
    return (areas.sum() / widths.sum()).where(areas.count() == widths.count())


def late_deviation(history: pd.DataFrame, value: str = "validation_accuracy") -> pd.Series:
    """Compute each replica's standard deviation over the last quarter of its evaluated epochs (three at least).

    NaN where fewer than three were evaluated after epoch 0, or a value is missing. A run that still learns varies, too.
    """
    ordered = history[history["epoch"] > 0].sort_values(["replica_id", "epoch"], kind="stable")
    groups = ordered.groupby("replica_id")[value]
    sizes = groups.transform("size")
    wanted = np.maximum(np.ceil(LATE * sizes), FEWEST_LATE)
    late = ordered[groups.cumcount(ascending=False) < wanted].groupby("replica_id")[value]
    complete = (late.count() == late.size()) & (late.size() >= FEWEST_LATE)
    return late.std(ddof=1).where(complete)


def jumps_and_spikes(history: pd.DataFrame, value: str = "train_loss") -> pd.DataFrame:
    """Compute each replica's `largest_jump` of a loss and its number of `spikes`.

    The largest jump is the largest rise from one evaluated epoch to the next; 0 where the loss only falls. A spike is a rise
    above 1.5 times the lowest value before, and by 1% of the first. A spike counts once, however long it lasts. Both are NaN
    where a value is missing or there is only one epoch.
    """
    ordered = history[history["epoch"] > 0].sort_values(["replica_id", "epoch"], kind="stable")
    curves = ordered.groupby("replica_id")[value]
    figures = {replica: _jumps_and_spikes(losses.to_numpy(float)) for replica, losses in curves}
    return pd.DataFrame.from_dict(figures, orient="index", columns=["largest_jump", "spikes"])


def _jumps_and_spikes(losses: np.ndarray) -> tuple[float, float]:
    if losses.size < 2 or not np.isfinite(losses).all():
        return np.nan, np.nan
    jump = max(0.0, float(np.diff(losses).max()))
    lowest = np.minimum.accumulate(losses)[:-1]
    high = losses[1:] > np.maximum(SPIKE * lowest, lowest + SPIKE_FLOOR * abs(losses[0]))
    begun = high & ~np.concatenate([[False], high[:-1]])
    return jump, float(begun.sum())


def seconds_per_step(replicas: pd.DataFrame, timing: pd.DataFrame) -> pd.Series:
    """Compute for each row of `replicas` its program's wall seconds over the program's replicas and their steps.

    Evaluation is included. Replicas train side by side: a single run would take another time. NaN where the program is
    unknown.
    """
    if "program" not in replicas or timing.empty:
        return pd.Series(np.nan, index=replicas.index)
    work = timing.assign(work=timing["replicas"] * timing["steps"])
    sums = work.groupby(["experiment", "program"])[["wall_seconds", "work"]].sum()
    seconds = (sums["wall_seconds"] / sums["work"]).rename("seconds")
    joined = replicas[["experiment", "program"]].join(seconds, on=["experiment", "program"])
    return joined["seconds"].astype(float)
