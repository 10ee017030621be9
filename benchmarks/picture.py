"""Pictures of rates: panels of lines, and the benchmark's sheet, a panel a workload with every way and the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from benchmarks.tables import Row
from benchmarks.ways import WAYS
from benchmarks.workloads import WORKLOADS, widths_of
from jaxcompare.plots import style

MARKERS = "osD^vPX*hd"  # each line has a marker as well as a colour: lines cross
Look = dict[str, Any]
LOOKS: dict[str, Look] = {"ceiling": {"color": style.PALE, "linewidth": 3.0}} | {
    name: {"color": style.PALETTE[way.colour], "linestyle": way.dash, "marker": MARKERS[place]}
    for place, (name, way) in reversed(list(enumerate(WAYS.items())))  # ours is drawn last
}


class Panel(NamedTuple):
    """One panel: rows by line, and the keys of x and y."""

    title: str
    lines: Mapping[str, Sequence[Row]]
    x: str = "replicas"
    y: str = "median"
    ylabel: str = "replica-steps a second"
    log: bool = True


def sheet(title: str, note: str, panels: Sequence[Panel], columns: int, size: tuple[float, float] = (4.6, 3.6)) -> Any:
    """Return the figure of some panels, with one legend for all of them."""
    figure, axes = style.sheet(len(panels), title, note, columns=min(columns, len(panels)), size=size)
    names = list(dict.fromkeys(name for panel in panels for name, rows in panel.lines.items() if rows))
    looks = {
        name: LOOKS.get(name, {"color": style.PALETTE[place], "marker": MARKERS[place]})
        for place, name in enumerate(names)
    }
    for ax, panel in zip(axes, panels, strict=True):
        _draw(ax, panel, looks)
    style.legend_below(figure, [Line2D([], [], label=name, **look) for name, look in looks.items()], columns=4)
    return figure


def _draw(ax: Axes, panel: Panel, looks: Mapping[str, Look]) -> None:
    x_values = sorted({row[panel.x] for rows in panel.lines.values() for row in rows})
    for name, every in panel.lines.items():
        rows = sorted((row for row in every if row.get(panel.y) is not None), key=lambda row: row[panel.x])
        x, y = [row[panel.x] for row in rows], [row[panel.y] for row in rows]
        low_high = [(row["median"] - row["least"], row["greatest"] - row["median"]) for row in rows if "least" in row]
        bars = list(zip(*low_high, strict=True)) if panel.y == "median" and len(low_high) == len(rows) > 0 else None
        ax.errorbar(x, y, yerr=bars, elinewidth=1, capsize=2, **looks.get(name, {}))
    ax.set(xlabel=panel.x, ylabel=panel.ylabel, title=panel.title)
    for axis, wanted in ((ax.xaxis, panel.log), (ax.yaxis, panel.log and panel.y == "median")):
        if wanted:
            ax.set(**{f"{axis.axis_name}scale": "log"})
            axis.set_major_locator(FixedLocator(x_values) if axis is ax.xaxis else LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axis.set_minor_locator(NullLocator())
        else:
            ax.set(**{f"{axis.axis_name}lim": (0, None)})


def draw(known: Row) -> bytes:
    """Return the sheet of what `--json` writes, as PNG."""
    return style.png(figure(known))


@style.styled
def figure(known: Row) -> Any:
    """Return the sheet: a panel for each workload that was measured."""
    rows, machine, panels = [row for row in known["rows"] if "median" in row], known["machine"], []
    for name in dict.fromkeys(row["workload"] for row in rows):
        lines = {way: [row for row in rows if (row["workload"], row["way"]) == (name, way)] for way in LOOKS}
        work = WORKLOADS[name]
        panels.append(Panel(f"{work.title} ({'-'.join(map(str, widths_of(work.network)))})", lines))
    where = f"{machine['cores']} CPU cores" if machine["platform"] == "cpu" else machine["device"]
    note = f"Batch 128; {where}; median, least and greatest of {known['repeats']} runs in turn; training alone"
    return sheet("Replica-steps a second", note, panels, 2, (5.2, 3.6))
