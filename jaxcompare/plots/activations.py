"""Distributions of activations, and dead units by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, StepPatch
from matplotlib.ticker import NullLocator

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say, value_of

# leaky_relu is drawn beside relu because its units cannot die: its share shows chance.
DYING = ("relu", "leaky_relu")
MOST_COLUMNS = 3  # of cells side by side


def pool(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, float]:
    """Pool the histograms of one layer: edges [bins + 1], shares of all values [bins], share outside the range.

    Histograms of different ranges are added, bin by bin, to the widest range.
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
    """Draw activations of every hidden layer (columns) and level (rows) at its best rate, first and last snapshot."""
    chosen = panels.chosen(tables, comparison)
    found = tables["histograms"]
    found = found[found["kind"] == "activation"].merge(tables["replicas"][["replica_id", "variant_id"]])
    found = found[found["variant_id"].isin(chosen["variant_id"])]
    layers = sorted(found["layer"].unique(), key=lambda name: (len(name), name))
    title, note = say("picture.distributions", dataset=level(comparison.dataset)), say("picture.distributions_note")
    figure, axes = style.sheet(len(chosen) * len(layers), title, note, len(layers), (3.1, 2.3))
    grid = np.array(axes, dtype=object).reshape(len(chosen), len(layers))
    colours = style.colours_of(map(analysis.level_of, chosen[comparison.factor]))
    for row, (_, variant) in zip(grid, chosen.iterrows(), strict=True):
        colour = colours[analysis.level_of(variant[comparison.factor])]
        mine = found[found["variant_id"] == variant["variant_id"]]
        for ax, layer in zip(row, layers, strict=True):
            _distribution(ax, mine[mine["layer"] == layer], variant, colour)
            ax.set_title(f"{panels.cell_name(variant, comparison)}, {level(layer)}")
        _same_range(list(row))
    first, last = found["epoch"].min(), found.groupby("variant_id")["epoch"].max()
    entries: list[Any] = [style.key(say("key.epoch_first", epoch=first), style.INK)]
    for _, variant in chosen.iterrows():
        name = f"{panels.at_rate(variant, comparison)} ({panels.failures(variant)})"
        text = say("key.epoch_last", epoch=last[variant["variant_id"]], name=name)
        entries.append(Patch(color=colours[analysis.level_of(variant[comparison.factor])], alpha=0.5, label=text))
    style.legend_below(figure, entries, columns=2)
    return figure


def _distribution(ax: Axes, rows: pd.DataFrame, variant: pd.Series, colour: str) -> None:
    """Draw one layer of one variant: the first snapshot as an outline, the last snapshot filled."""
    texts = []
    looks: dict[str, Any] = {"first": {"color": style.INK}, "last": {"fill": True, "color": colour, "alpha": 0.5}}
    for (kind, look), epoch in zip(looks.items(), (rows["epoch"].min(), rows["epoch"].max()), strict=True):
        # A replica that diverged has no activations to count: its variant has no pooled distribution at the end.
        if kind == "last" and variant["n_diverged"]:
            texts.append(say("failed.diverged", k=variant["n_diverged"], n=variant["n"]))
            continue
        edges, shares, outside = pool(rows[rows["epoch"] == epoch])
        ax.stairs(shares, edges, **look)
        if outside >= 5e-4:
            texts.append(say(f"key.outside_{kind}", share=outside))
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.text(0.97, 0.96, "\n".join(texts), transform=ax.transAxes, ha="right", va="top", fontsize=7.5)
    style.label(ax, "axis.activation", "axis.share")


def _same_range(row: Sequence[Axes]) -> None:
    """Set one range of values and of shares for all layers of a level: the layers' widths can be compared."""
    drawn: list[Any] = [cast(StepPatch, patch).get_data() for ax in row for patch in ax.patches]
    full = [(data.edges, np.flatnonzero(data.values > 0)) for data in drawn]
    used = [end for edges, bins in full if bins.size for end in (edges[bins[0]], edges[bins[-1] + 1])]
    low, high = (min(used), max(used)) if used else (0.0, 1.0)
    top = max(ax.dataLim.y1 for ax in row)
    for ax in row:
        ax.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        ax.set_ylim(1e-5, max(top, 1e-4) * 12)


def dying_cells(tables: panels.Tables, comparison: Comparison) -> list[pd.DataFrame]:
    """Return the summary's rows by cell, rates in order, of the cells whose activation is in `DYING`."""
    summary = analysis.rows_of(tables["summary"], comparison)
    if "activation" not in summary:
        return []
    mine = summary[summary["activation"].isin(DYING)].sort_values("learning_rate", kind="stable")
    return analysis.cells(mine, _keys(comparison))[: panels.MOST_CELLS] if len(mine) else []


def _keys(comparison: Comparison) -> tuple[str, ...]:
    return tuple(name for name in (comparison.factor, *comparison.apart) if name != "learning_rate")


@style.styled
def dead_heatmap(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw the share of dead units of each cell: layer by learning rate after the last epoch, and over the epochs."""
    shown = dying_cells(tables, comparison)
    columns = min(MOST_COLUMNS, len(shown))
    blocks = -(-len(shown) // columns)
    title = say("picture.dead", dataset=level(comparison.dataset))
    figure, axes = style.sheet(2 * columns * blocks, title, say("picture.dead_note"), columns, (5.0, 3.1))
    grid = np.array(axes, dtype=object).reshape(blocks, 2, columns)
    above, below = grid[:, 0].ravel(), grid[:, 1].ravel()
    for spare in (*above[len(shown) :], *below[len(shown) :]):
        spare.remove()
    hidden = tables["layers"].dropna(subset=["dead_fraction"])
    means = hidden.groupby(["replica_id", "epoch"])["dead_fraction"].mean().reset_index()
    colours = style.colours_of_rates(sorted({rate for cells in shown for rate in cells["learning_rate"]}))
    images, legend = [], dict[str, panels.Line]()
    for cells, layers, epochs in zip(shown, above, below, strict=False):
        first = cells.iloc[0]
        name = ", ".join(value_of(first[key], key) for key in _keys(comparison)) or level(first["activation"])
        images.append(_heatmap(layers, tables, cells, name))
        runs = cells[["variant_id", "learning_rate", "n"]].itertuples(index=False)
        lines = [panels.Line(variant, say("key.rate_n", rate=rate, n=n), colours[rate]) for variant, rate, n in runs]
        panels.over_epochs(epochs, tables, lines, "dead_fraction", means)
        style.label(epochs, "axis.epoch", "axis.dead_mean")
        epochs.set_title(say("panel.dead_epochs", name=name))
        epochs.set_ylim(-0.02, 1.02)
        legend |= {line.label: line for line in lines}
    figure.colorbar(images[0], ax=list(above[: len(shown)]), pad=0.02).set_label(say("axis.dead"))
    style.legend_below(figure, panels.handles(legend.values()), columns=4)
    return figure


def _heatmap(ax: Axes, tables: panels.Tables, cells: pd.DataFrame, name: str) -> Any:
    """Draw layer by rate with the value in each cell; a variant with a diverged run has no mean and says why."""
    replicas = tables["replicas"][tables["replicas"]["variant_id"].isin(cells["variant_id"])]
    hidden = tables["layers"][tables["layers"]["layer"] != "output"]
    hidden = hidden[hidden["replica_id"].isin(replicas["replica_id"])]
    last = panels.at_end(hidden)
    found = analysis.bands(last, replicas, value="dead_fraction", along=("layer",))
    order = panels.layer_names(last)
    cells = cells.drop_duplicates("learning_rate")
    table = found.pivot(index="layer", columns="variant_id", values="mean").reindex(order, columns=cells["variant_id"])
    values = table.to_numpy(float)
    style.image_panel(ax)
    image = ax.imshow(values, cmap=style.SHARE, vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        gone = say("key.cell_diverged", k=cells["n_diverged"].iloc[x], n=cells["n"].iloc[x])
        text = f"{value:.2f}" if np.isfinite(value) else gone
        size = 8 if len(cells) < 5 else 6.5
        style.write_cell(ax, x, y, text, size, dark=value > 0.5)
    ax.set_xticks(range(len(cells)), [level(rate) for rate in cells["learning_rate"]])
    ax.set_yticks(range(len(order)), [level(layer) for layer in order])
    style.label(ax, "axis.learning_rate", "axis.layer")
    ax.set_title(say("panel.dead_layers", name=name, n=cells["n"].max()))
    return image
