"""Optimizers, rate by rate and all rates together."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say

MOST_LAYERS = 4  # the number of dashes


def _lines(rows: pd.DataFrame, apart: tuple[str, ...]) -> list[panels.Line]:
    """Return a line per row, coloured by the factors beside the optimizer (the schedule)."""
    found, cells = [], ["-".join(str(row[key]) for key in apart) for _, row in rows.iterrows()]
    colours = style.colours_of(cells)
    for (_, row), cell in zip(rows.iterrows(), cells, strict=True):
        name = ", ".join(level(row[key], key) for key in apart) or level(row["learning_rate"])
        found.append(panels.Line(row["variant_id"], f"{name} ({panels.failures(row)})", colours[cell]))
    return found


@style.styled
def optimizer_at_rate(tables: panels.Tables, comparison: Comparison, name: object, rate: float) -> Figure:
    """Draw one optimizer at one rate, a line per schedule: loss, accuracies, gradients and updates by layer."""
    summary = analysis.rows_of(tables["summary"], comparison)
    rows = summary[(summary[comparison.factor] == name) & (summary["learning_rate"] == rate)]
    lines = _lines(rows, comparison.apart)
    title = say("picture.optimizer", name=level(name), rate=rate, dataset=level(comparison.dataset))
    inside = "layers" in tables
    figure, axes = style.sheet(6 if inside else 3, title, say("picture.optimizer_note"))
    _loss_and_accuracies(axes, tables, lines)
    if inside:
        _by_layer(axes[3], tables, lines, "gradient_norm")
        ratio = analysis.gradient_ratio(panels.of_lines(tables["layers"], tables, lines)[0])
        panels.over_epochs(axes[4], tables, lines, "gradient_ratio", ratio, panels.POSITIVE)
        style.label(axes[4], "axis.epoch", "axis.gradient_ratio", "panel.gradient_ratio")
        style.log_values(axes[4])
        _by_layer(axes[5], tables, lines, "update_ratio")
    style.legend_below(figure, panels.handles(lines))
    return figure


def _loss_and_accuracies(axes: list[Axes], tables: panels.Tables, lines: list[panels.Line]) -> None:
    """Draw the first three panels: training loss, validation and test accuracy over the epochs."""
    panels.over_epochs(axes[0], tables, lines, "train_loss")
    style.label(axes[0], "axis.epoch", "axis.train_loss", "panel.train_loss")
    style.log_values(axes[0])
    panels.accuracies(axes[1:], tables, lines, ("validation_accuracy", "test_accuracy"))


def _by_layer(ax: Axes, tables: panels.Tables, lines: list[panels.Line], value: str) -> None:
    """Draw `value` over the epochs, a dash per layer; of many layers only some, the first and the last among them."""
    table, _ = panels.of_lines(tables["layers"], tables, lines)
    dashes = style.dashes_of(style.spaced(panels.layer_names(table), MOST_LAYERS))
    for layer, dash in dashes.items():
        mine = table[table["layer"] == layer]
        panels.over_epochs(ax, tables, panels.dashed(lines, dash), value, mine, panels.POSITIVE)
    style.label(ax, "axis.epoch", f"axis.{value}", f"panel.{value}")
    style.log_values(ax)
    entries = panels.keys({level(layer): dash for layer, dash in dashes.items()})
    ax.legend(handles=entries, ncols=len(entries), fontsize=7)


@style.styled
def rates_of_optimizer(tables: panels.Tables, comparison: Comparison, name: object) -> Figure:
    """Draw every rate of one optimizer on one sheet: a colour per rate, a dash per schedule."""
    summary = analysis.rows_of(tables["summary"], comparison)
    rows = summary[summary[comparison.factor] == name].sort_values("learning_rate", kind="stable")
    lines, colours = panels.lines_of(rows, comparison), style.colours_of_rates(rows["learning_rate"].unique().tolist())
    lines = [line._replace(colour=colours[rate]) for line, rate in zip(lines, rows["learning_rate"], strict=True)]
    title = say("picture.rates", name=level(name), dataset=level(comparison.dataset))
    figure, axes = style.sheet(4, title, say("picture.band_note"), columns=2, size=(5.2, 3.2))
    _loss_and_accuracies(axes, tables, lines)
    panels.sensitivity(axes[3], rows, comparison)
    style.legend_below(figure, panels.handles(lines), columns=2)
    return figure
