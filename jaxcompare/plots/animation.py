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
from jaxcompare.plots import boundaries, fonts, panels, rooms, style
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
    rows = panels.chosen(tables, comparison)
    every = sorted({epoch for variant in rows["variant_id"] for epoch in means(fields, variant)})
    return style.spaced(every, MOST) if len(every) >= FEWEST else []


@style.styled
def decision_animation(tables: panels.Tables, fields: Fields, comparison: Comparison) -> Animation:
    """Draw all levels at their best rates by epoch: mean probability of class 1 over all seeds, with the line at one half.

    At an epoch at which a seed's field is not finite, the level's panel is empty and says why.
    """
    rows, epochs = panels.chosen(tables, comparison), epochs_shown(tables, fields, comparison)
    titles = [say("picture.animation", dataset=level(comparison.dataset), epoch=epoch) for epoch in epochs]
    note, columns = say("picture.animation_note"), min(3, len(rows))
    figure, axes = style.sheet(len(rows), titles[-1], note, columns, (3.5, 3.5))
    figure.set_dpi(DOTS)
    panes = [_pane(ax, tables, fields, comparison, row) for ax, (_, row) in zip(axes, rows.iterrows(), strict=True)]
    figure.colorbar(panes[0].image, ax=axes, pad=0.02).set_label(say("axis.probability"))
    style.legend_below(figure, boundaries.classes())
    rooms.fit(figure)
    fonts.prepare(figure, spoken().language)
    figure.draw_without_rendering()  # once: the frames must not move the panels
    figure.set_layout_engine("none")
    frames = []
    for epoch, title in zip(epochs, titles, strict=True):
        style.title_lines(figure, title, "")
        moving = [artist for pane in panes for artist in _frame(pane, epoch)]
        frames.append(style.raster(figure))
        for artist in moving:
            artist.remove()
    return Animation(tuple(frames), (*[FRAME] * (len(frames) - 1), LAST))


class Pane(NamedTuple):
    """A level's panel: its fixed parts, and the fields of the frames."""

    plane: boundaries.Plane
    image: AxesImage
    means: dict[int, np.ndarray]  # by epoch


def _pane(ax: Axes, tables: panels.Tables, fields: Fields, comparison: Comparison, row: pd.Series) -> Pane:
    """Draw training examples, labels and limits, with an image for the frames to fill."""
    style.image_panel(ax)
    plane = boundaries.plane_of(ax, tables, fields, row["variant_id"])
    ax.set_title(f"{panels.at_rate(row, comparison)}\n{panels.failures(row)}", fontsize=9)
    image = plane.show(np.full((len(plane.y), len(plane.x)), 0.5))
    return Pane(plane, image, means(fields, row["variant_id"]))


def _frame(pane: Pane, epoch: int) -> Sequence[Any]:
    """Show an epoch; return the artists to remove before the next frame."""
    field = pane.means.get(epoch)
    pane.image.set_visible(field is not None)
    if field is None:
        text, ax = say("key.no_mean_field", epoch=epoch), pane.plane.ax
        box = {"facecolor": "white", "linewidth": 0, "pad": 3}  # over the training examples
        return [ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8.5, bbox=box)]
    pane.image.set_data(field)
    if not field.min() < 0.5 < field.max():
        return []
    return [pane.plane.boundary(field, linewidths=1.2)]
