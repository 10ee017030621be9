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
from jaxcompare.config.names import LEARNING_RATE_RULES
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say

RULE = "learning_rate_rule"
DODGE = 1.12  # from one rule's marks to the next one's, as a factor of the batch size
ALONE = 7.6  # inches: of a column that has the title and its note to itself
FOOT, STEP = 0.05, 0.08  # of the axis' height: where failed runs are counted


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
    # A cell alone has both of its panels side by side: one column would be too narrow for the title and its note.
    columns, width = (min(len(cells), 3), 4.6) if len(cells) > 1 else (1 + inside, 4.6 if inside else ALONE)
    figure, axes = style.sheet(len(cells) * (1 + inside), title, note, columns, (width, 3.3))
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


def _accuracy(ax: Axes, rows: pd.DataFrame, dashes: dict[str, Any], sizes: dict[float, Any]) -> None:
    """A line a rule, from the batch size at which all rules are the same."""
    below: list[tuple[float, str, float]] = []
    shared = rows[rows["batch_size"] == rows["reference_batch_size"]]
    many = len(dashes)
    for index, (rule, dash) in enumerate(dashes.items()):
        shift = DODGE ** (index - (many - 1) / 2)  # side by side, so that bars and counts of one size are told apart
        line = pd.concat([shared[shared[RULE] != rule], rows[rows[RULE] == rule]]).sort_values("batch_size")
        at = line["batch_size"].to_numpy(float) * np.where(line["batch_size"].isin(shared["batch_size"]), 1.0, shift)
        whole = (line["n_failed"] == 0).to_numpy()
        mean = line["test_accuracy_mean"].where(whole).to_numpy(float)
        ends = line[["test_accuracy_low", "test_accuracy_high"]].clip(0.0, 1.0).to_numpy(float).T
        error = np.clip(np.nan_to_num([mean - ends[0], ends[1] - mean]), 0.0, None)
        ax.errorbar(at, mean, yerr=error, capsize=2.5, color=style.INK, linestyle=dash, elinewidth=1.0)
        for x, y, size in zip(at, mean, line["batch_size"], strict=True):
            ax.plot(x, y, "o", markersize=6, color=sizes[size])
        # A mean with failed runs in it would set the axis: they are counted at its foot, each rule's on a line of its own.
        for x, row in zip(at[~whole], (row for _, row in line[~whole].iterrows()), strict=True):
            count = say("key.rule_failed", rule=level(rule), k=row["n_failed"], n=row["n"])
            below.append((x, count, row["batch_size"]))
    for place, (x, count, size) in enumerate(below):
        height = FOOT + STEP * place
        foot: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
        ax.plot(x, height, marker="x", markersize=6, markeredgewidth=2, color=sizes[size], **foot)
        ax.annotate(count, (x, height), (-7, 0), ax.get_xaxis_transform(), "offset points", ha="right", va="center",
                    fontsize=7, color=style.INK)  # fmt: skip
    if below:  # room for them below the lowest bar
        low, high = ax.dataLim.y0, ax.dataLim.y1
        share = FOOT + STEP * len(below)
        ax.set_ylim(high - (high - low) / (1 - share) * 1.04, high + 0.04 * (high - low))
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(rows["batch_size"].unique()), [str(size) for size in sorted(rows["batch_size"].unique())])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.1)
    ax.set_xlabel(say("axis.batch_size"))
    ax.set_ylabel(say("axis.test_accuracy"))
