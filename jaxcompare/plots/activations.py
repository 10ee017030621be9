"""What happens inside: distributions of activations and dead units (comparison B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say

# leaky_relu stands beside relu because it cannot die: what it shows is chance.
DYING = ("relu", "leaky_relu")


def pool(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, float]:
    """Histograms of one layer put together: edges [bins + 1], shares of all values [bins], share outside the range.

    Histograms of different ranges are laid, bin by bin, on the widest range.
    """
    bins = max(len(counts) for counts in rows["counts"])
    edges = np.linspace(rows["low"].min(), rows["high"].max(), bins + 1)
    total = np.zeros(bins)
    for low, high, counts in zip(rows["low"], rows["high"], rows["counts"], strict=True):
        centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
        total += np.histogram(centres, bins=edges, weights=np.asarray(counts, float))[0]
    outside = float(rows["below"].sum() + rows["above"].sum())
    whole = max(total.sum() + outside, 1.0)
    return edges, total / whole, outside / whole


@style.styled
def activation_distributions(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Activations of every hidden layer (columns) and level (rows) at its best rate, first and last snapshot."""
    summary = analysis.rows_of(tables["summary"], comparison)
    chosen = analysis.best_rates(summary, comparison.factor, comparison.apart).reset_index(drop=True)
    found = tables["histograms"]
    found = found[found["kind"] == "activation"].merge(tables["replicas"][["replica_id", "variant_id"]])
    found = found[found["variant_id"].isin(chosen["variant_id"])]
    layers = sorted(found["layer"].unique(), key=lambda name: (len(name), name))
    title = say("picture.distributions", dataset=level(comparison.dataset))
    figure, axes = style.sheet(
        len(chosen) * len(layers), title, say("picture.distributions_note"), len(layers), (3.1, 2.3)
    )
    grid = np.array(axes, dtype=object).reshape(len(chosen), len(layers))
    for row, (_, variant) in zip(grid, chosen.iterrows(), strict=True):
        mine = found[found["variant_id"] == variant["variant_id"]]
        for ax, layer in zip(row, layers, strict=True):
            _distribution(ax, mine[mine["layer"] == layer], variant, comparison, layer)
        _same_range(list(row))
    first, last = found["epoch"].min(), found["epoch"].max()
    entries: list[Any] = [Line2D([], [], color=style.INK, label=say("key.epoch_first", epoch=first))]
    for _, variant in chosen.iterrows():
        name = say("picture.at_rate", name=panels.cell_name(variant, comparison), rate=variant["learning_rate"])
        text = say("key.epoch_last", epoch=last, name=f"{name} ({panels.failures(variant)})")
        entries.append(Patch(color=style.colour_of(variant[comparison.factor]), alpha=0.5, label=text))
    style.legend_below(figure, entries, columns=2)
    return figure


def _distribution(ax: Axes, rows: pd.DataFrame, variant: pd.Series, comparison: Comparison, layer: str) -> None:
    """One layer of one variant: the first snapshot as an outline, the last one filled."""
    texts = []
    for epoch, kind in ((rows["epoch"].min(), "first"), (rows["epoch"].max(), "last")):
        # A replica that diverged has no activations to count, so its variant has no pooled distribution at the end.
        if kind == "last" and variant["n_diverged"]:
            texts.append(say("failed.diverged", k=variant["n_diverged"], n=variant["n"]))
            continue
        edges, shares, outside = pool(rows[rows["epoch"] == epoch])
        colour = style.INK if kind == "first" else style.colour_of(variant[comparison.factor])
        ax.stairs(shares, edges, fill=kind == "last", color=colour, alpha=0.5 if kind == "last" else 1.0)
        if outside >= 5e-4:
            texts.append(say(f"key.outside_{kind}", share=outside))
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.text(0.97, 0.96, "\n".join(texts), transform=ax.transAxes, ha="right", va="top", fontsize=7.5)
    ax.set_xlabel(say("axis.activation"))
    ax.set_ylabel(say("axis.share"))
    ax.set_title(f"{panels.cell_name(variant, comparison)}, {level(layer)}")


def _same_range(row: Sequence[Axes]) -> None:
    """One range of values and of shares for all layers of a level, so that shrinking shows."""
    boxes = [ax.dataLim for ax in row]
    drawn = [patch for ax in row for patch in ax.patches]
    used = [edge for patch in drawn for edge in _used(patch)]
    low, high = (min(used), max(used)) if used else (0.0, 1.0)
    top = max(box.y1 for box in boxes)
    for ax in row:
        ax.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        ax.set_ylim(1e-5, max(top, 1e-4) * 12)


def _used(patch: Any) -> list[float]:
    """The ends of the bins that hold anything."""
    data = patch.get_data()
    full = np.flatnonzero(data.values > 0)
    return [float(data.edges[full[0]]), float(data.edges[full[-1] + 1])] if full.size else []


@style.styled
def dead_heatmap(tables: panels.Tables, comparison: Comparison) -> Figure:
    """The share of dead units: layer by learning rate after the last epoch, and over the epochs, for each level."""
    summary = analysis.rows_of(tables["summary"], comparison).sort_values("learning_rate")
    shown = [name for name in DYING if name in set(summary[comparison.factor])]
    title = say("picture.dead", dataset=level(comparison.dataset))
    figure, axes = style.sheet(2 * len(shown), title, say("picture.dead_note"), len(shown), (5.0, 3.1))
    hidden = tables["layers"].dropna(subset=["dead_fraction"])
    means = hidden.groupby(["replica_id", "epoch"])["dead_fraction"].mean().reset_index()
    colours = style.colours_of_rates(sorted(summary["learning_rate"].unique()))
    images = []
    for name, above, below in zip(shown, axes, axes[len(shown) :], strict=False):
        cells = summary[summary[comparison.factor] == name]
        images.append(_heatmap(above, tables, cells, name))
        lines = []
        for _, row in cells.iterrows():
            text = say("key.rate_n", rate=row["learning_rate"], n=row["n"])
            lines.append(panels.Line(row["variant_id"], text, colours[row["learning_rate"]]))
        panels.over_epochs(below, tables, lines, "dead_fraction", means)
        style.label(below, "axis.epoch", "axis.dead_mean")
        below.set_title(say("panel.dead_epochs", name=level(name)))
        below.set_ylim(-0.02, 1.02)
    figure.colorbar(images[0], ax=axes[: len(shown)], pad=0.02).set_label(say("axis.dead"))
    style.legend_below(figure, panels.handles(lines), columns=4)
    return figure


def _heatmap(ax: Axes, tables: panels.Tables, cells: pd.DataFrame, name: str) -> Any:
    """Layer by rate, the value written in each cell; a variant with a diverged run has no mean and says so."""
    replicas = tables["replicas"][tables["replicas"]["variant_id"].isin(cells["variant_id"])]
    hidden = tables["layers"][tables["layers"]["layer"] != "output"]
    hidden = hidden[hidden["replica_id"].isin(replicas["replica_id"])]
    last = hidden[hidden["epoch"] == hidden["epoch"].max()]
    found = analysis.bands(last, replicas, value="dead_fraction", along=("layer",))
    order = last.drop_duplicates("layer").sort_values("layer_index")["layer"].tolist()
    cells = cells.drop_duplicates("learning_rate")
    table = found.pivot(index="layer", columns="variant_id", values="mean").reindex(order, columns=cells["variant_id"])
    values = table.to_numpy(float)
    ax.grid(False)
    ax.set_facecolor(style.PALE)
    image = ax.imshow(values, cmap=style.SHARE, vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        gone = say("key.cell_diverged", k=cells["n_diverged"].iloc[x], n=cells["n"].iloc[x])
        text = f"{value:.2f}" if np.isfinite(value) else gone
        size = 8 if len(cells) < 5 else 6.5
        ax.text(x, y, text, ha="center", va="center", fontsize=size, color="white" if value > 0.5 else "black")
    ax.set_xticks(range(len(cells)), [f"{rate:g}" for rate in cells["learning_rate"]])
    ax.set_yticks(range(len(order)), [level(layer) for layer in order])
    style.label(ax, "axis.learning_rate", "axis.layer")
    ax.set_title(say("panel.dead_layers", name=level(name), n=cells["n"].max()))
    return image
