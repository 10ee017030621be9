"""Decision boundaries on two-feature data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say, spoken

Fields = dict[str, np.ndarray]
MOST_POINTS = 600
MOST_CELLS = 12  # drawn of one comparison


@style.styled
def decision_boundary(tables: panels.Tables, fields: Fields, comparison: Comparison, variant_id: str) -> Figure:
    """Draw a variant's mean probability of class 1 over seeds, and the boundary of every seed.

    The mean is left out where a seed's field is missing or not finite; the boundaries of the other seeds are still drawn.
    """
    row = chosen(tables, comparison).set_index("variant_id", drop=False).loc[variant_id]
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    ax = figure.subplots()
    crossing = _field(ax, tables, fields, row)
    if ax.images:
        figure.colorbar(ax.images[0], ax=ax, shrink=0.85).set_label(say("axis.probability"))
    title = say("picture.boundary", dataset=level(comparison.dataset), name=panels.cell_name(row, comparison))
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.02, ha="left")
    ax.set_title(_note(row), fontsize=9)
    drawn = say("key.boundaries", k=crossing, n=row["n"])
    style.legend_below(figure, [Line2D([], [], color=style.INK, linewidth=0.7, label=drawn), *classes()])
    return figure


@style.styled
def decision_gallery(tables: panels.Tables, fields: Fields, comparison: Comparison) -> Figure:
    """Draw the decision fields of all levels at their best rates on one sheet, with one scale."""
    rows = chosen(tables, comparison)
    title = say("picture.gallery", dataset=level(comparison.dataset))
    figure, axes = style.sheet(len(rows), title, say("picture.gallery_note"), min(3, len(rows)), (4.2, 4.1))
    told = []
    for ax, (_, row) in zip(axes, rows.iterrows(), strict=True):
        crossing = _field(ax, tables, fields, row)
        name = panels.cell_name(row, comparison)
        head = say("picture.at_rate", name=name, rate=row["learning_rate"])
        ax.set_title(say("panel.gallery", head=head, accuracy=_accuracy(row), runs=panels.failures(row)), fontsize=9)
        told.append(Line2D([], [], color=style.INK, linewidth=0.7,
                           label=f"{name}: {say('key.boundaries', k=crossing, n=row['n'])}"))  # fmt: skip
    drawn = [ax.images[0] for ax in axes if ax.images]
    if drawn:
        figure.colorbar(drawn[0], ax=axes, pad=0.02).set_label(say("axis.probability"))
    style.legend_below(figure, [*told, *classes()])
    return figure


def chosen(tables: panels.Tables, comparison: Comparison) -> pd.DataFrame:
    """Return each cell's variant at its best rate, of the first cells where there are many."""
    summary = analysis.rows_of(tables["summary"], comparison)
    return analysis.best_rates(summary, comparison.factor, comparison.apart).head(MOST_CELLS)


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
    found = [np.asarray(fields[key], float) for key in ids if key in fields]
    finite = [field for field in found if np.isfinite(field).all()]
    place = data_of(tables, row["variant_id"])
    x, y = fields[f"{place}/x"], fields[f"{place}/y"]
    ax.grid(False)
    ends = extent(fields, place)
    if finite and len(finite) == len(ids):
        mean = np.mean(finite, axis=0)
        image = ax.imshow(mean, cmap=style.TWO_CLASSES, vmin=0, vmax=1, origin="lower", extent=ends, aspect="auto")
        image.set_interpolation("bilinear")
    crossing = [field for field in finite if field.min() < 0.5 < field.max()]
    for field in crossing:
        ax.contour(x, y, field, levels=[0.5], colors=style.INK, linewidths=0.7, alpha=0.8)
    points(ax, fields, place)
    ax.set_xlim(ends[:2])
    ax.set_ylim(ends[2:])
    style.label(ax, "axis.feature_1", "axis.feature_2")
    return len(crossing)


def extent(fields: Fields, place: str) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of a data set's grid, half a cell beyond its outermost points."""
    x, y = fields[f"{place}/x"], fields[f"{place}/y"]
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    return float(x[0] - half_x), float(x[-1] + half_x), float(y[0] - half_y), float(y[-1] + half_y)


CLASS_MARKS = (("o", "#B87A00"), ("^", "#0072B2"))


def classes() -> list[Line2D]:
    """Return the legend entries of the classes."""
    return [
        Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=5, label=say("key.class", index=index))
        for index, (mark, colour) in enumerate(CLASS_MARKS)
    ]


def data_of(tables: panels.Tables, variant_id: str) -> str:
    """Return the name under which the fields hold a variant's training data."""
    replicas = tables["replicas"]
    return str(replicas.loc[replicas["variant_id"] == variant_id, "data_digest"].iloc[0])


def points(ax: Axes, fields: Fields, place: str) -> None:
    """Draw training examples by mark and colour of their class, evenly thinned where there are many."""
    points, labels = fields.get(f"{place}/points"), fields.get(f"{place}/labels")
    if points is None or labels is None:
        return
    thin = max(1, len(points) // MOST_POINTS)
    points, labels = points[::thin], labels[::thin]
    for index, (mark, colour) in enumerate(CLASS_MARKS):
        mine = points[labels == index]
        ax.scatter(mine[:, 0], mine[:, 1], s=9, marker=mark, color=colour, linewidths=0.3, edgecolors="white")
