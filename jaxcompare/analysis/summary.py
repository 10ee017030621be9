"""A row a variant: every final figure over its seeds, with counts of what failed; and bands along a curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxcompare.analysis.curves import STABILITY
from jaxcompare.analysis.design import factors
from jaxcompare.analysis.estimates import interquartile_mean, mean_interval, median, t_quantile
from jaxcompare.analysis.gradients import summarise_layers
from jaxcompare.analysis.runs import AREA, FIGURES, STEPS, finals


def summarise(
    replicas: pd.DataFrame,
    history: pd.DataFrame,
    targets: Mapping[str, float | None] | None = None,
    *,
    layers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table `summary`: a row a variant, with mean, interval, median and interquartile mean of each final figure.

    Over its seeds; failed runs are ranked last and never dropped. Of the way to the target there are medians only (infinite
    when they fall on a miss) and `reached`, of `n`; of the stability medians, too. With `layers` the columns of
    `summarise_layers` stand beside them.
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
    found = pd.DataFrame(rows)
    if layers is None or layers.empty:
        return found
    return found.merge(summarise_layers(replicas, layers), on="variant_id", how="left")


def _figure(name: str, values: np.ndarray) -> dict[str, float]:
    worst = np.inf if name.endswith("loss") else -np.inf
    found = {f"{name}_{part}": value for part, value in mean_interval(values)._asdict().items()}
    return found | {f"{name}_median": median(values, worst), f"{name}_iqm": interquartile_mean(values, worst)}


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
