"""Batch sizes under several rules for the learning rate: accuracy at equal examples seen, and gradients by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.names import LEARNING_RATE_RULES
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say

RULE = "learning_rate_rule"
BESIDE = 0.25  # of a doubling: how far apart the crosses of the rules stand


@style.styled
def batch_sizes(tables: panels.Tables, comparison: Comparison) -> Figure:
    """For each cell of what else varies: test accuracy against the batch size, and the gradients by layer at the end."""
    keys = groups.keys_of(comparison, "batch_size", RULE)
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    cells = list(dict.fromkeys(rows[groups.CELL]))
    rules = [name for name in LEARNING_RATE_RULES if name in set(rows[RULE])]
    inside = "layers" in tables
    where = say("report.study", dataset=level(comparison.dataset), study=level(comparison.study, "study"))
    note = say("picture.batch_note", n="-".join(str(n) for n in sorted(rows["n"].unique())))
    title = say("picture.batch", where=where)
    figure, axes = style.sheet(len(cells) * (1 + inside), title, note, min(len(cells), 3), (4.6, 3.3))
    sizes = style.colours_of_rates(sorted(rows["batch_size"].unique()))
    dashes = dict(zip(rules, style.DASHES, strict=False))
    for index, cell in enumerate(cells):
        mine = rows[rows[groups.CELL] == cell]
        _accuracy(axes[index], mine, dashes, sizes)
        axes[index].set_title(cell or say("panel.test_accuracy"))
        if inside:
            ax = axes[len(cells) + index]
            lines = [
                panels.Line(row["variant_id"], "", sizes[row["batch_size"]], dashes[row[RULE]])
                for _, row in mine.iterrows()
            ]
            panels.by_layer(ax, tables, lines, last=True, spread=False)
            if cell:
                ax.set_title(say("panel.gradients_cell", cell=cell))
    style.share_log_range(axes[-1], axes[len(cells)]) if inside and len(cells) > 1 else None
    handles: list[Any] = [
        Line2D([], [], color=colour, label=say("key.batch", size=size)) for size, colour in sizes.items()
    ]
    style.legend_below(
        figure, [*panels.keys({level(rule): dash for rule, dash in dashes.items()}), *handles], columns=6
    )
    return figure


def _room_at_the_foot(ax: Axes, rows: pd.DataFrame) -> None:
    """So that no mark or interval stands where failed runs are counted."""
    ends = rows[[f"test_accuracy_{part}" for part in ("mean", "low", "high")]].to_numpy(float)
    if np.isfinite(ends).any():
        low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
        span = max(high - low, 0.01)
        ax.set_ylim(low - 0.25 * span, high + 0.05 * span)


def _accuracy(ax: Axes, rows: pd.DataFrame, dashes: dict[str, Any], sizes: dict[float, Any]) -> None:
    """A line a rule, from the batch size at which all rules are the same."""
    shared = rows[rows["batch_size"] == rows["reference_batch_size"]]
    for index, (rule, dash) in enumerate(dashes.items()):
        line = pd.concat([shared[shared[RULE] != rule], rows[rows[RULE] == rule]]).sort_values("batch_size")
        failed, line = line[line["n_failed"] > 0], line[line["n_failed"] == 0]
        mean = line["test_accuracy_mean"]
        error = np.nan_to_num([mean - line["test_accuracy_low"], line["test_accuracy_high"] - mean])
        ax.errorbar(line["batch_size"], mean, yerr=error, capsize=2.5, color=style.INK, linestyle=dash)
        for _, row in line.iterrows():
            ax.plot(row["batch_size"], row["test_accuracy_mean"], "o", markersize=6, color=sizes[row["batch_size"]])
        # A mean with failed runs in it would set the axis: they are counted at its foot.
        at = failed["batch_size"].to_numpy(float) * 2 ** (BESIDE * (index - (len(dashes) - 1) / 2))
        for x in at:
            groups.cross(ax, x, style.INK)
        groups.tell_failures(ax, failed, at, np.full(len(failed), np.nan), [style.INK] * len(failed))
    if (rows["n_failed"] > 0).any():
        _room_at_the_foot(ax, rows[rows["n_failed"] == 0])
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(rows["batch_size"].unique()), [str(size) for size in sorted(rows["batch_size"].unique())])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.1)
    ax.set_xlabel(say("axis.batch_size"))
    ax.set_ylabel(say("axis.test_accuracy"))
