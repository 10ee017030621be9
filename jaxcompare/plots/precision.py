"""What half precision changes: accuracy, skipped steps, gradients lost to zero, dead units, clipping, the loss scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say

FULL = "float32"


class Sheet(NamedTuple):
    """What the panels of one comparison share."""

    tables: panels.Tables
    comparison: Comparison
    keys: list[str]  # the factors of a group: the factors that vary, except for the precision
    rows: pd.DataFrame  # of the summary, each with its group
    levels: list[str]  # the precisions
    replicas: pd.DataFrame

    def of(self, name: str) -> pd.DataFrame:
        """Return the rows of a table that belong to the comparison's replicas."""
        table = self.tables[name]
        return table[table["replica_id"].isin(self.replicas["replica_id"])]

    def has(self, name: str) -> bool:
        """Return whether a column of `layers` was measured."""
        return name in self.tables.get("layers", ()) and bool(self.of("layers")[name].notna().any())


def sheet_of(tables: panels.Tables, comparison: Comparison, *within: str) -> Sheet:
    """Return the sheet of a comparison; the factors `within` do not make groups."""
    keys = groups.keys_of(comparison, "precision", *within)
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    replicas = analysis.rows_of(tables["replicas"], comparison)
    return Sheet(tables, comparison, keys, rows, groups.precisions_in(rows), replicas)


def _dots(
    ax: Axes, sheet: Sheet, found: pd.DataFrame, value: str, sides: Sequence[str] = (), *, counted: bool = True
) -> None:
    """Draw a value of each variant in `found`, with the counts of failed runs unless not `counted`."""
    failures = ["n", "n_failed"] if counted else []
    rows = sheet.rows[["variant_id", groups.CELL, "precision", *failures]].merge(found, on="variant_id")
    groups.dots(ax, rows, sheet.levels, value, sides)


def accuracy(ax: Axes, sheet: Sheet) -> None:
    """Draw test accuracy with its interval."""
    sides = ["test_accuracy_low", "test_accuracy_high"]
    rows = sheet.rows.assign(**sheet.rows[sides].clip(0.0, 1.0))  # an interval may leave the range of an accuracy
    groups.dots(ax, rows, sheet.levels, "test_accuracy_mean", sides)
    style.label(ax, "", "axis.test_accuracy", "panel.test_accuracy")


def difference(ax: Axes, sheet: Sheet) -> None:
    """Draw the difference in test accuracy from float32 in points, paired by seed."""
    runs = analysis.finals(sheet.replicas, sheet.of("history"))
    found = analysis.against(runs, sheet.comparison, "precision", FULL).set_index("variant_id")
    ax.axhline(0, color=style.INK, linewidth=0.8)
    points = 100 * found[["difference", "low", "high"]]
    _dots(ax, sheet, points.reset_index(), "difference", ("low", "high"), counted=False)
    style.label(ax, "", "axis.difference")
    ax.set_title(say("panel.from_full", name=level(FULL)))


def skipped(ax: Axes, sheet: Sheet) -> None:
    """Draw the share of steps that loss scaling skipped: median and range over seeds.

    Runs that diverged are included: skipped steps may explain why.
    """
    last = sheet.of("history").sort_values("epoch").groupby("replica_id").tail(1)
    last = last.merge(sheet.replicas[["replica_id", "variant_id"]], on="replica_id")
    shares = (last["skipped_steps"] / last["step"]).groupby(last["variant_id"])
    found = shares.agg(["median", "min", "max"]).dropna().reset_index()
    _dots(ax, sheet, found, "median", ("min", "max"), counted=False)
    groups.from_zero(ax, shares=True)
    style.label(ax, "", "axis.skipped", "panel.skipped")


def underflow(ax: Axes, sheet: Sheet) -> None:
    """Draw the share of each layer's gradient entries that become zero: mean over seeds, the largest of all epochs."""
    table = sheet.of("layers").merge(sheet.replicas[["replica_id", "variant_id"]], on="replica_id")
    keys = ["variant_id", "layer_index", "layer"]
    means = table.groupby([*keys, "epoch"])["gradient_underflow"].mean()
    found = means.groupby(level=keys).max().dropna().reset_index()
    dashes, colours = style.dashes_of(sheet.rows[groups.CELL]), style.colours_of(sheet.levels)
    for variant, cell, name in sheet.rows[["variant_id", groups.CELL, "precision"]].itertuples(index=False):
        rows = found[found["variant_id"] == variant]
        line = panels.Line(variant, "", colours[name], dashes[cell])
        ax.plot(rows["layer_index"], rows["gradient_underflow"], marker="o", markersize=3.5, **line.look)
    panels.layer_axis(ax, found)
    groups.from_zero(ax, shares=True)
    style.label(ax, "axis.layer", "axis.underflow", "panel.underflow")
    if len(dashes) > 1:
        ax.legend(handles=panels.keys(dashes), fontsize=7, loc="best")


def dead(ax: Axes, sheet: Sheet) -> None:
    """Draw the share of dead units after the last epoch."""
    _inside(ax, sheet, "dead_fraction_final")
    groups.from_zero(ax, shares=True)
    style.label(ax, "", "axis.dead_mean", "panel.dead")


def vanishing(ax: Axes, sheet: Sheet) -> None:
    """Draw the ratio of the gradient's norm in the first layer to the norm in the last layer, at initialisation."""
    _inside(ax, sheet, "gradient_ratio_initial")
    ax.set_yscale("log")
    ax.axhline(analysis.VANISHED, color=style.INK, linewidth=0.8, linestyle=":")
    ax.text(0.99, analysis.VANISHED, say("key.vanished"), transform=ax.get_yaxis_transform(), ha="right", fontsize=7)
    style.label(ax, "", "axis.gradient_ratio", "panel.gradients_start")


def _inside(ax: Axes, sheet: Sheet, name: str) -> None:
    found = analysis.summarise_layers(sheet.replicas, sheet.of("layers"))
    _dots(ax, sheet, found[["variant_id", name]].dropna(), name)


def _shows_units(sheet: Sheet) -> bool:
    return "activation" in sheet.keys and sheet.has("dead_fraction")


PANELS: tuple[tuple[Callable[[Axes, Sheet], None], Callable[[Sheet], bool]], ...] = (  # and where each is drawn
    (accuracy, lambda sheet: True),
    (difference, lambda sheet: FULL in sheet.levels),
    (skipped, lambda sheet: "skipped_steps" in sheet.tables["history"]),
    (underflow, lambda sheet: sheet.has("gradient_underflow")),
    (dead, _shows_units),
    (vanishing, _shows_units),
)


@style.styled
def precisions(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw every panel of `PANELS` that a comparison of precisions has measured."""
    sheet = sheet_of(tables, comparison)
    return _drawn(sheet, [draw for draw, measured in PANELS if measured(sheet)], "picture.precision_note")


@style.styled
def clipping(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw accuracy by precision in groups by norm, with a panel and an axis for each setting of the other factors.

    On one axis for all settings a difference of 0.1 would hide the smaller ones.
    """
    sheet = sheet_of(tables, comparison, "clip_norm")
    rows = sheet.rows.sort_values("clip_norm", ascending=False, kind="stable")
    by_norm = groups.with_cells(rows, ["clip_norm"])
    drawn = [
        partial(_one_cell, rows=by_norm[rows[groups.CELL] == cell], name=cell)
        for cell in sheet.rows[groups.CELL].unique()
    ]
    return _drawn(sheet._replace(keys=["clip_norm"]), drawn, "picture.clip_note")


def _one_cell(ax: Axes, sheet: Sheet, rows: pd.DataFrame, name: str) -> None:
    accuracy(ax, sheet._replace(rows=rows))
    ax.set_title(name or say("panel.test_accuracy"))
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.08 * (high - low), high + 0.1 * (high - low))  # room for the counts of failed runs


def _drawn(sheet: Sheet, drawn: Sequence[Callable[[Axes, Sheet], None]], note: str) -> Figure:
    # Two or four panels form pairs. A single panel is wide: its title needs the room.
    columns = 2 if len(drawn) in (2, 4) else min(3, len(drawn))
    title, size = panels.study_title("picture.precision", sheet.comparison), (4.6 if columns > 1 else 7.6, 3.3)
    figure, axes = style.sheet(len(drawn), title, say(note), columns, size)
    for ax, draw in zip(axes, drawn, strict=True):
        draw(ax, sheet)
        groups.label_groups(ax, sheet.keys)
    groups.legend_of_precisions(figure, sheet.levels, sheet.rows)
    return figure


@style.styled
def loss_scale(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw the loss scale and the steps skipped so far over the epochs, with a line for each variant in float16."""
    sheet = sheet_of(tables, comparison)
    rows = sheet.rows[sheet.rows["precision"] == "float16"]
    first, *others = sheet.keys or ["precision"]
    names = rows[groups.CELL].replace("", level("float16")).tolist()
    lines = panels.lines_by(rows, names, first, others, (3.4, 0.7, 1.2))
    title = panels.study_title("picture.loss_scale", comparison)
    figure, axes = style.sheet(2, title, say("picture.loss_scale_note"), 2, (6.2, 3.8))
    for ax, value in zip(axes, ("loss_scale", "skipped_steps"), strict=True):
        panels.over_epochs(ax, tables, lines, value, None, panels.SPREAD)
        style.label(ax, "axis.epoch", f"axis.{value}", f"panel.{value}")
    axes[0].set_yscale("log", base=2)
    groups.from_zero(axes[1])
    style.legend_below(figure, panels.handles(lines), columns=4)
    return figure
