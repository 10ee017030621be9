"""Marks side by side: a group for each cell of the other factors, with a mark for each precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jaxcompare.analysis import Comparison
from jaxcompare.config.names import PRECISIONS
from jaxcompare.plots import panels, style
from jaxcompare.words import say, spoken, value_of

WIDTH = 0.7  # of a group, as a share of the space between groups
CELL = "cell"  # the column that `with_cells` adds
FOOT = 0.06  # of the axis' height: the place of a cross for a missing value
MOST_FLAT = 9  # marks on an axis with horizontal counts; among more marks counts are vertical
MOST_LETTERS = 40  # of horizontal group names; longer names are slanted


def keys_of(comparison: Comparison, *without: str) -> list[str]:
    """Return the factors that vary, except for `without`.

    The factor of a study that compares nothing is its learning rate, which does not vary.
    """
    nothing = ("learning_rate",) if comparison.rates_set and comparison.factor == "learning_rate" else ()
    first = [name for name in (comparison.factor,) if name not in nothing]
    return [name for name in dict.fromkeys((*first, *comparison.apart)) if name not in without]


def with_cells(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Add a column that names each row's cell of `keys`, in words."""
    names = [", ".join(value_of(row[key], key) for key in keys if not pd.isna(row[key])) for _, row in rows.iterrows()]
    return rows.assign(**{CELL: names})


def precisions_in(rows: pd.DataFrame) -> list[str]:
    """Return the precisions of the rows, in the order of `PRECISIONS`."""
    return [name for name in PRECISIONS if name in set(rows["precision"])]


def _placed(ax: Axes, rows: pd.DataFrame, levels: Sequence[str]) -> tuple[np.ndarray, list[Any]]:
    """Set the groups' names as ticks, slanted where they are long; return the place and colour of each row's mark."""
    cells = list(dict.fromkeys(rows[CELL]))
    slant: dict[str, Any] = {"rotation": 25, "ha": "right"} if sum(map(len, cells)) > MOST_LETTERS else {}
    ax.set_xticks(range(len(cells)), cells, **slant)
    ax.set_xlim(-0.6, len(cells) - 0.4)
    ax.grid(False, axis="x")
    shift = {name: WIDTH * ((i + 0.5) / len(levels) - 0.5) for i, name in enumerate(levels)}
    places = [cells.index(cell) + shift[name] for cell, name in zip(rows[CELL], rows["precision"], strict=True)]
    return np.array(places), rows["precision"].map(style.colours_of(levels)).tolist()


def dots(ax: Axes, rows: pd.DataFrame, levels: Sequence[str], value: str, sides: Sequence[str] = ()) -> None:
    """Draw a dot for each row with its interval, a cross at the foot for a missing value, and `k/n` for failed runs.

    Args:
        ax: the panel.
        rows: with a cell and a precision each; the failures are in `n_failed` and `n`, where these columns exist.
        levels: all precisions, also where a row is missing; each has a colour, and a place in every group.
        value: the column drawn.
        sides: the columns of the interval's ends, where there is an interval.
    """
    at, colours = _placed(ax, rows, levels)
    middle = rows[value].to_numpy(float)
    low, high = rows[list(sides or (value, value))].to_numpy(float).T
    errors = style.error(middle, low, high)
    tops = np.where(np.isfinite(high), high, middle)
    failed = rows["n_failed"] if "n_failed" in rows else np.zeros(len(rows), int)
    for index, (x, y, colour, k) in enumerate(zip(at, middle, colours, failed, strict=True)):
        count = f"{k}/{rows['n'].iloc[index]}" if k else ""
        look = {"ha": "center", "va": "bottom", "color": colour}
        if np.isfinite(y):
            bar = errors[:, [index]]
            ax.errorbar(x, y, yerr=bar, fmt="o", color=colour, markersize=5, capsize=2.5, linewidth=1.4)
            # Horizontal counts side by side would overlap.
            style.beside(ax, count, (x, tops[index]), (0, 5), rotation=90 if len(rows) > MOST_FLAT else 0, **look)
        else:
            cross_at_foot(ax, x, colour)
            style.beside(ax, count, (x, FOOT + 0.04), (0, 0), xycoords=ax.get_xaxis_transform(), **look)


def cross_at_foot(ax: Axes, x: float, colour: Any, height: float = FOOT) -> None:
    """Draw a cross at the foot of the axis: a missing value must be visible."""
    style.cross(ax, x, height, colour, transform=ax.get_xaxis_transform(), clip_on=False)


def bars(ax: Axes, rows: pd.DataFrame, levels: Sequence[str], values: pd.Series, texts: Sequence[str]) -> None:
    """Draw a bar for each row, with a text above the bar."""
    at, colours = _placed(ax, rows, levels)
    ax.bar_label(ax.bar(at, values, WIDTH / len(levels) * 0.92, color=colours), texts, fontsize=7, padding=2)
    ax.margins(y=0.15)


def from_zero(ax: Axes, *, shares: bool = False) -> None:
    """Begin the value axis at zero, with room above the highest mark; write `shares` in percent."""
    top = 1.1 * max(ax.dataLim.y1, 1e-9)
    ax.set_ylim(-0.03 * top, top)  # a mark at zero is seen whole
    if shares:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def label_groups(ax: Axes, keys: Sequence[str]) -> None:
    """Name the groups' factors on an axis that has no label yet."""
    if not ax.get_xlabel():
        # Some groups' names contain the factor's name, which the label must not repeat.
        known = spoken().catalogue
        names = (known.get(f"axis.groups_{key}") or spoken().factor(key) for key in keys)
        ax.set_xlabel(", ".join(names) or spoken().factor("precision"))


def legend_of_precisions(figure: Figure, levels: Sequence[str], rows: pd.DataFrame) -> None:
    """Draw the legend of the precisions' colours, with the number of seeds."""
    n, colours, mark = panels.numbers(rows["n"]), style.colours_of(levels), {"marker": "o", "linestyle": "none"}
    texts = {name: say("key.precision_n", name=name, n=n) for name in levels}
    style.legend_below(figure, [style.key(texts[name], colours[name], **mark) for name in levels])
