"""Gradient flow and dead units: the table `layers` in; a row for each replica and epoch, or for each variant, out."""

from __future__ import annotations

import numpy as np
import pandas as pd

VANISHED = 1e-3  # a layer's gradient norm over that of the last layer: below it the gradient has vanished
EXPLODED = 1e3  # the first layer's norm over the last layer's, or a layer's norm over its value before the first step

LAYER_FIGURES = (
    *("gradient_ratio_initial", "gradient_ratio_final", "gradient_growth"),
    *("dead_fraction_initial", "dead_fraction_final"),
)
LAYER_NAMES = ("vanished_layer_initial", "vanished_layer_final")


def gradient_ratio(layers: pd.DataFrame) -> pd.DataFrame:
    """Compute for each replica and epoch `gradient_ratio`: the first layer's gradient norm over the last layer's."""
    norms = _finite_norms(layers).sort_values("layer_index").groupby(["replica_id", "epoch"])["gradient_norm"]
    ratio = _finite(norms.first(skipna=False) / norms.last(skipna=False))
    return ratio.rename("gradient_ratio").reset_index()


def _finite_norms(layers: pd.DataFrame) -> pd.DataFrame:
    """Return `layers` with NaN for norms that are not finite: a finite norm over an infinite norm is no ratio of 0."""
    return layers.assign(gradient_norm=_finite(layers["gradient_norm"]))


def _finite(values: pd.Series) -> pd.Series:
    return values.where(np.isfinite(values))


def gradient_flow(layers: pd.DataFrame, replicas: pd.DataFrame) -> pd.DataFrame:
    """Compute for each variant, epoch and layer the gradient's `norm`, and `of_last`, the norm over the last layer's.

    Medians over seeds; NaN where a replica's is not finite.
    """
    rows = _finite_norms(layers)[["replica_id", "epoch", "layer", "layer_index", "gradient_norm"]]
    rows = rows.merge(replicas[["replica_id", "variant_id"]], on="replica_id")
    ends = rows.sort_values("layer_index").groupby(["replica_id", "epoch"])["gradient_norm"]
    rows = rows.assign(of_last=_finite(rows["gradient_norm"] / ends.transform("last", skipna=False)))
    groups = rows.groupby(["variant_id", "epoch", "layer_index", "layer"], sort=False)
    norms = groups[["gradient_norm", "of_last"]]
    flow = norms.median().where(norms.count().eq(groups.size(), axis=0))
    return flow.rename(columns={"gradient_norm": "norm"}).reset_index()


def vanished_layer(flow: pd.DataFrame, threshold: float = VANISHED) -> pd.DataFrame:
    """Return for each variant and epoch of `gradient_flow` the `layer` at which gradients vanish, going back from the last.

    That layer is the first, going back, whose norm is below `threshold` times the last layer's. Without one there is no row.
    """
    gone = flow[flow["of_last"] < threshold].sort_values("layer_index")
    return gone.groupby(["variant_id", "epoch"])[["layer", "layer_index", "of_last"]].last().reset_index()


def gradient_growth(layers: pd.DataFrame) -> pd.Series:
    """Compute each replica's largest growth of a layer's gradient norm, as a factor of its value before the first step.

    NaN where that value is zero, or a norm is not finite at any measured epoch.
    """
    norms = layers.pivot_table(
        index="replica_id", columns=["layer_index", "epoch"], values="gradient_norm", dropna=False
    )
    start = norms.T.groupby("layer_index").transform("first").T
    complete = layers.groupby("replica_id")["gradient_norm"].agg(lambda values: np.isfinite(values).all())
    growth = (norms / start).replace([np.inf, -np.inf], np.nan).max(axis=1)
    return growth.where(complete.reindex(growth.index).astype(bool))


def summarise_layers(replicas: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Compute each variant's gradient flow and dead units, before the first step (initial) and after the last epoch (final).

    Returns:
        A row for each variant: `LAYER_FIGURES` over seeds, medians of gradients and means of dead shares; and `LAYER_NAMES`,
        the layers at which gradients vanish. A figure is NaN where a replica's is not finite; a name is missing where
        gradients do not vanish. A dead share is the mean over hidden layers, of equal weight.
    """
    ratio = gradient_ratio(layers).groupby("replica_id")["gradient_ratio"]
    dead = layers.groupby(["replica_id", "epoch"])["dead_fraction"].mean().groupby("replica_id")
    runs = {"gradient_growth": gradient_growth(layers)}
    for name, measured in (("gradient_ratio", ratio), ("dead_fraction", dead)):
        runs[f"{name}_initial"] = measured.agg(lambda values: values.iloc[0])
        runs[f"{name}_final"] = measured.agg(lambda values: values.iloc[-1])
    figures = pd.DataFrame(runs, columns=list(LAYER_FIGURES)).reindex(replicas["replica_id"])
    groups = figures.groupby(replicas["variant_id"].to_numpy(), sort=False)
    table = groups.agg({name: "mean" if name.startswith("dead") else "median" for name in LAYER_FIGURES})
    table = table.where(groups.count().eq(groups.size(), axis=0)).rename_axis("variant_id").reset_index()
    gone = vanished_layer(gradient_flow(layers, replicas)).set_index(["variant_id", "epoch"])["layer"]
    epochs = layers.merge(replicas[["replica_id", "variant_id"]], on="replica_id").groupby("variant_id")["epoch"]
    for name, epoch in zip(LAYER_NAMES, (epochs.min(), epochs.max()), strict=True):
        keys = pd.MultiIndex.from_arrays([table["variant_id"], table["variant_id"].map(epoch)])
        table[name] = gone.reindex(keys).to_numpy(object)
    return table


def with_layers(summary: pd.DataFrame, replicas: pd.DataFrame, layers: pd.DataFrame | None) -> pd.DataFrame:
    """Add the columns of `summarise_layers` that a summary lacks; none where no layers were measured."""
    missing = [name for name in (*LAYER_FIGURES, *LAYER_NAMES) if name not in summary]
    if layers is None or layers.empty or not missing:
        return summary
    return summary.merge(summarise_layers(replicas, layers)[["variant_id", *missing]], on="variant_id", how="left")
