"""Units that die and units that recover: every unit of every seed over the snapshots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say

STATES = ("alive", "dead", "unknown")
COLOURS = ("#F2F2F2", "#D55E00", style.PALE)
ALIVE, DEAD, UNKNOWN = range(3)


def shown_rates(tables: panels.Tables, comparison: Comparison) -> pd.DataFrame:
    """Return the variants drawn of each cell: its best rate, and the rate with the most dead units at the end.

    The second is chosen among variants without a diverged run, whose units are not known. Without measured units there are
    no rows.
    """
    summary = analysis.rows_of(tables["summary"], comparison)
    replicas = tables["replicas"]
    units = tables["units"].merge(replicas[["replica_id", "variant_id"]], on="replica_id")
    units = units[units["variant_id"].isin(summary["variant_id"])]
    if units.empty:
        return summary.iloc[:0]
    last = units[units["epoch"] == units.groupby("variant_id")["epoch"].transform("max")]
    share = last.assign(share=last["dead"].map(lambda dead: dead.count("1") / len(dead)))
    of_variant = share.groupby("variant_id")["share"].mean()
    found: list[pd.Series] = []
    mine = summary[summary["variant_id"].isin(units["variant_id"])]
    for cells in analysis.cells(mine, (comparison.factor, *comparison.apart))[: panels.MOST_CELLS]:
        best = analysis.ranked(cells).iloc[0]
        whole = cells[cells["n_diverged"] == 0]
        worst = whole.iloc[int(np.argmax(whole["variant_id"].map(of_variant)))] if len(whole) else best
        found += [best] if worst["variant_id"] == best["variant_id"] else [best, worst]
    return pd.DataFrame(found)


@style.styled
def dead_units(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw a row of panels per variant and a column per layer; a panel has a line per unit of every seed, sorted by death."""
    rows = shown_rates(tables, comparison)
    replicas, units = tables["replicas"], tables["units"]
    # Only the networks shown: those of another study may be deeper.
    units = units[units["replica_id"].isin(replicas["replica_id"][replicas["variant_id"].isin(rows["variant_id"])])]
    layers = sorted(units["layer"].unique(), key=lambda name: (len(name), name))
    title = say("picture.units", dataset=level(comparison.dataset))
    figure, axes = style.sheet(len(rows) * len(layers), title, say("picture.units_note"), len(layers), (3.0, 2.6))
    for (_, row), line in zip(rows.iterrows(), np.reshape(np.array(axes, object), (len(rows), -1)), strict=True):
        ids = replicas["replica_id"][replicas["variant_id"] == row["variant_id"]].tolist()
        mine = units[units["replica_id"].isin(ids)]
        for ax, layer in zip(line, layers, strict=True):
            _map(ax, mine[mine["layer"] == layer], ids)
            ax.set_title(f"{panels.at_rate(row, comparison)}\n{level(layer)}", fontsize=9)
    entries = [Patch(facecolor=colour, edgecolor=style.INK, linewidth=0.4, label=say(f"key.unit_{state}"))
               for state, colour in zip(STATES, COLOURS, strict=True)]  # fmt: skip
    names = (f"{panels.at_rate(row, comparison)} ({panels.failures(row)})" for _, row in rows.iterrows())
    blank = [Patch(alpha=0, label=text) for text in names]
    style.legend_below(figure, [*entries, *blank])
    return figure


def states(rows: pd.DataFrame, ids: list[str]) -> tuple[np.ndarray, list[int]]:
    """Return the state of every unit of every run over the epochs, [runs * units, epochs], and the epochs.

    Units are sorted by the epoch of their death; a run without a row at an epoch is unknown there.
    """
    epochs = sorted(rows["epoch"].unique())
    width = len(rows["dead"].iloc[0])
    found = np.full((len(ids), width, len(epochs)), UNKNOWN)
    for replica, epoch, dead in rows[["replica_id", "epoch", "dead"]].itertuples(index=False, name=None):
        found[ids.index(replica), :, epochs.index(epoch)] = np.array(list(dead)) == "1"
    flat = found.reshape(-1, len(epochs))
    order = np.lexsort(-flat.T[::-1])  # by the first epoch, then the next
    return flat[order], epochs


def _map(ax: Axes, rows: pd.DataFrame, ids: list[str]) -> None:
    table, epochs = states(rows, ids)
    ax.grid(False)
    ax.imshow(table, cmap=ListedColormap(COLOURS), vmin=0, vmax=2, aspect="auto", interpolation="nearest")
    ax.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    style.label(ax, "axis.epoch", "axis.units")
