"""Gradient flow and dead units: the table `layers` in, a row a replica and epoch, or a row a variant, out."""

from __future__ import annotations

import numpy as np
import pandas as pd

VANISHED = 1e-3  # a layer's gradient norm over that of the last layer: below it the gradient has vanished
EXPLODED = 1e3  # the first layer's norm over the last one's, or a layer's over what it was before the first step

LAYER_FIGURES = (
    *("gradient_ratio_initial", "gradient_ratio_final", "gradient_growth"),
    *("dead_fraction_initial", "dead_fraction_final"),
)
LAYER_NAMES = ("vanished_layer_initial", "vanished_layer_final")


def gradient_ratio(layers: pd.DataFrame) -> pd.DataFrame:
    """For each replica and epoch `gradient_ratio`: the gradient's norm in the first layer over that in the last."""
    ends = layers.sort_values("layer_index").groupby(["replica_id", "epoch"])["gradient_norm"].agg(["first", "last"])
    ratio = (ends["first"] / ends["last"]).replace([np.inf, -np.inf], np.nan)
    return ratio.rename("gradient_ratio").reset_index()


def gradient_flow(layers: pd.DataFrame, replicas: pd.DataFrame) -> pd.DataFrame:
    """For each variant, epoch and layer `norm` and `of_last`: the gradient's norm, and that over the last layer's.

    Medians over seeds; NaN where a replica's is not finite.
    """
    rows = layers[["replica_id", "epoch", "layer", "layer_index", "gradient_norm"]]
    rows = rows.merge(replicas[["replica_id", "variant_id"]], on="replica_id")
    last = rows.sort_values("layer_index").groupby(["replica_id", "epoch"])["gradient_norm"].transform("last")
    rows = rows.assign(of_last=(rows["gradient_norm"] / last).replace([np.inf, -np.inf], np.nan))
    groups = rows.groupby(["variant_id", "epoch", "layer_index", "layer"], sort=False)
    found = groups[["gradient_norm", "of_last"]].median()
    found = found.where(groups[["gradient_norm", "of_last"]].count().eq(groups.size(), axis=0))
    return found.rename(columns={"gradient_norm": "norm"}).reset_index()


def vanished_layer(flow: pd.DataFrame, threshold: float = VANISHED) -> pd.DataFrame:
    """For each variant and epoch of `gradient_flow` the `layer` at which gradients vanish, on their way from the last.

    It is the first one met, going backwards, whose norm is below `threshold` times the last layer's; none: no row.
    """
    gone = flow[flow["of_last"] < threshold].sort_values("layer_index")
    return gone.groupby(["variant_id", "epoch"])[["layer", "layer_index", "of_last"]].last().reset_index()


def gradient_growth(layers: pd.DataFrame) -> pd.Series:
    """Of each replica the largest factor by which a layer's gradient norm grew over what it was before the first step.

    NaN where a norm was zero then, or is not finite at any measured epoch.
    """
    norms = layers.pivot_table(
        index="replica_id", columns=["layer_index", "epoch"], values="gradient_norm", dropna=False
    )
    start = norms.T.groupby("layer_index").transform("first").T
    complete = layers.groupby("replica_id")["gradient_norm"].agg(lambda values: np.isfinite(values).all())
    growth = (norms / start).replace([np.inf, -np.inf], np.nan).max(axis=1)
    return growth.where(complete.reindex(growth.index).astype(bool))


def summarise_layers(replicas: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """A row a variant: `gradient_ratio_initial`, `gradient_ratio_final`, `gradient_growth` (medians),
    `dead_fraction_initial`, `dead_fraction_final` (means), `vanished_layer_initial`, `vanished_layer_final` (names).

    Over seeds; NaN where a replica's figure is not finite, and no name where gradients do not vanish. The dead share is over
    hidden layers of equal weight.
    """
    ratio = gradient_ratio(layers).groupby("replica_id")["gradient_ratio"]
    dead = layers.groupby(["replica_id", "epoch"])["dead_fraction"].mean().groupby("replica_id")
    runs = pd.DataFrame(
        {
            "gradient_ratio_initial": ratio.agg(lambda values: values.iloc[0]),
            "gradient_ratio_final": ratio.agg(lambda values: values.iloc[-1]),
            "gradient_growth": gradient_growth(layers),
            "dead_fraction_initial": dead.agg(lambda values: values.iloc[0]),
            "dead_fraction_final": dead.agg(lambda values: values.iloc[-1]),
        }
    ).reindex(replicas["replica_id"])
    groups = runs.groupby(replicas["variant_id"].to_numpy(), sort=False)
    found = groups.median()
    for name in ("dead_fraction_initial", "dead_fraction_final"):
        found[name] = groups[name].mean()
    complete = groups.count().eq(groups.size(), axis=0)
    found = found.where(complete).rename_axis("variant_id").reset_index()
    gone = vanished_layer(gradient_flow(layers, replicas)).set_index(["variant_id", "epoch"])["layer"]
    epochs = layers.merge(replicas[["replica_id", "variant_id"]], on="replica_id").groupby("variant_id")["epoch"]
    for name, epoch in (("vanished_layer_initial", epochs.min()), ("vanished_layer_final", epochs.max())):
        keys = pd.MultiIndex.from_arrays([found["variant_id"], found["variant_id"].map(epoch)])
        found[name] = gone.reindex(keys).to_numpy(object)
    return found
