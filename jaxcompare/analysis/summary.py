"""A row for each variant: every final figure over its seeds, with counts of failures; and bands along a curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxcompare.analysis.curves import STABILITY
from jaxcompare.analysis.design import factors
from jaxcompare.analysis.estimates import interquartile_mean, mean_interval, median, t_quantile
from jaxcompare.analysis.gradients import with_layers
from jaxcompare.analysis.runs import AREA, FIGURES, STEPS, finals


def summarise(
    replicas: pd.DataFrame,
    history: pd.DataFrame,
    targets: Mapping[str, float | None] | None = None,
    *,
    layers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compute the table `summary`: each variant's final figures over its seeds.

    Args:
        replicas: the table `replicas`.
        history: the table `history`.
        targets: the validation accuracy to reach, for each experiment that has a target.
        layers: the table `layers`; it adds the columns of `summarise_layers`.

    Returns:
        A row for each variant: its factors; `n` and the numbers of runs that diverged, were stuck, and failed; the mean,
        95% interval, median and interquartile mean of each of `FIGURES` and of the area under the curve. Steps to the target
        and stability have medians only; a median that falls on a miss is infinite. `reached` counts the runs of `n` that
        reached the target, and is NaN without a target. Failed runs are ranked last and never dropped.
    """
    kept = ["variant_id", "experiment", "study", "label", "dataset"]
    kept += [name for name in ("compared", "tuned", "fixed", "confirms") if name in replicas]
    kept += [name for name in factors(replicas) if name not in kept]
    rows = []
    for _, runs in finals(replicas, history, targets).groupby("variant_id", sort=False):
        row: dict[Any, Any] = runs.iloc[0][kept].to_dict() | {
            "n": len(runs),
            "n_diverged": int(runs["diverged"].sum()),
            "n_stuck": int(runs["stuck"].sum()),
            "n_failed": int((runs["diverged"] | runs["stuck"]).sum()),
        }
        for name in (*FIGURES, AREA):
            row |= _figure(name, runs[name].to_numpy())
        row |= {f"{name}_median": float(np.median(runs[name])) for name in STEPS}
        row["reached"] = int(np.isfinite(runs[STEPS[0]]).sum()) if runs[STEPS[0]].notna().all() else np.nan
        row |= {f"{name}_median": median(runs[name].to_numpy(), np.inf) for name in STABILITY}
        rows.append(row)
    return with_layers(pd.DataFrame(rows), replicas, layers)


def _figure(name: str, values: np.ndarray) -> dict[str, float]:
    worst = np.inf if name.endswith("loss") else -np.inf
    interval = {f"{name}_{part}": value for part, value in mean_interval(values)._asdict().items()}
    return interval | {f"{name}_median": median(values, worst), f"{name}_iqm": interquartile_mean(values, worst)}


def bands(
    table: pd.DataFrame,
    replicas: pd.DataFrame,
    by: str = "variant_id",
    value: str = "validation_accuracy",
    along: tuple[str, ...] = ("epoch",),
) -> pd.DataFrame:
    """Compute over seeds, for each `by` and `along`: mean, low, high (95%, t), median, least, greatest, n, n_finite.

    Every figure except for the counts is NaN where a single replica has no finite value.
    """
    sizes = replicas.groupby(by, dropna=False).size()
    joined = table[["replica_id", *along, value]].merge(replicas[["replica_id", by]].drop_duplicates(), on="replica_id")
    joined[value] = joined[value].astype(float).replace([np.inf, -np.inf], np.nan)
    band = joined.groupby([by, *along])[value].agg(["mean", "std", "median", "min", "max", "count"]).reset_index()
    band = band.rename(columns={"min": "least", "max": "greatest", "count": "n_finite"})
    band["n"] = band[by].map(sizes)
    half = band["n"].map(t_quantile) * band.pop("std") / np.sqrt(band["n"])
    band["low"], band["high"] = band["mean"] - half, band["mean"] + half
    drawn = ["mean", "low", "high", "median", "least", "greatest"]
    band[drawn] = band[drawn].where(band["n_finite"] == band["n"])
    return band[[by, *along, *drawn, "n", "n_finite"]]
