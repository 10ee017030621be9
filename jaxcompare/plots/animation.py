"""Decision boundaries over the epochs, as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from PIL import Image

from jaxcompare.analysis import Comparison
from jaxcompare.plots import boundaries, fonts, panels, style
from jaxcompare.plots.boundaries import Fields
from jaxcompare.words import level, say, spoken

FEWEST, MOST = 3, 12  # frames: fewer show less than the pictures do, more make a large file
DOTS = 100  # an inch: a page shows the animation no larger
COLOURS = 96
FRAME, LAST = 600, 2500  # milliseconds that a frame, and the last frame, are seen


class Animation(NamedTuple):
    """Pictures of one size, one after another."""

    frames: tuple[Image.Image, ...]
    milliseconds: tuple[int, ...]  # of each


def gif(animation: Animation) -> bytes:
    """Return a GIF that repeats for ever; the same animation gives the same bytes."""
    frames, buffer = animation.frames, io.BytesIO()
    # One palette for all frames, from the ends and the middle.
    sheet = Image.new("RGB", (frames[0].width, 3 * frames[0].height))
    for index, place in enumerate((0, len(frames) // 2, -1)):
        sheet.paste(frames[place], (0, index * frames[0].height))
    palette = sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few = [style.on_paper(frame.quantize(palette=palette, dither=Image.Dither.NONE), frame) for frame in frames]
    first, *others = few
    first.save(buffer, "gif", save_all=True, append_images=others, duration=list(animation.milliseconds), loop=0)
    return buffer.getvalue()


def means(fields: Fields, variant_id: str) -> dict[int, np.ndarray]:
    """Return a variant's mean field by epoch, where every seed's field is finite; empty where no fields were kept."""
    epochs, found = fields.get(f"{variant_id}/epochs"), fields.get(f"{variant_id}/mean")
    if epochs is None or found is None:
        return {}
    known = ((int(epoch), np.asarray(one, float)) for epoch, one in zip(epochs, found, strict=True))
    return {epoch: one for epoch, one in known if np.isfinite(one).all()}


def epochs_shown(tables: panels.Tables, fields: Fields, comparison: Comparison) -> list[int]:
    """Return the epochs of the frames, first and last among them; none where an animation would have too few."""
    rows = boundaries.chosen(tables, comparison)
    every = sorted({epoch for variant in rows["variant_id"] for epoch in means(fields, variant)})
    if len(every) < FEWEST:
        return []
    places = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST)).round().astype(int))
    return [every[place] for place in places]


@style.styled
def decision_animation(tables: panels.Tables, fields: Fields, comparison: Comparison) -> Animation:
    """Draw all levels at their best rates by epoch: mean probability of class 1 over all seeds, with the line at one half.

    At an epoch at which a seed's field is not finite, the level's panel is empty and says why.
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
    panes = [_pane(ax, tables, fields, comparison, row) for ax, (_, row) in zip(axes, rows.iterrows(), strict=True)]
    figure.colorbar(panes[0].image, ax=axes, pad=0.02).set_label(say("axis.probability"))
    style.legend_below(figure, boundaries.classes())
    fonts.space(figure, spoken().language)
    figure.draw_without_rendering()  # once: the frames must not move the panels
    figure.set_layout_engine("none")
    frames = []
    for epoch in epochs:
        style.title_lines(figure, say("picture.animation", dataset=name, epoch=epoch), "")
        moving = [artist for pane in panes for artist in _frame(pane, epoch)]
        frames.append(style.raster(figure))
        for artist in moving:
            artist.remove()
    return Animation(tuple(frames), (*[FRAME] * (len(frames) - 1), LAST))


class Pane(NamedTuple):
    """A level's panel: its fixed parts, and the fields of the frames."""

    ax: Axes
    image: AxesImage
    x: np.ndarray  # the grid's coordinates
    y: np.ndarray
    found: dict[int, np.ndarray]  # of `means`


def _pane(ax: Axes, tables: panels.Tables, fields: Fields, comparison: Comparison, row: pd.Series) -> Pane:
    """Draw training examples, labels and limits, with an image for the frames to fill."""
    place = boundaries.data_of(tables, row["variant_id"])
    x, y, extent = fields[f"{place}/x"], fields[f"{place}/y"], boundaries.extent(fields, place)
    ax.grid(False)
    ax.set_facecolor(style.PALE)
    boundaries.points(ax, fields, place)
    style.label(ax, "axis.feature_1", "axis.feature_2")
    head = say("picture.at_rate", name=panels.cell_name(row, comparison), rate=row["learning_rate"])
    ax.set_title(f"{head}\n{panels.failures(row)}", fontsize=9)
    blank = np.full((len(y), len(x)), 0.5)
    image = ax.imshow(blank, cmap=style.TWO_CLASSES, vmin=0, vmax=1, origin="lower", extent=extent, aspect="auto")
    image.set_interpolation("bilinear")
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    return Pane(ax, image, x, y, means(fields, row["variant_id"]))


def _frame(pane: Pane, epoch: int) -> Sequence[Any]:
    """Show an epoch; return the artists to remove before the next frame."""
    field = pane.found.get(epoch)
    pane.image.set_visible(field is not None)
    if field is None:
        text, ax = say("key.no_mean_field", epoch=epoch), pane.ax
        box = {"facecolor": "white", "linewidth": 0, "pad": 3}  # over the training examples
        return [ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8.5, bbox=box)]
    pane.image.set_data(field)
    if not field.min() < 0.5 < field.max():
        return []
    return [pane.ax.contour(pane.x, pane.y, field, levels=[0.5], colors=style.INK, linewidths=1.2)]
