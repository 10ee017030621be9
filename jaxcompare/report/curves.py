"""Curves for a page that draws them itself: mean and half of the 95% interval, by variant and epoch, as small whole numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from jaxcompare import analysis
from jaxcompare.plots import style
from jaxcompare.report.blocks import Block, Curves
from jaxcompare.report.view import View

LIMIT = 200_000  # bytes of all curves of a page
METRICS = {"validation_accuracy": 4, "test_accuracy": 4, "train_subset_accuracy": 4, "train_loss": 5}  # digits behind
STAND_IN = {"train_subset_accuracy": "validation_accuracy"}  # only shown where the other was not measured
DASHES = ("", "6 4", "2 3", "6 3 2 3")


def curves(view: View, anchor: str) -> list[Block]:
    """The curves of a comparison's variants, those at their best rates first; none where nothing was measured."""
    names = [name for name in METRICS if name in view.history and view.history[name].notna().any()]
    names = [name for name in names if STAND_IN.get(name) not in names]
    if not names:
        return []
    replicas = view.runs[["replica_id", "variant_id"]]
    found = {
        name: dict(list(analysis.bands(view.history, replicas, value=name).groupby("variant_id"))) for name in names
    }
    best = list(view.chosen["variant_id"])
    order = [*best, *(one for one in view.summary["variant_id"] if one not in best)]
    rows = view.summary.set_index("variant_id", drop=False)
    looks = _looks(view)
    axes: dict[str, int] = {}  # lists of epochs, by their text
    lines = []
    for variant in order:
        row = rows.loc[variant]
        epochs = found[names[0]][variant]["epoch"].astype(int).tolist()
        line = {"name": _name(view, row), "axis": axes.setdefault(json.dumps(epochs), len(axes))} | looks[variant]
        line["values"] = [_numbers(found[name][variant], METRICS[name]) for name in names]
        lines.append(line | ({"best": 1} if variant in best else {}))
    words = view.words
    metrics = [
        {"name": words.say(f"axis.{name}"), "digits": METRICS[name], "log": int(name.endswith("loss"))}
        for name in names
    ]
    data = {"epochs": [json.loads(text) for text in axes], "metrics": metrics, "lines": lines}
    return [Curves(f"{anchor}-curves", words.say("curves.caption", where=view.where()), data)]


def _name(view: View, row: pd.Series) -> str:
    words = view.words
    name = view.name(row)
    if view.comparison.factor != "learning_rate" and "learning_rate" not in view.comparison.apart:
        name = words.say("picture.at_rate", name=name, rate=row["learning_rate"])
    notes = [words.say("picture.n", n=row["n"]), view.failures(row)]
    return words.say("curves.name", name=name, notes="; ".join(filter(None, notes)))


def _looks(view: View) -> dict[str, dict[str, Any]]:
    """Colour of a level, lighter the lower the rate is, and dash of what is kept apart, by variant."""
    one, rows = view.comparison, view.summary
    colours = style.colours_of(rows[one.factor])
    cells = [tuple(str(row[name]) for name in one.apart) for _, row in rows.iterrows()]
    dashes = {cell: DASHES[index % len(DASHES)] for index, cell in enumerate(dict.fromkeys(cells))}
    best, found = set(view.chosen["variant_id"]), {}
    for (_, row), cell in zip(rows.iterrows(), cells, strict=True):
        level = rows[rows[one.factor] == row[one.factor]] if row[one.factor] == row[one.factor] else rows
        rates = sorted(level["learning_rate"].unique())
        place = (rates.index(row["learning_rate"]) + 1) / (len(rates) + 1)
        colour = np.asarray(to_rgb(colours[row[one.factor]]))
        if row["variant_id"] not in best:  # 0.25 and less: towards white; more than 0.5: towards black
            colour = colour + (1 - colour) * max(0, 0.7 - place) if place < 0.7 else colour * (1.5 - place)
        look = {"colour": to_hex(np.clip(colour, 0, 1))}
        found[row["variant_id"]] = look | ({"dash": dashes[cell]} if dashes[cell] else {})
    return found


def _numbers(band: pd.DataFrame, digits: int) -> list[list[int | None]]:
    """Means and halves of their intervals, times a power of ten; the second is left out where there is no interval."""
    ordered = band.sort_values("epoch")
    whole = [_whole(ordered["mean"], digits), _whole(ordered["high"] - ordered["mean"], digits)]
    return whole if any(value is not None for value in whole[1]) else whole[:1]


def _whole(values: pd.Series, digits: int) -> list[int | None]:
    return [round(value * 10**digits) if math.isfinite(value) else None for value in values.astype(float)]


def packed(data: Mapping[str, Any]) -> str:
    """As JSON without a space, and without a sign that could end a script."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def fit(found: Sequence[Curves], limit: int = LIMIT) -> dict[str, str]:
    """The data of every chart by its anchor, within so many bytes together.

    Of the largest the curves at other rates are left out first, then every second epoch, as often as it takes.
    """
    data = {one.anchor: one.data for one in found}
    texts = {name: packed(one) for name, one in data.items()}
    while sum(len(text.encode()) for text in texts.values()) > limit:
        sizes = {name: len(texts[name].encode()) for name in texts}
        extra = [name for name in texts if any("best" not in line for line in data[name]["lines"])]
        name = max(extra or texts, key=lambda one: sizes[one])
        smaller = _best_only(data[name]) if extra else _thinner(data[name])
        if smaller == data[name]:
            break
        data[name] = smaller
        texts[name] = packed(smaller)
    return texts


def _best_only(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "lines": [line for line in data["lines"] if "best" in line]}


def _thinner(data: Mapping[str, Any]) -> dict[str, Any]:
    """Every second epoch, and the last one."""
    keep = [[i for i in range(len(axis)) if i % 2 == 0 or i == len(axis) - 1] for axis in data["epochs"]]
    lines = [
        {**line, "values": [[[part[i] for i in keep[line["axis"]]] for part in metric] for metric in line["values"]]}
        for line in data["lines"]
    ]
    epochs = [[axis[i] for i in kept] for axis, kept in zip(data["epochs"], keep, strict=True)]
    return {**data, "epochs": epochs, "lines": lines}
