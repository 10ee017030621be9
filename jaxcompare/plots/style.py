"""One look for every picture: colours, fonts, sheets, files. Without pyplot no figure is global, and none is shown."""

from __future__ import annotations

import functools
import io
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator, LogLocator, NullLocator
from PIL import Image

from jaxcompare.config import names
from jaxcompare.plots import fonts, hues, labels, rooms
from jaxcompare.words import say, spoken

# Okabe and Ito, "Color universal design" (2008): readers with any common colour blindness distinguish these colours.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
INK = "#333333"
PALE = "#BBBBBB"
FEW_EPOCHS_TO_CUT = 4  # with fewer, the start is most of the curve
DASHES = ("-", "--", ":", "-.")
KEY = 7  # letters that a legend's mark takes
LINES = 6  # of a legend that a sheet has room for
RC: Any = {
    "figure.dpi": 200,
    "svg.hashsalt": "jaxcompare",  # without a fixed salt every file has other names
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
# Class 1 is blue and class 0 orange, paler where the network is unsure.
TWO_CLASSES = LinearSegmentedColormap.from_list("two_classes", ["#E69F00", "#FFFFFF", "#56B4E9"])
SHARE = LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#F3C9A8", "#D55E00", "#5C2800"])

LEVELS = (names.LOSSES, names.ACTIVATIONS, tuple(names.OPTIMIZERS), tuple(names.SCHEDULES), tuple(names.PRECISIONS))
COLOURS = {level: PALETTE[index % len(PALETTE)] for group in LEVELS for index, level in enumerate(group)}

Drawn = TypeVar("Drawn", bound=Callable[..., Any])


def colours_of(levels: Iterable[object]) -> dict[object, str]:
    """Return a colour for each of the levels on a sheet: of the palette, then of 108 others, all different."""
    unique = sorted(dict.fromkeys(levels), key=str)
    colours = {level: COLOURS[str(level)] for level in unique if str(level) in COLOURS}
    for level in unique:
        if level not in colours:
            spare = [colour for colour in PALETTE if colour not in colours.values()]
            colours[level] = spare[0] if spare else hues.another(colours.values())
    return colours


def colours_of_rates(rates: Sequence[float]) -> dict[float, Any]:
    """Return colours for an ordered grid, from dark (low) to light (high)."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, max(len(rates), 2)))
    return dict(zip(sorted(rates), shades, strict=False))


def dashes_of(levels: Iterable[Any]) -> dict[Any, str]:
    """Return a dash for each level, in order; the dashes repeat where there are more levels."""
    return dict(zip(dict.fromkeys(levels), itertools.cycle(DASHES), strict=False))


def spaced(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` items at even distances, the first and the last among them."""
    places = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[place] for place in places]


def styled(function: Drawn) -> Drawn:
    """Decorate a drawing function: run it under the package's style, with letters for the current language."""

    @functools.wraps(function)
    def draw(*arguments: Any, **options: Any) -> Any:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # the user's own settings may ask for LaTeX, other margins, ...
            matplotlib.rcParams.update(RC | {"font.family": fonts.families(spoken().language)})
            made = function(*arguments, **options)
            if isinstance(made, Figure):
                rooms.fit(made)
                fonts.prepare(made, spoken().language)
            return made

    return draw  # type: ignore[return-value]


def png(figure: Figure) -> bytes:
    """Return the picture as PNG at 200 dots an inch; the same figure gives the same bytes."""
    return _encoded(raster(figure), figure)


def png_and_page(figure: Figure) -> tuple[bytes, bytes]:
    """Return the picture of `png`, and the picture at three fifths of the size.

    A page shows pictures at the smaller size, which keeps pages of many pictures small.
    """
    whole = raster(figure)
    size = (max(1, whole.width * 3 // 5), max(1, whole.height * 3 // 5))
    small = whole.resize(size, Image.Resampling.LANCZOS)
    return _encoded(whole, figure), _encoded(small, figure, 0.6, colours=64)


@styled
def raster(figure: Figure) -> Image.Image:
    """Return the picture's pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


@styled
def vector(figure: Figure, kind: str) -> bytes:
    """Return the picture as `pdf` or `svg`; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"CreationDate" if kind == "pdf" else "Date": None})
    return buffer.getvalue()


def _encoded(picture: Image.Image, figure: Figure, scale: float = 1.0, colours: int = 256) -> bytes:
    """Return a PNG of a figure's pixels. For lines and bands 256 colours are enough, and make a third of the size."""
    buffer = io.BytesIO()
    # An octree takes a tenth of the time, but merges neighbouring shades, which must differ where they encode values.
    shaded = any(ax.images for ax in figure.axes)
    method = Image.Quantize.MEDIANCUT if shaded else Image.Quantize.FASTOCTREE
    few = picture.quantize(colours, method=method, dither=Image.Dither.NONE)
    on_paper(few, picture).save(buffer, "png", optimize=False, dpi=(scale * figure.dpi, scale * figure.dpi))
    return buffer.getvalue()


def on_paper(few: Image.Image, picture: Image.Image) -> Image.Image:
    """Return the picture in few colours, with exactly the paper's colour (the colour of the corner) of `picture`."""
    palette, paper = list(few.getpalette() or ()), int(np.asarray(few)[0, 0])
    palette[3 * paper : 3 * paper + 3] = np.asarray(picture)[0, 0].tolist()
    few.putpalette(palette)
    return few


def sheet(
    panels: int, title: str, note: str, columns: int = 3, size: tuple[float, float] = (4.0, 3.1)
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes [panels], `columns` side by side, with a title and a smaller note below the title.

    `size` is the size of one panel, in inches.
    """
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows + 1.1))
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[panels:]:
        spare.remove()
    title_lines(figure, title, note)
    return figure, list(axes[:panels])


def title_lines(figure: Figure, title: str, note: str) -> None:
    """Write a bold title and a note below the title, both at the left edge."""
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=13, fontweight="bold")
    if note:
        figure.text(0.01, 1 - 0.43 / figure.get_figheight(), note, ha="left", va="center", fontsize=9, color=INK)


def label(ax: Axes, x: str, y: str, title: str = "") -> None:
    """Set both axes' labels and the panel's title, by their keys in `words`; an empty key is an empty text."""
    for key, write in ((x, ax.set_xlabel), (y, ax.set_ylabel), (title, ax.set_title)):
        write(say(key) if key else "")


def image_panel(ax: Axes) -> None:
    """Prepare a panel for an image: without a grid, grey where the image has no value."""
    ax.grid(False)
    ax.set_facecolor(PALE)


def write_cell(ax: Axes, x: float, y: float, text: str, size: float, *, dark: bool) -> None:
    """Write a text in a cell of a heat map, in white where the cell is dark."""
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")


def key(text: str, colour: Any, **look: Any) -> Line2D:
    """Return a legend entry."""
    return Line2D([], [], color=colour, label=text, **look)


def cross(ax: Axes, x: Any, y: Any, colour: Any, size: float = 6, **look: Any) -> None:
    """Draw the mark of failed runs."""
    ax.plot(x, y, linestyle="none", marker="x", markersize=size, markeredgewidth=2, color=colour, **look)


def beside(ax: Axes, text: str, place: tuple[float, float], by: tuple[float, float], **look: Any) -> None:
    """Write a small text `by` points from a place, if there is a text."""
    if text:
        ax.annotate(text, place, by, textcoords="offset points", **{"fontsize": 7} | look)


def error(middle: Any, low: Any, high: Any) -> np.ndarray:
    """Return the lengths [2, N] of error bars; where an end is not known, the bar has no length."""
    return np.clip(np.nan_to_num([middle - low, high - middle]), 0.0, None)


def log_values(ax: Axes) -> None:
    """Make the value axis logarithmic. The axis ends below the lowest line; bands may reach lower."""
    values = np.concatenate([np.zeros(0), *(np.asarray(line.get_ydata(), float) for line in ax.lines)])
    values = values[np.isfinite(values) & (values > 0)]
    if values.size:
        ax.set_yscale("log")
        ax.set_ylim(bottom=float(values.min()) * 0.8)
        log_ticks(ax)


def log_ticks(ax: Axes) -> None:
    """Set ticks for the visible range: plain numbers, several a decade, where powers of ten are few."""
    low, high = ax.get_ylim()
    ax.yaxis.set_minor_locator(NullLocator())
    if high / low < 100:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 5 else AutoLocator())
        ax.yaxis.set_major_formatter("{x:g}")


def share_log_range(first: Axes, second: Axes) -> None:
    """Set one range of values, and one kind of ticks, for two logarithmic panels."""
    panels = [ax for ax in (first, second) if ax.get_yscale() == "log"]
    limits = [limit for ax in panels for limit in ax.get_ylim()]
    for ax in panels:
        ax.set_yscale("log")
        ax.set_ylim(min(limits), max(limits))
        log_ticks(ax)


def later_values(ax: Axes) -> None:
    """Fit the value axis to the second half of training; the steep start of a curve may begin below the axis."""
    known = [np.asarray(line.get_xydata(), float) for line in ax.lines]
    points = np.concatenate([np.zeros((0, 2)), *known])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points) or points[:, 0].max() < FEW_EPOCHS_TO_CUT:
        return
    # The cross of a run that diverged early is a line of one point, and stays visible.
    ends = [float(line[0, 1]) for line in known if len(line) == 1]
    later = points[points[:, 0] >= points[:, 0].max() / 2, 1]
    low, high = min([float(later.min()), *ends]), float(ax.dataLim.y1)
    bottom = max(ax.get_ylim()[0], low - max(high - low, 0.02))
    ax.set_ylim(bottom, high + 0.06 * (high - bottom))


def rate_axis(ax: Axes, rates: Sequence[float]) -> None:
    """Set a logarithmic axis of learning rates with a tick at each rate of the grid."""
    ax.set_xscale("log")
    ax.set_xticks(sorted(rates), [spoken().level(rate) for rate in sorted(rates)], rotation=30 if len(rates) > 6 else 0)
    ax.xaxis.set_minor_locator(NullLocator())


def legend_below(figure: Figure, handles: Sequence[Any], columns: int = 3) -> None:
    """Draw one legend for the whole sheet under the panels, where the legend hides nothing."""
    room = int(figure.get_figwidth() * 13)  # letters side by side
    for handle, text in zip(
        handles, labels.shortened([str(one.get_label()) for one in handles], room - KEY), strict=True
    ):
        handle.set_label(text)
    lengths = [labels.width(str(handle.get_label())) + KEY for handle in handles]
    fitting = max(1, len(lengths) if sum(lengths) <= room else min(columns, room // max(lengths)))
    more = math.ceil(len(lengths) / fitting) - LINES
    if more > 0:  # the panels keep their heights
        rooms.raise_by(figure, rooms.LINE * more)
    figure.legend(handles=list(handles), loc="outside lower left", ncols=fitting)
