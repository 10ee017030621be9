"""Heat maps: accuracy over two factors, gradient norms over layers and epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say, spoken

MOST_TICKS = 8
NORMS_WIDTH, LETTER = 3.0, 0.062  # inches: of the cells of a panel of gradient norms, and of a letter in one
SHOWN = 0.1  # below the best accuracy: all that is worse has one colour, so that differences among the good ones show
PALEST = 0.6  # where the colours are light enough for dark letters, as a share of their range


@style.styled
def rate_map(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw final test accuracy by learning rate and other factors (the schedule), with a frame on each level's best cell.

    A variant with a diverged run has no mean: its cell has the number of such runs.
    """
    summary = analysis.rows_of(tables["summary"], comparison)
    found = analysis.cells(summary, (comparison.factor,))[: panels.MOST_CELLS]
    best = set(analysis.best_rates(summary, comparison.factor)["variant_id"])
    top = summary["test_accuracy_mean"].max()
    norm = Normalize(max(summary["test_accuracy_mean"].min(), top - SHOWN), top)
    factors = ", ".join(spoken().factor(name) for name in comparison.apart)
    title = say("picture.rate_map", factors=factors, dataset=level(comparison.dataset))
    rows = summary[list(comparison.apart)].drop_duplicates()
    size = (4.2, 1.3 + 0.55 * len(rows))
    figure, axes = style.sheet(len(found), title, say("picture.rate_map_note"), min(3, len(found)), size)
    for ax, cells in zip(axes, found, strict=True):
        _accuracy_map(ax, cells, rows, comparison, best, norm)
    image: Any = axes[0].images[0]
    extend = "min" if summary["test_accuracy_mean"].min() < norm.vmin else "neither"  # type: ignore[operator]
    figure.colorbar(image, ax=axes, pad=0.02, extend=extend).set_label(say("axis.test_accuracy"))
    return figure


def _accuracy_map(
    ax: Axes, cells: pd.DataFrame, rows: pd.DataFrame, comparison: Comparison, best: set[str], norm: Normalize
) -> None:
    """Draw one level: rates from left to right, a row per value of the other factors, the accuracy in each cell."""
    rates = sorted(cells["learning_rate"].unique())
    names = [", ".join(level(row[key], key) for key in comparison.apart) for _, row in rows.iterrows()]
    keys = [tuple(map(analysis.level_of, row)) for row in rows.itertuples(index=False)]
    values = np.full((len(keys), len(rates)), np.nan)
    style.image_panel(ax)
    for _, row in cells.iterrows():
        y, x = keys.index(tuple(map(analysis.level_of, row[list(comparison.apart)]))), rates.index(row["learning_rate"])
        values[y, x] = mean = row["test_accuracy_mean"]
        text = f"{mean:.3f}" if np.isfinite(mean) else say("key.cell_diverged", k=row["n_diverged"], n=row["n"])
        if np.isfinite(mean) and row["n_stuck"]:
            text += "\n" + say("key.cell_stuck", k=row["n_stuck"], n=row["n"])
        dark = np.isfinite(mean) and norm(mean) < PALEST
        style.write_cell(ax, x, y, text, 7.5, dark=dark)
        if row["variant_id"] in best:
            frame = Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=style.INK, linewidth=2.2)
            ax.add_patch(frame)
    ax.imshow(values, cmap="viridis", norm=norm, aspect="auto")
    ax.set_xticks(range(len(rates)), [level(rate) for rate in rates])
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel(say("axis.learning_rate"))
    ax.set_ylabel(", ".join(spoken().factor(key) for key in comparison.apart))
    name = level(cells[comparison.factor].iloc[0], comparison.factor)
    ax.set_title(say("panel.n", name=name, n=cells["n"].max()))


@style.styled
def gradient_norms(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw the median gradient norm over seeds by layer and epoch: a panel per level at its best rate, one scale for all.

    A cell is grey where a run is not finite.
    """
    chosen = panels.chosen(tables, comparison)
    replicas = tables["replicas"][tables["replicas"]["variant_id"].isin(chosen["variant_id"])]
    layers = tables["layers"][tables["layers"]["replica_id"].isin(replicas["replica_id"])]
    found = analysis.bands(layers, replicas, value="gradient_norm", along=("layer_index", "epoch"))
    norms = found["median"].to_numpy(float)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    scale = LogNorm(norms.min(), norms.max()) if norms.size and norms.min() < norms.max() else None
    title = say("picture.gradients", dataset=level(comparison.dataset))
    names = panels.layer_names(layers)
    size = (4.2, 1.4 + 0.3 * len(names))
    columns = min(3, len(chosen))
    figure, axes = style.sheet(len(chosen), title, say("picture.gradients_note"), columns, size)
    for ax, (_, row) in zip(axes, chosen.iterrows(), strict=True):
        mine = found[found["variant_id"] == row["variant_id"]]
        table = mine.pivot(index="layer_index", columns="epoch", values="median")
        style.image_panel(ax)
        shown = table.where(table > 0).to_numpy(float)  # a logarithmic scale has no zero
        image = ax.imshow(shown, cmap="magma", norm=scale, aspect="auto", interpolation="nearest")
        _write_norms(ax, shown, scale)
        picked = style.spaced(range(len(table.columns)), MOST_TICKS)
        ax.set_xticks(picked, [str(table.columns[index]) for index in picked])
        ax.set_yticks(range(len(names)), [level(name) for name in names])
        style.label(ax, "axis.epoch", "axis.layer")
        ax.set_title(f"{panels.at_rate(row, comparison)} ({panels.failures(row)})", fontsize=9)
    figure.colorbar(image, ax=axes, pad=0.02).set_label(say("axis.gradient_norm"))
    return figure


def _write_norms(ax: Axes, norms: np.ndarray, scale: LogNorm | None) -> None:
    """Write each norm [L, E] in its cell, where all have room: many epochs leave none."""
    texts = {place: f"{value:.2g}" for place, value in np.ndenumerate(norms) if np.isfinite(value)}
    widest = max((len(text) for text in texts.values()), default=0)
    if widest * LETTER > NORMS_WIDTH / max(norms.shape[1], 1):
        return
    for (y, x), text in texts.items():
        dark = scale is None or float(scale(norms[y, x])) < PALEST
        style.write_cell(ax, x, y, text, 6.5, dark=dark)
