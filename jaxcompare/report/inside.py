"""Figures of each replica from inside its network, at its first and last measured epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd

INSIDE = (
    *("first_initial", "last_initial", "first_final", "last_final"),
    *("dead_first", "dead_last", "underflow", "saturated"),
)


def inside(layers: pd.DataFrame) -> pd.DataFrame:
    """Return figures of each replica from inside its network.

    The gradient's norm in the first and last layer and the share of dead units are of the first and last measured epoch.
    The shares of gradients that underflow and of saturated activations are of the last.
    """
    ordered = layers.sort_values(["replica_id", "epoch", "layer_index"])
    epochs = ordered.groupby("replica_id")["epoch"]
    ends = {
        "initial": ordered["epoch"] == epochs.transform("min"),
        "final": ordered["epoch"] == epochs.transform("max"),
    }
    found = {}
    for when, keep in ends.items():
        norms = ordered[keep].groupby("replica_id")["gradient_norm"]
        found[f"first_{when}"], found[f"last_{when}"] = norms.agg(lambda v: v.iloc[0]), norms.agg(lambda v: v.iloc[-1])
    columns = {"dead_first": ("dead_fraction", "initial"), "dead_last": ("dead_fraction", "final")}
    columns |= {"underflow": ("gradient_underflow", "final"), "saturated": ("saturated_fraction", "final")}
    for name, (column, when) in columns.items():
        if column in ordered:
            found[name] = ordered[ends[when]].groupby("replica_id")[column].mean()
    return pd.DataFrame(found).replace([np.inf, -np.inf], np.nan)
