"""What a precision and recomputed activations cost: bytes by XLA's account, and the time of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.config.names import PRECISIONS
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say

FULL = "float32"
# What is often quoted of half precision: half of the memory, and a step in 1/1.5 to 1/2 of the time.
QUOTED = {"argument_bytes": (0.5, 0.5), "temporary_bytes": (0.5, 0.5), "step_seconds": (1 / 2, 1 / 1.5)}
SCALES = {"argument_bytes": 2**-20, "temporary_bytes": 2**-20, "step_seconds": 1e3}  # to MiB and milliseconds


@style.styled
def memory(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Arguments and temporaries of the compiled training and the time of a step: bars by precision, grouped by the rest."""
    keys = groups.keys_of(comparison, "precision")
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    rows = rows.merge(
        analysis.costs(analysis.rows_of(tables["replicas"], comparison), tables["timing"]), on="variant_id"
    )
    levels = [name for name in PRECISIONS if name in set(rows["precision"])]
    sizes = "-".join(f"{size:g}" for size in sorted(rows["tile_replicas"].dropna().unique()))
    title = say(
        "picture.memory",
        where=say("report.study", dataset=level(comparison.dataset), study=level(comparison.study, "study")),
    )
    figure, axes = style.sheet(3, title, say("picture.memory_note", replicas=sizes), 3, (4.2, 3.3))
    for ax, value in zip(axes, SCALES, strict=True):
        _bars(ax, rows, keys, levels, value)
        groups.label_groups(ax, keys)
        ax.set_ylabel(say(f"axis.{value}"))
        ax.set_title(say(f"panel.{value}"))
    n = "-".join(str(one) for one in sorted(rows["n"].unique()))
    names = {name: say("key.precision_n", name=name, n=n) for name in levels}
    style.legend_below(figure, groups.colour_keys(levels, names))
    return figure


def _bars(ax: Axes, rows: pd.DataFrame, keys: Sequence[str], levels: Sequence[str], value: str) -> None:
    """Bars with their figure and its share of float32's in the same group; a shade where it is often said to be."""
    whole = rows[rows["precision"] == FULL].set_index(groups.CELL)[value]
    shown = rows.assign(**{value: rows[value] * SCALES[value]})
    texts = []
    for cell, figure, name in zip(rows[groups.CELL], rows[value], rows["precision"], strict=True):
        if not np.isfinite(figure):
            texts.append(say("number.none"))
            continue
        share = figure / whole[cell] if cell in whole and name != FULL else np.nan
        text = f"{figure * SCALES[value]:.3g}"
        texts.append(text if np.isnan(share) else f"{text}\n{share:.0%}")
    groups.bars(ax, shown, "precision", levels, value, texts)
    low, high = QUOTED[value]
    for index, cell in enumerate(dict.fromkeys(rows[groups.CELL])):
        if cell in whole and np.isfinite(whole[cell]):
            ends = [share * whole[cell] * SCALES[value] for share in (low, high)]
            edge = groups.WIDTH / 2
            ax.fill_between([index - edge, index + edge], *ends, color=style.INK, alpha=0.25, linewidth=0, zorder=3)
            ax.plot([index - edge, index + edge], [ends[1]] * 2, color=style.INK, linewidth=1, linestyle=":", zorder=3)
