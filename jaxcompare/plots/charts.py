"""Charts of the report's answers: panels of a few lines over categories or numbers, and panels of bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from jaxcompare.plots import style

WIDTH, HEIGHT, LEGEND = 7.2, 3.1, 0.19  # inches: a panel's width and height, and the height of a line of its legend
WIDE = 90  # letters: longer tick labels are slanted


class Point(NamedTuple):
    """A value with its interval or range (NaN: none), and whether any of its runs failed."""

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
    """Lines with axes; the texts are in the reader's language."""

    title: str
    note: str
    x: str
    y: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...] = ()  # places and texts; empty: matplotlib's own numbers
    log_x: bool = False
    log_y: bool = False
    from_zero: bool = False


class Bar(NamedTuple):
    """A bar between its name and its value."""

    name: str
    value: float
    colour: str
    pale: bool = False  # not reliable; the sheet's note says why


class Bars(NamedTuple):
    """Bars one below the other."""

    title: str
    note: str
    bars: tuple[Bar, ...]


class Sheet(NamedTuple):
    """Several panels, each with its legend below; panels of bars share a legend."""

    title: str
    note: str
    panels: tuple[Panel | Bars, ...]
    y: str  # what is measured
    keys: tuple[tuple[str, str], ...] = ()  # the names and colours of bars


@style.styled
def draw(panel: Panel | Sheet) -> Figure:
    """Draw a panel with its legend below, or a sheet's panels side by side."""
    if isinstance(panel, Sheet):
        bars = [one for one in panel.panels if isinstance(one, Bars)]
        return _bars(panel, bars) if bars else _lines(panel)
    columns = max(1, int(WIDTH * 13) // max(len(one.name) + 7 for one in panel.series))  # of the legend
    height = HEIGHT + LEGEND * math.ceil(len(panel.series) / min(3, columns))
    figure, (ax,) = style.sheet(1, panel.title, panel.note, columns=1, size=(WIDTH, height))
    _panel(ax, panel)
    style.legend_below(figure, [_key(one) for one in panel.series])
    return figure


def _lines(sheet: Sheet) -> Figure:
    """Draw panels of lines, two side by side."""
    panels = [one for one in sheet.panels if isinstance(one, Panel)]
    columns = min(2, len(panels))
    width = 1.15 * WIDTH / 2 if columns == 2 else WIDTH
    fitting = [max(1, int(width * 13) // max(style.width(each.name) + 7 for each in one.series)) for one in panels]
    lines = max(math.ceil(len(one.series) / many) for one, many in zip(panels, fitting, strict=True))
    figure, axes = style.sheet(len(panels), sheet.title, sheet.note, columns, (width, HEIGHT + LEGEND * lines))
    for ax, one, many in zip(axes, panels, fitting, strict=True):
        _panel(ax, one)
        ax.set_title(one.title)
        place: Any = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.2), "borderaxespad": 0.0}
        ax.legend(handles=[_key(each) for each in one.series], ncols=many, fontsize=8, handlelength=3, **place)
    return figure


def _bars(sheet: Sheet, panels: Sequence[Bars]) -> Figure:
    """Draw panels of bars, each as high as its bars need."""
    heights = [len(one.bars) + 1.6 for one in panels]
    figure = Figure(figsize=(WIDTH * 1.1, 1.5 + 0.2 * sum(heights)))
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.04))
    axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights}).ravel()
    style.title_lines(figure, sheet.title, sheet.note)
    for ax, one in zip(axes, panels, strict=True):
        for place, bar in enumerate(one.bars):
            ax.barh(place, bar.value, 0.72, color=bar.colour, alpha=0.35 if bar.pale else None)
            text = f"{bar.value:,.3g}" if bar.value < 1000 else f"{bar.value:,.0f}"
            style.beside(ax, text, (bar.value, place), (3, 0), va="center")
        ax.set_yticks(range(len(one.bars)), [bar.name for bar in one.bars], fontsize=7.5)
        ax.invert_yaxis()
        ax.grid(False, axis="y")
        ax.set_xlim(0, 1.15 * max(bar.value for bar in one.bars))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.tick_params(axis="x", labelsize=7)
        ax.set_title(one.title, fontsize=9)
    axes[-1].set_xlabel(sheet.y)
    style.legend_below(figure, [style.key(name, colour, marker="s", linestyle="none") for name, colour in sheet.keys])
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    """Draw the lines of a panel; points of one category lie side by side."""
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y)
    many = sum(not one.plain for one in panel.series)
    for index, one in enumerate(panel.series):
        _line(ax, one, 0.0 if panel.log_x or not panel.ticks else 0.05 * (index - (many - 1) / 2))
    if panel.log_x:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    if panel.ticks:
        places, texts = zip(*panel.ticks, strict=True)
        slant = max(map(len, texts)) * len(texts) > WIDE
        ax.set_xticks(places, texts, rotation=20 if slant else 0, ha="right" if slant else "center")
        if not panel.log_x:
            ax.set_xlim(min(places) - 0.4, max(places) + 0.4)
    if panel.log_y:
        style.log_values(ax)
    if panel.from_zero:
        ax.set_ylim(bottom=0)


def _line(ax: Axes, one: Series, shift: float) -> None:
    x, y, low, high, failed = np.array(one.points, float).reshape(-1, len(Point._fields)).T
    x = x + shift
    if one.plain:
        ax.plot(x, y, color=one.colour, linestyle=one.dash, linewidth=1.0, zorder=1)
        return
    ax.plot(x, y, color=one.colour, linestyle=one.dash, marker="o", markersize=4)
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(y)
    if known.any():
        ends = style.error(y, low, high)[:, known]
        ax.errorbar(x[known], y[known], yerr=ends, fmt="none", ecolor=one.colour, elinewidth=1.2, capsize=3)
    failed = failed.astype(bool)
    if (failed & np.isfinite(y)).any():
        style.cross(ax, x[failed], y[failed], one.colour, 9)


def _key(one: Series) -> Line2D:
    marker = None if one.plain else "o"
    return style.key(one.name, one.colour, linestyle=one.dash, marker=marker, markersize=4)
