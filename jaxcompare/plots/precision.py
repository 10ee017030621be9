"""What half precision changes: accuracy, skipped steps, gradients lost to zero, dead units, clipping, the loss scale."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.config.names import PRECISIONS
from jaxcompare.plots import groups, panels, style
from jaxcompare.words import level, say, value_of

FULL = "float32"
SIDES = ("low", "high")


class Sheet(NamedTuple):
    """What the panels of one comparison share."""

    tables: panels.Tables
    comparison: Comparison
    keys: list[str]  # what makes a group: the factors that vary, but for the precision
    rows: pd.DataFrame  # of the summary, each with its group
    levels: list[str]  # the precisions
    replicas: pd.DataFrame
    runs: pd.DataFrame  # as `finals`

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of the comparison's replicas."""
        return table[table["replica_id"].isin(self.replicas["replica_id"])]

    def labelled(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows by variant with their cell, precision and failures, in the summary's order."""
        told = self.rows[["variant_id", groups.CELL, "precision", "n", "n_failed"]]
        kept = [name for name in rows if name == "variant_id" or name not in told]
        return told.merge(rows[kept], on="variant_id", how="inner")

    def last(self) -> pd.DataFrame:
        """Each replica's last row of `history`, with its variant and the number of its steps."""
        last = self.of(self.tables["history"]).sort_values("epoch").groupby("replica_id").tail(1)
        return last.merge(self.replicas[["replica_id", "variant_id"]], on="replica_id")


def sheet_of(tables: panels.Tables, comparison: Comparison, *within: str) -> Sheet:
    """Of a comparison; the factors `within` do not make groups."""
    keys = groups.keys_of(comparison, "precision", *within)
    rows = groups.with_cells(analysis.rows_of(tables["summary"], comparison), keys)
    replicas = analysis.rows_of(tables["replicas"], comparison)
    history = tables["history"][tables["history"]["replica_id"].isin(replicas["replica_id"])]
    levels = [name for name in PRECISIONS if name in set(rows["precision"])]
    return Sheet(tables, comparison, keys, rows, levels, replicas, analysis.finals(replicas, history))


def accuracy(ax: Axes, sheet: Sheet, rows: pd.DataFrame | None = None) -> None:
    """Test accuracy with its interval."""
    rows = sheet.rows if rows is None else rows
    sides = ("test_accuracy_low", "test_accuracy_high")
    groups.dots(ax, rows, "precision", sheet.levels, "test_accuracy_mean", sides, (0.0, 1.0))
    ax.set_ylabel(say("axis.test_accuracy"))
    ax.set_title(say("panel.test_accuracy"))


def difference(ax: Axes, sheet: Sheet, factor: str, reference: object, title: str) -> None:
    """Test accuracy less that of the reference, in points, seed by seed."""
    found = analysis.against(sheet.runs, sheet.comparison, factor, reference)
    rows = sheet.labelled(found[["variant_id", "difference", *SIDES]]).drop(columns="n_failed")
    rows = rows.assign(**{name: 100 * rows[name] for name in ("difference", *SIDES)})
    ax.axhline(0, color=style.INK, linewidth=0.8)
    groups.dots(ax, rows, "precision", sheet.levels, "difference", SIDES)
    ax.set_ylabel(say("axis.difference"))
    ax.set_title(title)


def skipped(ax: Axes, sheet: Sheet) -> None:
    """The share of steps that loss scaling skipped: median and range over seeds."""
    last = sheet.last()
    shares = (last["skipped_steps"] / last["step"]).groupby(last["variant_id"])
    found = shares.agg(["median", "min", "max"]).dropna().reset_index()
    rows = sheet.labelled(found).drop(columns="n_failed")  # of runs that diverged, too: it says why
    groups.dots(ax, rows, "precision", sheet.levels, "median", ("min", "max"))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    groups.from_zero(ax)
    ax.set_ylabel(say("axis.skipped"))
    ax.set_title(say("panel.skipped"))


def underflow(ax: Axes, sheet: Sheet) -> None:
    """By layer the share of the gradient's entries that become zero: mean over seeds, the largest of all epochs."""
    table = sheet.of(sheet.tables["layers"]).merge(sheet.replicas[["replica_id", "variant_id"]], on="replica_id")
    worst = table.groupby(["variant_id", "layer_index", "layer"])["gradient_underflow"]
    means = table.groupby(["variant_id", "layer_index", "layer", "epoch"])["gradient_underflow"].mean()
    found = means.groupby(level=[0, 1, 2]).max().where(worst.count() > 0).dropna().reset_index()
    cells = list(dict.fromkeys(sheet.rows[groups.CELL]))
    dashes = {name: style.DASHES[i % len(style.DASHES)] for i, name in enumerate(cells)}
    colours = style.colours_of(sheet.levels)
    for _, row in sheet.rows.iterrows():
        one = found[found["variant_id"] == row["variant_id"]].sort_values("layer_index")
        if len(one):
            drawn: Any = {"color": colours[row["precision"]], "linestyle": dashes[row[groups.CELL]]}
            ax.plot(one["layer_index"], one["gradient_underflow"], marker="o", markersize=3.5, **drawn)
    named = found.drop_duplicates("layer_index").sort_values("layer_index")
    ax.set_xticks(named["layer_index"], [level(name) for name in named["layer"]], rotation=20)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    groups.from_zero(ax)
    style.label(ax, "axis.layer", "axis.underflow", "panel.underflow")
    if len(cells) > 1:
        ax.legend(handles=panels.keys({name: dashes[name] for name in cells}), fontsize=7, loc="best")


def dead(ax: Axes, sheet: Sheet) -> None:
    """The share of dead units after the last epoch."""
    _inside(ax, sheet, "dead_fraction_final")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    groups.from_zero(ax)
    ax.set_ylabel(say("axis.dead_mean"))
    ax.set_title(say("panel.dead"))


def vanishing(ax: Axes, sheet: Sheet) -> None:
    """The gradient's norm in the first layer over that in the last, at initialisation."""
    _inside(ax, sheet, "gradient_ratio_initial")
    ax.set_yscale("log")
    ax.axhline(analysis.VANISHED, color=style.INK, linewidth=0.8, linestyle=":")
    ax.text(0.99, analysis.VANISHED, say("key.vanished"), transform=ax.get_yaxis_transform(), ha="right", fontsize=7)
    ax.set_ylabel(say("axis.gradient_ratio"))
    ax.set_title(say("panel.gradients_start"))


def _inside(ax: Axes, sheet: Sheet, name: str) -> None:
    found = analysis.summarise_layers(sheet.replicas, sheet.of(sheet.tables["layers"]))[["variant_id", name]]
    groups.dots(ax, sheet.labelled(found).dropna(subset=[name]), "precision", sheet.levels, name)


@style.styled
def precisions(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Accuracy, difference from float32, skipped steps, gradient underflow; of activations what happens inside as well."""
    sheet = sheet_of(tables, comparison)
    drawn: list[Callable[[Axes, Sheet], None]] = [accuracy]
    if FULL in sheet.levels:
        title = say("panel.from_full", name=level(FULL))
        drawn.append(lambda ax, sheet: difference(ax, sheet, "precision", FULL, title))
    drawn += [skipped] if "skipped_steps" in sheet.tables["history"] else []
    drawn += [underflow] if _known(sheet, "gradient_underflow") else []
    drawn += [dead, vanishing] if "activation" in sheet.keys and _known(sheet, "dead_fraction") else []
    return _drawn(sheet, drawn, say("picture.precision_note"))


@style.styled
def clipping(tables: panels.Tables, comparison: Comparison) -> Figure:
    """For each setting, on an axis of its own: accuracy by precision, a group a norm; what is 0.1 apart hides nothing."""
    sheet = sheet_of(tables, comparison, "clip_norm")
    cells = list(dict.fromkeys(sheet.rows[groups.CELL]))
    by_norm = sheet.rows.sort_values("clip_norm", ascending=False, kind="stable")
    names = [value_of(norm, "clip_norm") for norm in by_norm["clip_norm"]]
    drawn = [
        partial(_one_cell, rows=by_norm.assign(**{groups.CELL: names})[by_norm[groups.CELL] == cell], name=cell)
        for cell in cells
    ]
    return _drawn(sheet._replace(keys=["clip_norm"]), drawn, say("picture.clip_note"))


def _one_cell(ax: Axes, sheet: Sheet, rows: pd.DataFrame, name: str) -> None:
    accuracy(ax, sheet, rows)
    ax.set_title(name or say("panel.test_accuracy"))
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.08 * (high - low), high + 0.1 * (high - low))  # room for the counts of failed runs


def _known(sheet: Sheet, name: str) -> bool:
    layers = sheet.tables.get("layers")
    return layers is not None and name in layers and bool(sheet.of(layers)[name].notna().any())


def _drawn(sheet: Sheet, drawn: list, note: str) -> Figure:
    one = sheet.comparison
    title = say(
        "picture.precision", where=say("report.study", dataset=level(one.dataset), study=level(one.study, "study"))
    )
    # Two or four stand in pairs; so does what is alone in its comparison with a title that needs the room.
    columns = 2 if len(drawn) in (2, 4) else min(3, len(drawn))
    figure, axes = style.sheet(len(drawn), title, note, columns, (4.6 if columns > 1 else 7.6, 3.3))
    for ax, draw in zip(axes, drawn, strict=True):
        draw(ax, sheet)
        groups.label_groups(ax, sheet.keys)
    n = sorted(sheet.rows["n"].unique())
    names = {name: say("key.precision_n", name=name, n="-".join(str(one) for one in n)) for name in sheet.levels}
    style.legend_below(figure, groups.colour_keys(sheet.levels, names))
    return figure


@style.styled
def loss_scale(tables: panels.Tables, comparison: Comparison) -> Figure:
    """The loss scale and the steps skipped so far over the epochs, a line a variant in float16."""
    sheet = sheet_of(tables, comparison)
    rows = sheet.rows[sheet.rows["precision"] == "float16"]
    first = sheet.keys[0] if sheet.keys else "precision"
    colours = style.colours_of(rows[first])
    rest = [", ".join(str(row[key]) for key in sheet.keys[1:]) for _, row in rows.iterrows()]
    order = {name: style.DASHES[i % len(style.DASHES)] for i, name in enumerate(dict.fromkeys(rest))}
    lines = [
        panels.Line(
            row["variant_id"],
            f"{row[groups.CELL] or level('float16')} ({panels.failures(row)})",
            colours[row[first]],
            order[other],
            max(1.2, 3.4 - 0.7 * index),  # lines that coincide all show
        )
        for index, ((_, row), other) in enumerate(zip(rows.iterrows(), rest, strict=True))
    ]
    title = say(
        "picture.loss_scale",
        where=say("report.study", dataset=level(comparison.dataset), study=level(comparison.study, "study")),
    )
    figure, axes = style.sheet(2, title, say("picture.loss_scale_note"), 2, (6.2, 3.8))
    for ax, value in zip(axes, ("loss_scale", "skipped_steps"), strict=True):
        panels.spread_over_epochs(ax, tables["history"], tables, lines, value, zeros=True)
        style.label(ax, "axis.epoch", f"axis.{value}", f"panel.{value}")
    axes[0].set_yscale("log", base=2)
    groups.from_zero(axes[1])
    style.legend_below(figure, panels.handles(lines), columns=4)
    return figure
