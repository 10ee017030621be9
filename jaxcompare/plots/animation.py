"""Decision boundaries over the epochs, as an animation (comparison B)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import boundaries, fonts, panels, style
from jaxcompare.plots.boundaries import Fields
from jaxcompare.words import level, say, spoken

FEWEST, MOST = 3, 12  # frames: fewer tell less than the pictures do, more make a large file
DOTS = 100  # an inch: a page shows it no larger
COLOURS = 96
FRAME, LAST = 600, 2500  # milliseconds that a frame, and the last one, are seen


class Animation(NamedTuple):
    """Pictures of one size, one after another."""

    frames: tuple[Image.Image, ...]
    milliseconds: tuple[int, ...]  # of each


def gif(animation: Animation) -> bytes:
    """As a GIF that goes on for ever; the same animation gives the same bytes."""
    frames, buffer = animation.frames, io.BytesIO()
    sheet = Image.new(
        "RGB", (frames[0].width, 3 * frames[0].height)
    )  # one palette for all, from the ends and the middle
    for index, place in enumerate((0, len(frames) // 2, -1)):
        sheet.paste(frames[place], (0, index * frames[0].height))
    palette = sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few = [style.on_paper(frame.quantize(palette=palette, dither=Image.Dither.NONE), frame) for frame in frames]
    first, *others = few
    first.save(buffer, "gif", save_all=True, append_images=others, duration=list(animation.milliseconds), loop=0)
    return buffer.getvalue()


def means(fields: Fields, variant_id: str) -> dict[int, np.ndarray]:
    """A variant's mean field over all seeds by epoch, where every seed's is finite; nothing where none were kept."""
    epochs, found = fields.get(f"{variant_id}/epochs"), fields.get(f"{variant_id}/mean")
    if epochs is None or found is None:
        return {}
    known = ((int(epoch), np.asarray(one, float)) for epoch, one in zip(epochs, found, strict=True))
    return {epoch: one for epoch, one in known if np.isfinite(one).all()}


def epochs_shown(tables: panels.Tables, fields: Fields, comparison: Comparison) -> list[int]:
    """The epochs of the frames, first and last among them; none where there are too few for an animation."""
    rows = boundaries.chosen(tables, comparison)
    every = sorted({epoch for variant in rows["variant_id"] for epoch in means(fields, variant)})
    if len(every) < FEWEST:
        return []
    places = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST)).round().astype(int))
    return [every[place] for place in places]


@style.styled
def decision_animation(tables: panels.Tables, fields: Fields, comparison: Comparison) -> Animation:
    """The mean probability of class 1 over all seeds, with the line at one half, of all levels at their best rates by epoch.

    A level has an empty panel at an epoch at which a seed's field is not finite, and says so.
    """
    rows, epochs = boundaries.chosen(tables, comparison), epochs_shown(tables, fields, comparison)
    name = level(comparison.dataset)
    figure, axes = style.sheet(
        len(rows),
        say("picture.animation", dataset=name, epoch=epochs[-1]),
        say("picture.animation_note"),
        min(3, len(rows)),
        (3.5, 3.5),
    )
    figure.set_dpi(DOTS)
    found = [means(fields, variant) for variant in rows["variant_id"]]
    for ax, (_, row) in zip(axes, rows.iterrows(), strict=True):
        _panel(ax, tables, fields, comparison, row)
    shown = [_image(ax, tables, fields, row) for ax, (_, row) in zip(axes, rows.iterrows(), strict=True)]
    figure.colorbar(shown[0], ax=axes, pad=0.02).set_label(say("axis.probability"))
    style.legend_below(figure, boundaries.classes())
    fonts.space(figure, spoken().language)
    figure.draw_without_rendering()  # once: what moves must not move the panels
    figure.set_layout_engine("none")
    frames = []
    for epoch in epochs:
        style.title_lines(figure, say("picture.animation", dataset=name, epoch=epoch), "")
        moving = [_frame(*parts, epoch) for parts in zip(axes, shown, found, strict=True)]
        frames.append(style.raster(figure))
        for artist in (one for each in moving for one in each):
            artist.remove()
    return Animation(tuple(frames), (*[FRAME] * (len(frames) - 1), LAST))


def _panel(ax: Axes, tables: panels.Tables, fields: Fields, comparison: Comparison, row: pd.Series) -> None:
    """What stays: training examples, labels, limits."""
    place = boundaries.data_of(tables, row["variant_id"])
    ax.grid(False)
    ax.set_facecolor(style.PALE)
    boundaries.points(ax, fields, place)
    extent = boundaries.extent(fields, place)
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    style.label(ax, "axis.feature_1", "axis.feature_2")
    head = say("picture.at_rate", name=panels.cell_name(row, comparison), rate=row["learning_rate"])
    ax.set_title(f"{head}\n{panels.failures(row)}", fontsize=9)


def _image(ax: Axes, tables: panels.Tables, fields: Fields, row: pd.Series) -> Any:
    """The picture that each frame fills in."""
    place = boundaries.data_of(tables, row["variant_id"])
    blank = np.full((len(fields[f"{place}/y"]), len(fields[f"{place}/x"])), 0.5)
    extent = boundaries.extent(fields, place)
    image = ax.imshow(blank, cmap=style.TWO_CLASSES, vmin=0, vmax=1, origin="lower", extent=extent, aspect="auto")
    image.set_interpolation("bilinear")
    return image


def _frame(ax: Axes, image: Any, found: dict[int, np.ndarray], epoch: int) -> Sequence[Any]:
    """Shows an epoch; returns what is to be taken away again."""
    field = found.get(epoch)
    image.set_visible(field is not None)
    if field is None:
        text = say("key.no_mean_field", epoch=epoch)
        box = {"facecolor": "white", "linewidth": 0, "pad": 3}  # over the training examples
        return [ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8.5, bbox=box)]
    image.set_data(field)
    if not field.min() < 0.5 < field.max():
        return []
    ends = image.get_extent()
    half_x, half_y = ((ends[1] - ends[0]) / field.shape[1] / 2, (ends[3] - ends[2]) / field.shape[0] / 2)
    x = np.linspace(ends[0] + half_x, ends[1] - half_x, field.shape[1])
    y = np.linspace(ends[2] + half_y, ends[3] - half_y, field.shape[0])
    return [ax.contour(x, y, field, levels=[0.5], colors=style.INK, linewidths=1.2)]


def animated(tables: panels.Tables, fields: Fields, comparison: Comparison) -> bool:
    """Whether there are enough epochs to show."""
    rows = analysis.rows_of(tables["summary"], comparison)
    kept = any(f"{variant}/mean" in fields for variant in rows["variant_id"])
    return kept and bool(epochs_shown(tables, fields, comparison))
