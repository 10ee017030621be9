"""Single panels that several pictures share. Each function takes axes and tables, and draws on the axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
MOST_CELLS = 12  # cells drawn of one comparison
FEW_EPOCHS = 12
EPOCH_MARGIN = 0.015  # with matplotlib's own margin an axis of 100 epochs ends at 105
SPACE = 0.028  # of the axis: between the marks of neighbouring levels at one rate
Widths = tuple[float, float, float]


class Band(NamedTuple):
    """A line over seeds and the two sides of its band, as columns of `analysis.bands`."""

    middle: str
    low: str
    high: str
    zeros: bool = True  # whether a zero is drawn: no logarithmic axis shows the last update of a cosine schedule


INTERVAL = Band("mean", "low", "high")  # 95%
SPREAD = Band("median", "least", "greatest")  # for values that span decades
POSITIVE = SPREAD._replace(zeros=False)


class Line(NamedTuple):
    """How one variant is drawn."""

    variant_id: str
    label: str
    colour: Any
    dash: Any = "-"
    width: float = 1.6

    @property
    def look(self) -> dict[str, Any]:
        """The line's options for matplotlib."""
        return {"color": self.colour, "linestyle": self.dash, "linewidth": self.width}


def study_title(key: str, comparison: Comparison) -> str:
    """Return the message of `key` about a study of a data set."""
    study, dataset = level(comparison.study, "study"), level(comparison.dataset)
    return say(key, where=say("report.study", dataset=dataset, study=study))


def numbers(values: Iterable[float]) -> str:
    """Return the different values in order, as `3-5`."""
    return "-".join(f"{value:g}" for value in sorted(set(values)))


def failures(row: pd.Series) -> str:
    """Return `n = 5`, and how many of the runs diverged or stayed at chance."""
    failed = spoken().failures(row["n"], row["n_diverged"], row["n_stuck"])
    return "; ".join(filter(None, (say("picture.n", n=row["n"]), failed)))


def chosen(tables: Tables, comparison: Comparison) -> pd.DataFrame:
    """Return each cell's variant at its best rate, for the first `MOST_CELLS` cells."""
    summary = analysis.rows_of(tables["summary"], comparison)
    return analysis.best_rates(summary, comparison.factor, comparison.apart).head(MOST_CELLS)


def cell_name(row: pd.Series, comparison: Comparison) -> str:
    """Return the level of the factor compared, and the values of the other factors of the cell."""
    return ", ".join(value_of(row[name], name) for name in (comparison.factor, *comparison.apart))


def at_rate(row: pd.Series, comparison: Comparison) -> str:
    """Return the name of a row's cell with its learning rate, unless the rate itself is compared."""
    name = cell_name(row, comparison)
    return (
        name if comparison.factor == "learning_rate" else say("picture.at_rate", name=name, rate=row["learning_rate"])
    )


def lines_of(rows: pd.DataFrame, comparison: Comparison) -> list[Line]:
    """Return a line for each row of `summary`, with rate and n in its label."""
    names = [at_rate(row, comparison) for _, row in rows.iterrows()]
    return lines_by(rows, names, comparison.factor, comparison.apart)


def lines_by(
    rows: pd.DataFrame, names: Sequence[str], factor: str, others: Sequence[str], widths: Widths = (3.0, 0.8, 1.4)
) -> list[Line]:
    """Return a line for each row of `summary`: `factor` gives the colour, the factors `others` give the dash.

    The first lines lie below and are wider: lines that coincide all show. `widths` are the first width, the step and the
    least width.
    """
    cells = [tuple(str(row[name]) for name in others) for _, row in rows.iterrows()]
    dashes, colours = style.dashes_of(cells), style.colours_of(map(analysis.level_of, rows[factor]))
    first, step, least = widths
    return [
        Line(
            row["variant_id"],
            f"{name} ({failures(row)})",
            colours[analysis.level_of(row[factor])],
            dashes[cell],
            max(least, first - step * index),
        )
        for index, ((_, row), name, cell) in enumerate(zip(rows.iterrows(), names, cells, strict=True))
    ]


def handles(lines: Iterable[Line]) -> list[Line2D]:
    """Return the legend entries of lines."""
    return [Line2D([], [], label=line.label, **line.look) for line in lines]


def keys(entries: Mapping[str, Any]) -> list[Line2D]:
    """Return legend entries that only explain a dash: label -> dash."""
    return [style.key(text, style.INK, linestyle=dash) for text, dash in entries.items()]


def of_lines(table: pd.DataFrame, tables: Tables, lines: Sequence[Line]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `table`, and of `replicas`, that belong to the variants drawn."""
    replicas = tables["replicas"][["replica_id", "variant_id"]]
    replicas = replicas[replicas["variant_id"].isin([line.variant_id for line in lines])]
    return table[table["replica_id"].isin(replicas["replica_id"])], replicas


def at_end(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at each replica's last epoch: where the number of epochs varies, replicas end at different epochs."""
    return table[table["epoch"] == table.groupby("replica_id")["epoch"].transform("max")]


def layer_names(table: pd.DataFrame) -> list[str]:
    """Return the layers in a table, from the first to the last."""
    return table.drop_duplicates("layer").sort_values("layer_index")["layer"].tolist()


def over_epochs(
    ax: Axes,
    tables: Tables,
    lines: Sequence[Line],
    value: str,
    source: pd.DataFrame | None = None,
    band: Band = INTERVAL,
) -> None:
    """Draw `value` against the epoch: a line and its band over seeds, with a cross where a run diverged and the line ends.

    The column `value` is in `source`, or in `history` where there is no source.
    """
    table, replicas = of_lines(tables["history"] if source is None else source, tables, lines)
    found = analysis.bands(table, replicas, value=value)
    for line in lines:
        rows = found[found["variant_id"] == line.variant_id]
        epochs, values = rows["epoch"].to_numpy(), rows[band.middle].to_numpy()
        # A line through few points would hide that a point is missing.
        marker = "o" if len(epochs) <= FEW_EPOCHS else ""
        drawn = values if band.zeros else np.where(values > 0, values, np.nan)
        ax.plot(epochs, drawn, marker=marker, markersize=3.5, **line.look)
        low, high = (rows[side].where(np.isfinite(drawn)) for side in (band.low, band.high))
        ax.fill_between(epochs, low, high, color=line.colour, alpha=0.15, linewidth=0)
        known = np.flatnonzero(np.isfinite(values))
        if known.size and known[-1] < len(values) - 1:
            style.cross(ax, epochs[known[-1]], values[known[-1]], line.colour, 7)
    ax.margins(x=EPOCH_MARGIN)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def accuracies(axes: Iterable[Axes], tables: Tables, lines: Sequence[Line], values: Sequence[str]) -> None:
    """Draw accuracies over the epochs, each on its own panel, where later differences show."""
    for value, ax in zip(values, axes, strict=False):
        over_epochs(ax, tables, lines, value)
        style.label(ax, "axis.epoch", f"axis.{value}", f"panel.{value}")
        style.later_values(ax)


def dashed(lines: Iterable[Line], dash: Any) -> list[Line]:
    """Return the lines with another dash."""
    return [line._replace(dash=dash) for line in lines]


def beside(rates: pd.Series, every: pd.Series, index: int, levels: int) -> pd.Series:
    """Return where a level's rates are drawn, beside the other levels, on a logarithmic axis that `every` spans."""
    known = np.log10(np.sort(every.unique()))
    gap = np.diff(known).min() / (levels + 1) if len(known) > 1 else 1.0
    return rates * 10 ** ((index - (levels - 1) / 2) * min(SPACE * max(np.ptp(known), 1.0), gap))


def sensitivity(ax: Axes, summary: pd.DataFrame, comparison: Comparison) -> None:
    """Draw final validation accuracy against the learning rate: rings on the best rates, crosses on failed variants.

    A variant without a mean is drawn at its median, or at the foot of the axis where the median is missing, too.
    """
    best = set(analysis.best_rates(summary, comparison.factor, comparison.apart)["variant_id"])
    summary = summary.rename(
        columns={f"validation_accuracy_{part}": part for part in ("mean", "median", "low", "high")}
    )
    known = summary[["mean", "median"]].to_numpy(float)
    known = known[np.isfinite(known)]
    step = 0.2 * max(np.ptp(known), 0.02) if known.size else 0.1
    foot = float(known.min()) if known.size else 0.0
    lines = {line.variant_id: line for line in lines_of(summary, comparison)}
    cells = analysis.cells(summary, (comparison.factor, *comparison.apart))
    counted: list[tuple[float, float]] = []  # rates and heights at which failures are counted
    for index, cell in enumerate(cells):
        cell = cell.sort_values("learning_rate")
        # Each level has its own foot: levels that fail at one rate do not hide each other.
        foot -= step if cell["median"].isna().any() else 0
        line = lines[cell["variant_id"].iloc[0]]
        cell["place"] = beside(cell["learning_rate"], summary["learning_rate"], index, len(cells))
        cell["height"] = cell["mean"].fillna(cell["median"]).fillna(foot)
        error = style.error(cell["mean"], cell["low"], cell["high"])
        ax.errorbar(cell["place"], cell["mean"], yerr=error, marker="o", markersize=4, capsize=2.5, **line.look)
        ringed, failed = cell[cell["variant_id"].isin(best)], cell[cell["n_failed"] > 0]
        ax.plot(ringed["place"], ringed["height"], "o", markersize=10, markerfacecolor="none", color=line.colour)
        style.cross(ax, failed["place"], failed["height"], line.colour, 7)
        for _, row in failed.iterrows():
            # Short and small: every rate may have a count, and counts of other levels above it.
            rate, high = row["learning_rate"], row["height"]
            above = sum(other == rate and abs(high - there) < step for other, there in counted)
            counted.append((rate, high))
            box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.6}  # over an interval's bar
            text, place = f"{row['n_failed']}/{row['n']}", (row["place"], high)
            style.beside(ax, text, place, (0, -11 - 9 * above), ha="center", color=line.colour, bbox=box)
    style.rate_axis(ax, summary["learning_rate"].unique().tolist())
    ax.margins(x=0.14, y=0.16)
    # An interval may reach beyond the range of an accuracy.
    ax.set_ylim(max(ax.get_ylim()[0], -0.1), min(ax.get_ylim()[1], 1.05))
    style.label(ax, "axis.learning_rate", "axis.validation_accuracy", "panel.sensitivity")


def by_layer(ax: Axes, tables: Tables, lines: Sequence[Line], last: bool, *, spread: bool = True) -> None:
    """Draw each layer's gradient norm at initialisation or after the last epoch: median and range over seeds."""
    table, replicas = of_lines(tables["layers"], tables, lines)
    table = at_end(table) if last else table[table["epoch"] == table["epoch"].min()]
    found = analysis.bands(table, replicas, value="gradient_norm", along=("layer_index",))
    for line in lines:
        rows = found[found["variant_id"] == line.variant_id]
        ax.plot(rows["layer_index"], rows["median"], marker="o", markersize=4, **line.look)
        if spread:
            sides = rows["least"], rows["greatest"]
            ax.fill_between(rows["layer_index"], *sides, color=line.colour, alpha=0.15, linewidth=0)
    layer_axis(ax, table)
    style.label(ax, "axis.layer", "axis.gradient_norm", "panel.gradients_end" if last else "panel.gradients_start")
    style.log_values(ax)


def layer_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Set a tick for each `layer_index` of a table, with the layer's name."""
    named = table.drop_duplicates("layer_index").sort_values("layer_index")
    ax.set_xticks(named["layer_index"], [level(name) for name in named["layer"]], rotation=20)
