"""One panel of a few lines over categories or numbers: what an answer of the report is drawn with."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from jaxcompare.plots import style

WIDTH, HEIGHT, LEGEND = 7.2, 3.1, 0.19  # inches: of the panel, and of a line of its legend


class Point(NamedTuple):
    """A figure with its interval or range (NaN: none), and how many of its runs failed, in words."""

    x: float
    y: float
    low: float = np.nan
    high: float = np.nan
    failed: bool = False


class Series(NamedTuple):
    """A line's points, in their order."""

    name: str
    colour: str
    points: tuple[Point, ...]
    dash: Any = "-"
    plain: bool = False  # a guide: no markers, thin


class Panel(NamedTuple):
    """What is to be drawn, its texts in the reader's language."""

    title: str
    note: str
    x: str
    y: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...] = ()  # where the axis says what; none: numbers as they come
    log_x: bool = False
    log_y: bool = False
    from_zero: bool = False


@style.styled
def draw(panel: Panel) -> Figure:
    """The panel with its legend below; points of one category stand a little apart."""
    columns = max(1, int(WIDTH * 13) // max(len(one.name) + 7 for one in panel.series))  # as the legend has them
    height = HEIGHT + LEGEND * math.ceil(len(panel.series) / min(3, columns))
    figure, (ax,) = style.sheet(1, panel.title, panel.note, columns=1, size=(WIDTH, height))
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y)
    told = [one for one in panel.series if not one.plain]
    for index, one in enumerate(panel.series):
        _line(ax, one, 0.0 if panel.log_x or not panel.ticks else 0.05 * (index - (len(told) - 1) / 2))
    if panel.log_x:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    if panel.ticks:
        turned = max(len(text) for _, text in panel.ticks) * len(panel.ticks) > 90
        ax.set_xticks(*zip(*panel.ticks, strict=True), rotation=20 if turned else 0, ha="right" if turned else "center")
        if not panel.log_x:
            places = [place for place, _ in panel.ticks]
            ax.set_xlim(min(places) - 0.4, max(places) + 0.4)
    if panel.log_y:
        style.log_values(ax)
    if panel.from_zero:
        ax.set_ylim(bottom=0)
    style.legend_below(figure, [_key(one) for one in panel.series])
    return figure


def _line(ax: Axes, one: Series, shift: float) -> None:
    x = np.array([point.x for point in one.points]) + shift
    y, low, high = (np.array([getattr(point, name) for point in one.points]) for name in ("y", "low", "high"))
    if one.plain:
        ax.plot(x, y, color=one.colour, linestyle=one.dash, linewidth=1.0, zorder=1)
        return
    ax.plot(x, y, color=one.colour, linestyle=one.dash, marker="o", markersize=4)
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(y)
    if known.any():
        ends = np.clip(np.stack([y - low, high - y])[:, known], 0, None)
        ax.errorbar(x[known], y[known], yerr=ends, fmt="none", ecolor=one.colour, elinewidth=1.2, capsize=3)
    failed = np.array([point.failed for point in one.points])
    if (failed & np.isfinite(y)).any():
        ax.plot(x[failed], y[failed], linestyle="none", marker="x", markersize=9, color=one.colour, markeredgewidth=2)


def _key(one: Series) -> Line2D:
    marker = None if one.plain else "o"
    return Line2D([], [], color=one.colour, linestyle=one.dash, marker=marker, markersize=4, label=one.name)
