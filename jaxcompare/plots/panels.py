"""Single panels that several pictures share. Each takes axes and tables and draws on the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import style
from jaxcompare.words import level, say, spoken, value_of

Tables = dict[str, pd.DataFrame]
FEW_EPOCHS = 12
EPOCH_MARGIN = 0.015  # so that an axis of 100 epochs does not end at 105
APART = 0.028  # of the axis: how far apart levels stand side by side at a rate


class Line(NamedTuple):
    """How one variant is drawn."""

    variant_id: str
    label: str
    colour: Any
    dash: Any = "-"
    width: float = 1.6


def failures(row: pd.Series) -> str:
    """`n = 5`, and how many of them diverged or stayed at chance."""
    failed = spoken().failures(row["n"], row["n_diverged"], row["n_stuck"])
    return "; ".join([say("picture.n", n=row["n"]), failed] if failed else [say("picture.n", n=row["n"])])


def cell_name(row: pd.Series, comparison: Comparison) -> str:
    """The level of the factor compared, and the values of those kept apart."""
    return ", ".join(value_of(row[name], name) for name in (comparison.factor, *comparison.apart))


def lines_of(rows: pd.DataFrame, comparison: Comparison) -> list[Line]:
    """A line a row of `summary`: coloured by level, dashed by the factors kept apart, labelled with rate and n."""
    cells = [tuple(str(row[name]) for name in comparison.apart) for _, row in rows.iterrows()]
    order = {cell: index for index, cell in enumerate(dict.fromkeys(cells))}
    colours = style.colours_of(rows[comparison.factor])
    found: list[Line] = []
    for (_, row), cell in zip(rows.iterrows(), cells, strict=True):
        name = cell_name(row, comparison)
        if comparison.factor != "learning_rate":
            name = say("picture.at_rate", name=name, rate=row["learning_rate"])
        dash = style.DASHES[order[cell] % len(style.DASHES)]
        colour = colours[row[comparison.factor]]
        # The first lines lie below and are wider, so that lines that coincide all show.
        width = max(1.4, 3.0 - 0.8 * len(found))
        found.append(Line(row["variant_id"], f"{name} ({failures(row)})", colour, dash, width))
    return found


def handles(lines: Sequence[Line]) -> list[Line2D]:
    """Legend entries."""
    return [
        Line2D([], [], color=line.colour, linestyle=line.dash, linewidth=line.width, label=line.label) for line in lines
    ]


def keys(entries: dict[str, Any], colour: str = style.INK) -> list[Line2D]:
    """Legend entries that only explain a dash: label -> dash."""
    return [Line2D([], [], color=colour, linestyle=dash, label=text) for text, dash in entries.items()]


def of_lines(table: pd.DataFrame, tables: Tables, lines: Sequence[Line]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `table`, and of `replicas`, that belong to the variants drawn."""
    replicas = tables["replicas"][["replica_id", "variant_id"]]
    replicas = replicas[replicas["variant_id"].isin([line.variant_id for line in lines])]
    return table[table["replica_id"].isin(replicas["replica_id"])], replicas


def over_epochs(
    ax: Axes, tables: Tables, lines: Sequence[Line], value: str, source: pd.DataFrame | None = None, dash: str = ""
) -> None:
    """Mean and 95% band over seeds of `value` against the epoch; a cross where a run diverged and the mean ends."""
    table, replicas = of_lines(tables["history"] if source is None else source, tables, lines)
    found = analysis.bands(table, replicas, value=value)
    for line in lines:
        one = found[found["variant_id"] == line.variant_id]
        _curve(ax, one, "mean", ("low", "high"), line._replace(dash=dash or line.dash))
    ax.margins(x=EPOCH_MARGIN)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def spread_over_epochs(
    ax: Axes, table: pd.DataFrame, tables: Tables, lines: Sequence[Line], value: str, *, zeros: bool = False
) -> None:
    """Median and range over seeds of `value` against the epoch, for what spans decades; zeros only where they are wanted."""
    table, replicas = of_lines(table, tables, lines)
    found = analysis.bands(table, replicas, value=value)
    for line in lines:
        _curve(ax, found[found["variant_id"] == line.variant_id], "median", ("least", "greatest"), line, zeros=zeros)
    ax.margins(x=EPOCH_MARGIN)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _curve(
    ax: Axes, rows: pd.DataFrame, middle: str, sides: tuple[str, str], line: Line, *, zeros: bool = True
) -> None:
    """One line with its band, ended by a cross where later rows are incomplete.

    Without `zeros` the line has a gap where the value is zero, as the last update of a cosine schedule is: it has no place
    on a logarithmic axis.
    """
    epochs, values = rows["epoch"].to_numpy(), rows[middle].to_numpy()
    # Few points are shown as such: a line through one of them would not be seen.
    marker = "o" if len(epochs) <= FEW_EPOCHS else ""
    drawn = values if zeros else np.where(values > 0, values, np.nan)
    ax.plot(epochs, drawn, color=line.colour, linestyle=line.dash, linewidth=line.width, marker=marker, markersize=3.5)
    low, high = (rows[side].where(np.isfinite(drawn)) for side in sides)
    ax.fill_between(epochs, low, high, color=line.colour, alpha=0.15, linewidth=0)
    known = np.flatnonzero(np.isfinite(values))
    if known.size and known[-1] < len(values) - 1:
        ax.plot(epochs[known[-1]], values[known[-1]], marker="x", markersize=7, markeredgewidth=2, color=line.colour)


def beside(rates: pd.Series, every: pd.Series, index: int, levels: int) -> pd.Series:
    """Where a level's rates are drawn on a logarithmic axis that `every` spans: beside those of the other levels."""
    known = np.log10(np.sort(every.unique()))
    gap = np.diff(known).min() / (levels + 1) if len(known) > 1 else 1.0
    return rates * 10 ** ((index - (levels - 1) / 2) * min(APART * max(np.ptp(known), 1.0), gap))


def sensitivity(ax: Axes, summary: pd.DataFrame, comparison: Comparison, figure: str = "validation_accuracy") -> None:
    """The final figure against the learning rate, a line a level; rings on the best rates, crosses on failed variants.

    A variant whose mean does not exist stands at its median, or at the foot of the axis where that does not exist.
    """
    best = set(analysis.best_rates(summary, comparison.factor, comparison.apart)["variant_id"])
    known = summary[[f"{figure}_mean", f"{figure}_median"]].to_numpy(float)
    known = known[np.isfinite(known)]
    step = 0.2 * max(np.ptp(known), 0.02) if known.size else 0.1
    foot = float(known.min()) if known.size else 0.0
    style_of = {line.variant_id: line for line in lines_of(summary, comparison)}
    cells = analysis.cells(summary, (comparison.factor, *comparison.apart))
    counted: list[tuple[float, float]] = []  # rates and heights at which failures are counted
    for index, cell in enumerate(cells):
        cell = cell.sort_values("learning_rate")
        # Each level has a foot of its own, so that those that fail at one rate do not hide each other.
        foot -= step if cell[f"{figure}_median"].isna().any() else 0
        line = style_of[cell["variant_id"].iloc[0]]
        place = beside(cell["learning_rate"], summary["learning_rate"], index, len(cells))
        mean = cell[f"{figure}_mean"]
        error = np.nan_to_num([mean - cell[f"{figure}_low"], cell[f"{figure}_high"] - mean])
        colour = {"color": line.colour, "linestyle": line.dash, "linewidth": line.width}
        ax.errorbar(place, mean, yerr=error, marker="o", markersize=4, capsize=2.5, **colour)
        height = mean.fillna(cell[f"{figure}_median"]).fillna(foot)
        ring = {"markersize": 10, "markerfacecolor": "none", "linestyle": "none", "color": line.colour}
        chosen, failed = cell["variant_id"].isin(best), cell["n_failed"] > 0
        ax.plot(place[chosen], height[chosen], marker="o", **ring)
        ax.plot(place[failed], height[failed], marker="x", markeredgewidth=2, **ring | {"markersize": 7})
        for row in cell.index[failed]:
            # Short and small: at every rate there may be one, and above it those of other levels that failed there, too.
            rate, high = cell["learning_rate"][row], height[row]
            above = sum(other == rate and abs(high - there) < step for other, there in counted)
            counted.append((rate, high))
            drawn: Any = {"textcoords": "offset points", "ha": "center", "color": line.colour, "fontsize": 7}
            drawn["bbox"] = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.6}  # over an interval's bar
            ax.annotate(f"{cell['n_failed'][row]}/{cell['n'][row]}", (place[row], high), (0, -11 - 9 * above), **drawn)
    style.rate_axis(ax, summary["learning_rate"].unique().tolist())
    ax.margins(x=0.14, y=0.16)
    if "accuracy" in figure:  # an interval may reach beyond what an accuracy can be
        ax.set_ylim(max(ax.get_ylim()[0], -0.1), min(ax.get_ylim()[1], 1.05))
    style.label(ax, "axis.learning_rate", f"axis.{figure}", "panel.sensitivity")


def by_layer(ax: Axes, tables: Tables, lines: Sequence[Line], last: bool, *, spread: bool = True) -> None:
    """The gradient's norm in each layer at initialisation or after the last epoch: median and range over seeds."""
    table, replicas = of_lines(tables["layers"], tables, lines)
    epoch = table["epoch"].max() if last else table["epoch"].min()
    table = table[table["epoch"] == epoch]
    found = analysis.bands(table, replicas, value="gradient_norm", along=("layer_index",))
    for line in lines:
        one = found[found["variant_id"] == line.variant_id]
        drawn = {"color": line.colour, "linestyle": line.dash, "linewidth": line.width}
        ax.plot(one["layer_index"], one["median"], marker="o", markersize=4, **drawn)
        if spread:
            ax.fill_between(
                one["layer_index"], one["least"], one["greatest"], color=line.colour, alpha=0.15, linewidth=0
            )
    named = table.drop_duplicates("layer_index").sort_values("layer_index")
    ax.set_xticks(named["layer_index"], [level(name) for name in named["layer"]], rotation=20)
    style.label(ax, "axis.layer", "axis.gradient_norm", "panel.gradients_end" if last else "panel.gradients_start")
    style.log_values(ax)
