"""What a precision and recomputed activations cost: bytes by XLA's account, and the time of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import concise, rounded, say

FULL = "float32"
# Each cost's factor to MiB or milliseconds, and the range often quoted of half precision as shares of the cost in float32.
# Quoted are half of the memory, and a step in 1/2 to 1/1.5 of the time.
COSTS = {
    "argument_bytes": (2**-20, 0.5, 0.5),
    "temporary_bytes": (2**-20, 0.5, 0.5),
    "step_seconds": (1e3, 1 / 2, 1 / 1.5),
}


@style.styled
def memory(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw arguments and temporaries of the compiled training, and the time of a step: bars by precision in groups."""
    keys = groups.keys_of(comparison, "precision")
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    costs = analysis.costs(analysis.rows_of(tables["replicas"], comparison), tables["timing"])
    rows = rows.merge(costs, on="variant_id")
    levels = groups.precisions_in(rows)
    note = say("picture.memory_note", replicas=panels.numbers(rows["tile_replicas"].dropna()))
    figure, axes = style.sheet(3, panels.study_title("picture.memory", comparison), note, 3, (4.2, 3.3))
    for ax, value in zip(axes, COSTS, strict=True):
        _bars(ax, rows, levels, value)
        style.label(ax, "", f"axis.{value}", f"panel.{value}")
        groups.label_groups(ax, keys)
    groups.legend_of_precisions(figure, levels, rows)
    return figure


def _bars(ax: Axes, rows: pd.DataFrame, levels: Sequence[str], value: str) -> None:
    """Draw bars with their figure and its share of float32's figure in the group; shade the range often quoted."""
    scale, low, high = COSTS[value]
    full = rows["precision"] == FULL
    whole = rows[groups.CELL].map(rows[full].set_index(groups.CELL)[value])
    figures, shares = rows[value] * scale, (rows[value] / whole).where(~full)
    texts = [
        (concise(figure) if np.isfinite(figure) else say("number.none"))
        + ("" if np.isnan(share) else "\n" + rounded(share, ".0%"))
        for figure, share in zip(figures, shares, strict=True)
    ]
    groups.bars(ax, rows, levels, figures, texts)
    for index, (_, wholes) in enumerate(whole.groupby(rows[groups.CELL], sort=False)):
        ends = index + np.array([-0.5, 0.5]) * groups.WIDTH
        bottom, top = (share * wholes.iloc[0] * scale for share in (low, high))
        if np.isfinite(top):
            ax.fill_between(ends, bottom, top, color=style.INK, alpha=0.25, linewidth=0, zorder=3)
            ax.plot(ends, [top, top], color=style.INK, linewidth=1, linestyle=":", zorder=3)
