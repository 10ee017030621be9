"""One look for every picture: colours, fonts, sheets. Figures are made without pyplot: nothing is global or shown."""

from __future__ import annotations

import functools
import io
import math
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import AutoLocator, LogLocator, NullLocator
from PIL import Image

from jaxcompare.config import names
from jaxcompare.plots import fonts
from jaxcompare.words import say, spoken

# Okabe and Ito, "Color universal design" (2008): told apart by readers with any of the common colour blindnesses.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
INK = "#333333"
PALE = "#BBBBBB"
FEW_EPOCHS_TO_CUT = 4  # with fewer, the start is most of what there is to see
DASHES = ("-", "--", ":", "-.")
RC: Any = {
    "figure.dpi": 200,
    "svg.hashsalt": "jaxcompare",  # else every file has names of its own
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


def colour_of(level: object) -> str:
    """The colour of a level of a factor: one throughout, whatever else is on the sheet."""
    key = f"{level:g}" if isinstance(level, float) else str(level)
    return COLOURS.get(key) or PALETTE[zlib.crc32(key.encode()) % len(PALETTE)]


def colours_of(levels: Iterable[object]) -> dict[object, str]:
    """A colour for each of the levels on a sheet, no two alike as long as there are enough."""
    unique = sorted(dict.fromkeys(levels), key=str)
    found = {level: COLOURS[str(level)] for level in unique if str(level) in COLOURS}
    for level in unique:
        if level not in found:
            spare = [colour for colour in PALETTE if colour not in found.values()]
            found[level] = spare[0] if spare else colour_of(level)
    return found


def colours_of_rates(rates: Sequence[float]) -> dict[float, Any]:
    """Colours for an ordered grid, from dark (low) to light (high)."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, max(len(rates), 2)))
    return dict(zip(sorted(rates), shades, strict=False))


def styled(function: Drawn) -> Drawn:
    """A drawing function, run under the one style, with letters for the language that is spoken."""

    @functools.wraps(function)
    def draw(*arguments: Any, **options: Any) -> Any:
        with matplotlib.rc_context(RC | {"font.family": fonts.families(spoken().language)}):
            made = function(*arguments, **options)
            if isinstance(made, Figure):
                fonts.space(made, spoken().language)
            return made

    return draw  # type: ignore[return-value]


def png(figure: Figure) -> bytes:
    """The picture as PNG at 200 dots an inch; the same figure gives the same bytes."""
    return _encoded(raster(figure), figure.dpi, _shaded(figure))


def png_and_page(figure: Figure) -> tuple[bytes, bytes]:
    """`png`, and the same at three fifths of its size: as wide as a page shows it, so that a page of many stays small."""
    whole, shaded = raster(figure), _shaded(figure)
    size = (max(1, whole.width * 3 // 5), max(1, whole.height * 3 // 5))
    small = whole.resize(size, Image.Resampling.LANCZOS)
    return _encoded(whole, figure.dpi, shaded), _encoded(small, 0.6 * figure.dpi, shaded, colours=64)


@styled
def raster(figure: Figure) -> Image.Image:
    """The picture's pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _shaded(figure: Figure) -> bool:
    """Whether colours stand for values."""
    return any(ax.images for ax in figure.axes)


@styled
def vector(figure: Figure, kind: str) -> bytes:
    """The picture as `pdf` or `svg`; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"CreationDate" if kind == "pdf" else "Date": None})
    return buffer.getvalue()


def _encoded(picture: Image.Image, dpi: float, shaded: bool, colours: int = 256) -> bytes:
    """As PNG. 256 colours are enough for lines and bands, and make a third of the size."""
    buffer = io.BytesIO()
    # An octree takes a tenth of the time, but moves shades that lie side by side together: none where they stand for values.
    method = Image.Quantize.MEDIANCUT if shaded else Image.Quantize.FASTOCTREE
    found = picture.quantize(colours, method=method, dither=Image.Dither.NONE)
    on_paper(found, picture).save(buffer, "png", optimize=False, dpi=(dpi, dpi))
    return buffer.getvalue()


def on_paper(found: Image.Image, picture: Image.Image) -> Image.Image:
    """A picture in few colours, with the paper's colour (that of the corner) quite as it was."""
    palette, paper = list(found.getpalette() or ()), int(np.asarray(found)[0, 0])
    palette[3 * paper : 3 * paper + 3] = np.asarray(picture)[0, 0].tolist()
    found.putpalette(palette)
    return found


def sheet(
    panels: int, title: str, note: str, columns: int = 3, size: tuple[float, float] = (4.0, 3.1)
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes [panels], `columns` side by side, with a title and a smaller line of what is drawn.

    `size` is that of one panel, in inches.
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
    """A bold title and a line below it, both at the left edge."""
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=13, fontweight="bold")
    if note:
        figure.text(0.01, 1 - 0.43 / figure.get_figheight(), note, ha="left", va="center", fontsize=9, color=INK)


def label(ax: Axes, x: str, y: str, title: str = "") -> None:
    """Both axes' labels and the panel's title, by their keys in `words`."""
    ax.set_xlabel(say(x))
    ax.set_ylabel(say(y))
    ax.set_title(say(title) if title else "")


def log_values(ax: Axes) -> None:
    """A logarithmic value axis that ends below the lowest line, whatever its band does."""
    lines = [np.asarray(line.get_ydata(), float) for line in ax.lines]
    values = np.concatenate([line[np.isfinite(line) & (line > 0)] for line in lines]) if lines else np.zeros(0)
    if values.size:
        ax.set_yscale("log")
        ax.set_ylim(bottom=float(values.min()) * 0.8)
        log_ticks(ax)


def log_ticks(ax: Axes) -> None:
    """Ticks for the range in sight: where powers of ten are few, plain numbers, several a decade."""
    low, high = ax.get_ylim()
    ax.yaxis.set_minor_locator(NullLocator())
    if high / low < 100:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 5 else AutoLocator())
        ax.yaxis.set_major_formatter("{x:g}")


def share_log_range(first: Axes, second: Axes) -> None:
    """One range of values, and one kind of ticks, for two logarithmic panels."""
    panels = [ax for ax in (first, second) if ax.get_yscale() == "log"]
    limits = [limit for ax in panels for limit in ax.get_ylim()]
    for ax in panels:
        ax.set_yscale("log")
        ax.set_ylim(min(limits), max(limits))
        log_ticks(ax)


def later_values(ax: Axes) -> None:
    """A value axis that shows the second half of training well; the steep start of a curve may come from below it."""
    known = [line.get_xydata() for line in ax.lines]
    points = np.concatenate([np.asarray(line, float) for line in known]) if known else np.zeros((0, 2))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points) or points[:, 0].max() < FEW_EPOCHS_TO_CUT:
        return
    # The cross of a run that diverged early is a line of one point, and stays in sight.
    ends = [float(line[0, 1]) for line in map(np.asarray, known) if len(line) == 1]
    later = points[points[:, 0] >= points[:, 0].max() / 2, 1]
    low, high = min([float(later.min()), *ends]), float(ax.dataLim.y1)
    bottom = max(ax.get_ylim()[0], low - max(high - low, 0.02))
    ax.set_ylim(bottom, high + 0.06 * (high - bottom))


def rate_axis(ax: Axes, rates: Sequence[float]) -> None:
    """A logarithmic axis of learning rates with a tick at each rate of the grid."""
    ax.set_xscale("log")
    ax.set_xticks(sorted(rates), [f"{rate:g}" for rate in sorted(rates)], rotation=30 if len(rates) > 6 else 0)
    ax.xaxis.set_minor_locator(NullLocator())


def width(text: str) -> int:
    """How many Latin letters a text is about as wide as: a Korean syllable is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def legend_below(figure: Figure, handles: Sequence[Any], columns: int = 3) -> None:
    """One legend for the whole sheet, under its panels, where it hides nothing."""
    lengths = [width(str(handle.get_label())) + 7 for handle in handles]
    room = int(figure.get_figwidth() * 13)  # letters side by side
    fitting = len(lengths) if sum(lengths) <= room else min(columns, room // max(lengths))
    figure.legend(handles=list(handles), loc="outside lower left", ncols=max(1, fitting))
