"""Decision boundaries on two-feature data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say, spoken

Fields = dict[str, np.ndarray]
MOST_POINTS = 600


@style.styled
def decision_boundary(tables: panels.Tables, fields: Fields, comparison: Comparison, variant_id: str) -> Figure:
    """Draw a variant's mean probability of class 1 over seeds, and the boundary of every seed.

    The mean is left out where a seed's field is missing or not finite; the boundaries of the other seeds are still drawn.
    """
    rows = panels.chosen(tables, comparison)
    row = rows[rows["variant_id"] == variant_id].iloc[0]
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    ax = figure.subplots()
    crossing = _field(ax, tables, fields, row)
    if ax.images:
        figure.colorbar(ax.images[0], ax=ax, shrink=0.85).set_label(say("axis.probability"))
    title = say("picture.boundary", dataset=level(comparison.dataset), name=panels.cell_name(row, comparison))
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.02, ha="left")
    ax.set_title(_note(row), fontsize=9)
    drawn = say("key.boundaries", k=crossing, n=row["n"])
    style.legend_below(figure, [style.key(drawn, style.INK, linewidth=0.7), *classes()])
    return figure


@style.styled
def decision_gallery(tables: panels.Tables, fields: Fields, comparison: Comparison) -> Figure:
    """Draw the decision fields of all levels at their best rates on one sheet, with one scale."""
    rows = panels.chosen(tables, comparison)
    title = say("picture.gallery", dataset=level(comparison.dataset))
    figure, axes = style.sheet(len(rows), title, say("picture.gallery_note"), min(3, len(rows)), (4.2, 4.1))
    entries = []
    for ax, (_, row) in zip(axes, rows.iterrows(), strict=True):
        crossing = _field(ax, tables, fields, row)
        head = panels.at_rate(row, comparison)
        ax.set_title(say("panel.gallery", head=head, accuracy=_accuracy(row), runs=panels.failures(row)), fontsize=9)
        drawn = f"{panels.cell_name(row, comparison)}: {say('key.boundaries', k=crossing, n=row['n'])}"
        entries.append(style.key(drawn, style.INK, linewidth=0.7))
    images = [ax.images[0] for ax in axes if ax.images]
    if images:
        figure.colorbar(images[0], ax=axes, pad=0.02).set_label(say("axis.probability"))
    style.legend_below(figure, [*entries, *classes()])
    return figure


def known(tables: panels.Tables, fields: Fields, comparison: Comparison) -> bool:
    """Return whether the data of every variant have a decision field."""
    return all(
        f"{place}/x" in fields for place in analysis.rows_of(tables["replicas"], comparison)["data_digest"].unique()
    )


def _note(row: pd.Series) -> str:
    """Return rate, accuracy and failed runs of a variant as text."""
    return say("picture.boundary_note", rate=row["learning_rate"], accuracy=_accuracy(row), runs=panels.failures(row))


def _accuracy(row: pd.Series) -> str:
    return spoken().interval(*(row[f"test_accuracy_{part}"] for part in ("mean", "low", "high")))


def _field(ax: Axes, tables: panels.Tables, fields: Fields, row: pd.Series) -> int:
    """Draw a variant's mean field, its seeds' boundaries and the training examples; return the number of boundaries."""
    replicas = tables["replicas"]
    ids = replicas["replica_id"][replicas["variant_id"] == row["variant_id"]]
    known = [np.asarray(fields[key], float) for key in ids if key in fields]
    finite = [field for field in known if np.isfinite(field).all()]
    plane = plane_of(ax, tables, fields, row["variant_id"])
    if finite and len(finite) == len(ids):
        plane.show(np.mean(finite, axis=0))
    crossing = [field for field in finite if field.min() < 0.5 < field.max()]
    for field in crossing:
        plane.boundary(field, linewidths=0.7, alpha=0.8)
    return len(crossing)


class Plane(NamedTuple):
    """A panel of two features, and the coordinates of the grid on which fields are known."""

    ax: Axes
    x: np.ndarray
    y: np.ndarray

    def show(self, field: np.ndarray) -> AxesImage:
        """Draw the probability of class 1 as colours, to half a cell beyond the grid's outermost points."""
        ends = (*_ends(self.x), *_ends(self.y))
        look: Any = {"cmap": style.TWO_CLASSES, "vmin": 0, "vmax": 1, "origin": "lower", "interpolation": "bilinear"}
        return self.ax.imshow(field, extent=ends, aspect="auto", **look)

    def boundary(self, field: np.ndarray, **look: Any) -> ContourSet:
        """Draw the line at one half."""
        return self.ax.contour(self.x, self.y, field, levels=[0.5], colors=style.INK, **look)


def _ends(axis: np.ndarray) -> tuple[float, float]:
    half = (axis[1] - axis[0]) / 2
    return float(axis[0] - half), float(axis[-1] + half)


def plane_of(ax: Axes, tables: panels.Tables, fields: Fields, variant_id: str) -> Plane:
    """Draw a variant's training examples with labels and limits, for fields to be added."""
    replicas = tables["replicas"]
    place = replicas.loc[replicas["variant_id"] == variant_id, "data_digest"].iloc[0]
    plane = Plane(ax, fields[f"{place}/x"], fields[f"{place}/y"])
    ax.grid(False)
    _points(ax, fields, place)
    ax.set_xlim(_ends(plane.x))
    ax.set_ylim(_ends(plane.y))
    style.label(ax, "axis.feature_1", "axis.feature_2")
    return plane


CLASS_MARKS = (("o", "#B87A00"), ("^", "#0072B2"))


def classes() -> list[Line2D]:
    """Return the legend entries of the classes."""
    return [
        style.key(say("key.class", index=index), colour, marker=mark, linestyle="none", markersize=5)
        for index, (mark, colour) in enumerate(CLASS_MARKS)
    ]


def _points(ax: Axes, fields: Fields, place: str) -> None:
    """Draw training examples by mark and colour of their class, evenly thinned where there are many."""
    points, labels = fields.get(f"{place}/points"), fields.get(f"{place}/labels")
    if points is None or labels is None:
        return
    thin = max(1, len(points) // MOST_POINTS)
    points, labels = points[::thin], labels[::thin]
    for index, (mark, colour) in enumerate(CLASS_MARKS):
        mine = points[labels == index]
        ax.scatter(mine[:, 0], mine[:, 1], s=9, marker=mark, color=colour, linewidths=0.3, edgecolors="white")
