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

from jaxcompare.plots import labels, rooms, style
from jaxcompare.words import concise, say

WIDTH, HEIGHT, LEGEND = 7.2, 3.1, 0.19  # inches: a panel's width and height, and the height of a line of its legend
MOST_LINES, MOST_BARS = 24, 60  # in a panel
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
    """Draw a panel with its legend below, or a sheet's panels side by side: at most `MOST_LINES` or `MOST_BARS` of each."""
    whole = panel.panels if isinstance(panel, Sheet) else (panel,)
    shown = tuple(_few(one) for one in whole)
    figure = _sheet(panel._replace(panels=shown)) if isinstance(panel, Sheet) else _single(shown[0])
    kept, every = (sum(map(_count, panels)) for panels in (shown, whole))
    if kept < every:
        rooms.add_note(figure, say("picture.few_lines", kept=kept, every=every))
    return figure


def _few(panel: Panel | Bars) -> Any:
    """Return a panel with its first lines, and every guide, or with its first bars."""
    if isinstance(panel, Bars):
        return panel._replace(bars=panel.bars[:MOST_BARS])
    kept = _measured(panel)[:MOST_LINES]
    return panel._replace(series=tuple(one for one in panel.series if one.plain or one in kept))


def _count(panel: Panel | Bars) -> int:
    return len(panel.bars) if isinstance(panel, Bars) else len(_measured(panel))


def _measured(panel: Panel) -> list[Series]:
    return [one for one in panel.series if not one.plain]


def _sheet(sheet: Sheet) -> Figure:
    bars = [one for one in sheet.panels if isinstance(one, Bars)]
    return _bars(sheet, bars) if bars else _lines(sheet)


def _single(panel: Panel) -> Figure:
    columns = _side_by_side(panel, WIDTH)
    height = HEIGHT + LEGEND * min(style.LINES, math.ceil(len(panel.series) / min(3, columns)))
    figure, (ax,) = style.sheet(1, panel.title, panel.note, columns=1, size=(WIDTH, height))
    _panel(ax, panel)
    style.legend_below(figure, [_key(one) for one in panel.series])
    return figure


def _side_by_side(panel: Panel, inches: float) -> int:
    """Return the columns of a panel's legend."""
    return max(1, int(inches * 13) // max(labels.width(one.name) + style.KEY for one in panel.series))


def _lines(sheet: Sheet) -> Figure:
    """Draw panels of lines, two side by side."""
    panels = [one for one in sheet.panels if isinstance(one, Panel)]
    columns = min(2, len(panels))
    width = 1.15 * WIDTH / 2 if columns == 2 else WIDTH
    fitting = [_side_by_side(one, width) for one in panels]
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
        known = [bar.value for bar in one.bars if math.isfinite(bar.value)]
        for place, bar in enumerate(one.bars):
            if not math.isfinite(bar.value):
                style.beside(ax, say("number.none"), (0, place), (3, 0), va="center")
                continue
            ax.barh(place, bar.value, 0.72, color=bar.colour, alpha=0.35 if bar.pale else None)
            style.beside(ax, concise(bar.value), (bar.value, place), (3, 0), va="center")
        ax.set_yticks(range(len(one.bars)), [bar.name for bar in one.bars], fontsize=7.5)
        ax.invert_yaxis()
        ax.grid(False, axis="y")
        ax.set_xlim(0, 1.15 * max(known, default=0.0) or 1.0)
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
