"""Batch sizes under several rules for the learning rate: accuracy at equal examples seen, and gradients by layer."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.config.names import LEARNING_RATE_RULES
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say

RULE = "learning_rate_rule"
DODGE = 1.12  # between the marks of neighbouring rules, as a factor of the batch size
ALONE = 7.6  # inches: the width of a single column, which must hold the title and its note
FOOT, STEP = 0.05, 0.08  # of the axis' height: where failed runs are counted


@style.styled
def batch_sizes(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw for each cell of the other factors: test accuracy against batch size, and the gradients by layer at the end."""
    keys = groups.keys_of(comparison, "batch_size", RULE)
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    cells = rows[groups.CELL].unique()
    inside = "layers" in tables
    note = say("picture.batch_note", n=panels.numbers(rows["n"]))
    # A single cell has both panels side by side: one column would be too narrow for the title and its note.
    columns, width = (min(len(cells), 3), 4.6) if len(cells) > 1 else (1 + inside, 4.6 if inside else ALONE)
    title = panels.study_title("picture.batch", comparison)
    figure, axes = style.sheet(len(cells) * (1 + inside), title, note, columns, (width, 3.3))
    sizes = style.colours_of_rates(sorted(rows["batch_size"].unique()))
    dashes = style.dashes_of(name for name in LEARNING_RATE_RULES if name in set(rows[RULE]))
    for index, cell in enumerate(cells):
        mine = rows[rows[groups.CELL] == cell]
        _accuracy(axes[index], mine, dashes, sizes)
        axes[index].set_title(cell or say("panel.test_accuracy"))
        if inside:
            ax = axes[len(cells) + index]
            names = mine[["variant_id", "batch_size", RULE]].itertuples(index=False)
            lines = [panels.Line(variant, "", sizes[size], dashes[rule]) for variant, size, rule in names]
            panels.by_layer(ax, tables, lines, last=True, spread=False)
            if cell:
                ax.set_title(say("panel.gradients_cell", cell=cell))
    if inside and len(cells) > 1:
        style.share_log_range(axes[-1], axes[len(cells)])
    entries = [style.key(say("key.batch", size=size), colour) for size, colour in sizes.items()]
    rules = panels.keys({level(rule): dash for rule, dash in dashes.items()})
    style.legend_below(figure, [*rules, *entries], columns=6)
    return figure


def _accuracy(ax: Axes, rows: pd.DataFrame, dashes: dict[str, Any], sizes: dict[float, Any]) -> None:
    """Draw a line for each rule, from the batch size at which all rules are the same."""
    shared = rows["batch_size"] == rows["reference_batch_size"]
    below: list[tuple[float, str, float]] = []
    for index, (rule, dash) in enumerate(dashes.items()):
        line = rows[shared | (rows[RULE] == rule)].sort_values("batch_size")
        # Side by side, so that readers can distinguish the bars and counts of one size.
        shift = DODGE ** (index - (len(dashes) - 1) / 2)
        at = line["batch_size"].where(shared[line.index], line["batch_size"] * shift)
        failed = line["n_failed"] > 0
        mean = line["test_accuracy_mean"].mask(failed)
        ends = line[["test_accuracy_low", "test_accuracy_high"]].clip(0.0, 1.0)
        error = style.error(mean, *(ends[side] for side in ends))
        ax.errorbar(at, mean, yerr=error, capsize=2.5, color=style.INK, linestyle=dash, elinewidth=1.0)
        for x, y, size in zip(at, mean, line["batch_size"], strict=True):
            ax.plot(x, y, "o", markersize=6, color=sizes[size])
        # A mean over failed runs would stretch the axis: failed runs are counted at its foot, each rule on its own line.
        for x, (_, row) in zip(at[failed], line[failed].iterrows(), strict=True):
            count = say("key.rule_failed", rule=level(rule), k=row["n_failed"], n=row["n"])
            below.append((x, count, row["batch_size"]))
    for place, (x, count, size) in enumerate(below):
        height = FOOT + STEP * place
        groups.cross_at_foot(ax, x, sizes[size], height)
        look = {"xycoords": ax.get_xaxis_transform(), "ha": "right", "va": "center", "color": style.INK}
        style.beside(ax, count, (x, height), (-7, 0), **look)
    if below:  # room for the counts below the lowest bar
        low, high = ax.dataLim.y0, ax.dataLim.y1
        share = FOOT + STEP * len(below)
        ax.set_ylim(high - (high - low) / (1 - share) * 1.04, high + 0.04 * (high - low))
    ax.set_xscale("log", base=2)
    ticks = sorted(rows["batch_size"].unique())
    ax.set_xticks(ticks, [str(size) for size in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.1)
    style.label(ax, "axis.batch_size", "axis.test_accuracy")
