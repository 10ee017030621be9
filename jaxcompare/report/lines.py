"""Curves of a comparison: mean and half of the 95% interval, by variant and epoch, as small whole numbers.

No curve depends on the language.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from jaxcompare import analysis
from jaxcompare.analysis import Case
from jaxcompare.plots import style

METRICS = {
    "validation_accuracy": 4,
    "test_accuracy": 4,
    "train_subset_accuracy": 4,
    "train_loss": 5,
}  # decimals, at least
MOST_DECIMALS = 12
STAND_IN = {"train_subset_accuracy": "validation_accuracy"}  # shown only where the other was not measured
DASHES = ("", "6 4", "2 3", "6 3 2 3")


class Line(NamedTuple):
    """A variant's curves."""

    variant_id: str
    # `axis` (which list of epochs), colour and dash, `values` of each metric, `best` at a best rate
    drawn: dict[str, Any]


class Lines(NamedTuple):
    """The curves of a comparison."""

    metrics: tuple[str, ...]
    decimals: tuple[int, ...]  # of each metric
    epochs: tuple[list[int], ...]
    lines: tuple[Line, ...]


def lines_of(case: Case) -> Lines | None:
    """Return the curves of a comparison's variants, best rates first; None where nothing was measured."""
    names = [name for name in METRICS if name in case.history and case.history[name].notna().any()]
    names = [name for name in names if STAND_IN.get(name) not in names]
    if not names:
        return None
    replicas = case.runs[["replica_id", "variant_id"]]
    found = {
        name: dict(list(analysis.bands(case.history, replicas, value=name).groupby("variant_id"))) for name in names
    }
    decimals = {name: _decimals(name, case.history[name].to_numpy(float)) for name in names}
    best = list(case.chosen["variant_id"])
    order = [*best, *(one for one in case.summary["variant_id"] if one not in best)]
    looks = _looks(case)
    axes: dict[tuple[int, ...], int] = {}  # places of the lists of epochs
    lines = []
    for variant in order:
        epochs = tuple(found[names[0]][variant]["epoch"].astype(int).tolist())
        line = {"axis": axes.setdefault(epochs, len(axes))} | looks[variant]
        line["values"] = [_numbers(found[name][variant], decimals[name]) for name in names]
        lines.append(Line(variant, line | ({"best": 1} if variant in best else {})))
    return Lines(tuple(names), tuple(decimals.values()), tuple(list(axis) for axis in axes), tuple(lines))


def _decimals(name: str, values: np.ndarray) -> int:
    """Return the decimals of a metric: a loss is drawn on a logarithmic axis, where the least value needs its digits, too."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not name.endswith("loss") or not positive.size:
        return METRICS[name]
    return int(np.clip(2 - math.floor(math.log10(positive.min())), METRICS[name], MOST_DECIMALS))


def _looks(case: Case) -> dict[str, dict[str, Any]]:
    """Return by variant the colour of its level, lighter at lower rates, and the dash of the factors kept separate."""
    one = case.comparison
    rows = case.summary[list(dict.fromkeys([*one.varied(), "learning_rate", "variant_id"]))]
    colours = style.colours_of(map(analysis.level_of, rows[one.factor]))
    cells = [tuple(str(row[name]) for name in one.apart) for _, row in rows.iterrows()]
    dashes = {cell: DASHES[index % len(DASHES)] for index, cell in enumerate(dict.fromkeys(cells))}
    best, found = set(case.chosen["variant_id"]), {}
    for (_, row), cell in zip(rows.iterrows(), cells, strict=True):
        rates = sorted(rows.loc[analysis.at_level(rows[one.factor], row[one.factor]), "learning_rate"].unique())
        place = (rates.index(row["learning_rate"]) + 1) / (len(rates) + 1)
        colour = np.asarray(to_rgb(colours[analysis.level_of(row[one.factor])]))
        if row["variant_id"] not in best:  # 0.25 and less: towards white; more than 0.5: towards black
            colour = colour + (1 - colour) * max(0, 0.7 - place) if place < 0.7 else colour * (1.5 - place)
        look = {"colour": to_hex(np.clip(colour, 0, 1))}
        found[row["variant_id"]] = look | ({"dash": dashes[cell]} if dashes[cell] else {})
    return found


def _numbers(band: pd.DataFrame, digits: int) -> list[list[int | None]]:
    """Return means and half intervals, times a power of ten; means alone where no interval is known."""
    mean, high = (band[name].to_numpy(float) for name in ("mean", "high"))  # by epoch, as bands are
    whole = [_whole(mean, digits), _whole(high - mean, digits)]
    return whole if any(value is not None for value in whole[1]) else whole[:1]


def _whole(values: np.ndarray, digits: int) -> list[int | None]:
    return [round(value * 10**digits) if math.isfinite(value) else None for value in values.tolist()]
