"""Throughput against replicas: a panel a workload, every way and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.ways import WAYS
from benchmarks.workloads import WORKLOADS
from jaxcompare.plots import style

CEILING: dict[str, Any] = {"color": style.PALE, "linewidth": 3.0, "linestyle": "-"}
MARKERS = "osD^vPX*hd"  # one a way, as well as colours: lines cross

Row = dict[str, Any]


def draw(found: dict[str, Any]) -> bytes:
    """The picture as PNG, from what `--json` writes."""
    return style.png(figure(found))


@style.styled
def figure(found: dict[str, Any]) -> Any:
    """A sheet with a panel for each workload that was measured."""
    rows = [row for row in found["rows"] if "median" in row]
    names = [name for name in WORKLOADS if any(row["workload"] == name for row in rows)]
    machine = found["machine"]
    where = f"{machine['cores']} CPU cores" if machine["platform"] == "cpu" else machine["device"]
    note = f"Batch 128; {where}; median, least and most of {found['repeats']} runs in turn; training alone"
    columns = min(2, len(names))
    made, panels = style.sheet(len(names), "Replica-steps a second", note, columns=columns, size=(5.2, 3.6))
    for ax, name in zip(panels, names, strict=True):
        _panel(ax, name, [row for row in rows if row["workload"] == name])
    present = [way for way in WAYS if any(row["way"] == way for row in rows)]
    handles = [Line2D([], [], label=way, **_look(way)) for way in present]
    handles.append(Line2D([], [], label="the machine's ceiling", **CEILING))
    style.legend_below(made, handles, columns=4)
    return made


def _look(way: str) -> dict[str, Any]:
    one = WAYS[way]
    marker = MARKERS[list(WAYS).index(way)]
    width = 2.4 if way == "ours" else 1.4
    return {
        "color": style.PALETTE[one.colour],
        "linestyle": one.dash,
        "marker": marker,
        "markersize": 5,
        "linewidth": width,
    }


def _panel(ax: Axes, name: str, rows: Sequence[Row]) -> None:
    sizes = sorted({row["replicas"] for row in rows})
    for place, way in enumerate(("ceiling", *reversed(WAYS))):  # ours above the others
        line = sorted((row for row in rows if row["way"] == way), key=lambda row: row["replicas"])
        if not line:
            continue
        x, y = [row["replicas"] for row in line], [row["median"] for row in line]
        if way == "ceiling":
            # As wide as the panel, where there is but one number of replicas.
            ax.plot([0.8 * x[0], *x, 1.25 * x[-1]], [y[0], *y, y[-1]], **CEILING)
            continue
        if len(sizes) == 1:  # side by side, or they would hide one another
            x = [x[0] * 1.03 ** (len(WAYS) / 2 - place)]
        below = [row["median"] - row["least"] for row in line]
        above = [row["greatest"] - row["median"] for row in line]
        ax.errorbar(x, y, yerr=[below, above], elinewidth=1, capsize=2, **_look(way))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(0.7 * sizes[0], 1.43 * sizes[-1])
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("replicas")
    ax.set_ylabel("replica-steps a second")
    widths = "-".join(str(width) for width in WORKLOADS[name].widths)
    ax.set_title(f"{WORKLOADS[name].title} ({widths})")
