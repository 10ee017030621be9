"""Marks side by side: a group for each cell of the factors kept apart, in it a mark for each level of one factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from jaxcompare.analysis import Comparison
from jaxcompare.plots import style
from jaxcompare.words import spoken, value_of

WIDTH = 0.7  # of a group, of the space that it has
CELL = "cell"  # the column that `with_cells` adds
FOOT = 0.06  # of the axis' height, where a cross stands for what has no value
MOST_FLAT = 9  # marks on an axis whose counts stand upright
MOST_LETTERS = 40  # of the groups' names side by side; longer ones stand aslant


def keys_of(comparison: Comparison, *without: str) -> list[str]:
    """The factors that vary, but for some. A study that compares nothing has its learning rate for a factor, which does not."""
    nothing = ("learning_rate",) if comparison.rates_set and comparison.factor == "learning_rate" else ()
    first = [name for name in (comparison.factor,) if name not in nothing]
    return [name for name in dict.fromkeys((*first, *comparison.apart)) if name not in without]


def with_cells(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """With a column that names each row's cell of `keys`, in words."""
    names = [", ".join(value_of(row[key], key) for key in keys if not pd.isna(row[key])) for _, row in rows.iterrows()]
    return rows.assign(**{CELL: names})


def places(rows: pd.DataFrame, cells: Sequence[str], factor: str, levels: Sequence[object]) -> np.ndarray:
    """Where each row's mark stands."""
    shift = {one: WIDTH * ((i + 0.5) / len(levels) - 0.5) for i, one in enumerate(levels)}
    order = {name: index for index, name in enumerate(cells)}
    return np.array([order[cell] + shift[one] for cell, one in zip(rows[CELL], rows[factor], strict=True)])


def dots(
    ax: Axes,
    rows: pd.DataFrame,
    factor: str,
    levels: Sequence[object],
    value: str,
    sides: tuple[str, str] = ("", ""),
    within: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """A dot a row with a bar from one side to the other; where there is no value a cross at the foot, with who failed.

    Args:
        ax: to draw on.
        rows: with a cell each; of those that have failed runs `n_failed` and `n` are told.
        factor: of which each level has a colour and a place in every group.
        levels: all of them, also where a row is missing.
        value: the column drawn.
        sides: the columns of the interval's ends, if it has any.
        within: where they are cut: an accuracy's interval may leave 0 to 1.
    """
    cells = list(dict.fromkeys(rows[CELL]))
    at = places(rows, cells, factor, levels)
    colours = style.colours_of(levels)
    heights = rows[value].to_numpy(float)
    for x, y, (_, row) in zip(at, heights, rows.iterrows(), strict=True):
        if not np.isfinite(y):
            cross(ax, x, colours[row[factor]])
            continue
        low, high = (float(np.clip(row[side], *within)) if side else np.nan for side in sides)
        error = np.nan_to_num([[y - low], [high - y]])
        ax.errorbar(x, y, yerr=error, fmt="o", color=colours[row[factor]], markersize=5, capsize=2.5, linewidth=1.4)
    ticks(ax, cells)
    tops = np.clip(rows[sides[1]].to_numpy(float), *within) if sides[1] else heights
    tell_failures(ax, rows, at, np.where(np.isfinite(tops), tops, heights), [colours[one] for one in rows[factor]])


def cross(ax: Axes, x: float, colour: Any) -> None:
    """At the foot of the axis, where something has no value: that it is not there must be seen."""
    foot: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
    ax.plot(x, FOOT, marker="x", markersize=6, markeredgewidth=2, color=colour, **foot)


def tell_failures(ax: Axes, rows: pd.DataFrame, at: np.ndarray, heights: np.ndarray, colours: Sequence[Any]) -> None:
    """`k/n` above the marks of variants with failed runs, or above the cross that stands at the foot in place of a mark."""
    if "n_failed" not in rows:
        return
    for x, y, colour, k, n in zip(at, heights, colours, rows["n_failed"], rows["n"], strict=True):
        if k and np.isfinite(y):
            drawn: Any = {"textcoords": "offset points", "ha": "center", "va": "bottom", "color": colour, "fontsize": 7}
            # Side by side they would run into one another.
            drawn["rotation"] = 90 if len(rows) > MOST_FLAT else 0
            ax.annotate(f"{k}/{n}", (x, y), (0, 5), **drawn)
        elif k:
            drawn = {
                "transform": ax.get_xaxis_transform(),
                "ha": "center",
                "va": "bottom",
                "fontsize": 7,
                "color": colour,
            }
            ax.text(x, FOOT + 0.04, f"{k}/{n}", **drawn)


def bars(
    ax: Axes, rows: pd.DataFrame, factor: str, levels: Sequence[object], value: str, texts: Sequence[str] = ()
) -> None:
    """A bar a row, with a text above each."""
    cells = list(dict.fromkeys(rows[CELL]))
    at = places(rows, cells, factor, levels)
    colours = style.colours_of(levels)
    drawn = ax.bar(at, rows[value], WIDTH / len(levels) * 0.92, color=[colours[one] for one in rows[factor]])
    if len(texts):
        ax.bar_label(drawn, list(texts), fontsize=7, padding=2)
        ax.margins(y=0.15)
    ticks(ax, cells)


def from_zero(ax: Axes) -> None:
    """A value axis that begins at zero, with room above the highest mark."""
    top = 1.1 * max(ax.dataLim.y1, 1e-9)
    ax.set_ylim(-0.03 * top, top)  # a mark at zero is seen whole


def label_groups(ax: Axes, keys: Sequence[str]) -> None:
    """What the groups differ in, on an axis that is not labelled yet."""
    if not ax.get_xlabel():
        # Where the groups' names have the factor's in them, its name would stand there twice.
        known = spoken().catalogue
        names = (known.get(f"axis.groups_{key}") or spoken().factor(key) for key in keys)
        ax.set_xlabel(", ".join(names) or spoken().factor("precision"))


def ticks(ax: Axes, cells: Sequence[str]) -> None:
    """The groups' names, aslant where they would not stand side by side."""
    aslant = sum(map(len, cells)) > MOST_LETTERS
    turned: dict[str, Any] = {"rotation": 25, "ha": "right"} if aslant else {}
    ax.set_xticks(range(len(cells)), cells, **turned)
    ax.set_xlim(-0.6, len(cells) - 0.4)
    ax.grid(False, axis="x")


def colour_keys(levels: Sequence[str], names: Mapping[str, str]) -> list[Line2D]:
    """Legend entries for the levels' colours."""
    colours = style.colours_of(levels)
    return [Line2D([], [], color=colours[one], marker="o", linestyle="none", label=names[one]) for one in levels]
