"""Curves that the HTML page draws: `report.lines` with their names, small enough for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from jaxcompare.report.blocks import Block, Curves
from jaxcompare.report.view import View
from jaxcompare.system.strict_json import to_json

LIMIT = 200_000  # bytes of all curves of a page


def curves(view: View, anchor: str) -> list[Block]:
    """Return the curves of a comparison's variants, best rates first; no block where nothing was measured."""
    if not view.lines:
        return []
    words = view.words
    rows = {row["variant_id"]: row for _, row in view.summary.iterrows()}
    lines = [{"name": _name(view, rows[line.variant_id]), **line.drawn} for line in view.lines.lines]
    metrics = [
        {"name": words.say(f"axis.{name}"), "digits": digits, "log": int(name.endswith("loss"))}
        for name, digits in zip(view.lines.metrics, view.lines.decimals, strict=True)
    ]
    data = {"epochs": list(view.lines.epochs), "metrics": metrics, "lines": lines}
    return [Curves(f"{anchor}-curves", words.say("curves.caption", where=view.where()), data)]


def _name(view: View, row: pd.Series) -> str:
    words = view.words
    name = view.name(row)
    if "learning_rate" not in view.comparison.varied():
        name = words.say("picture.at_rate", name=name, rate=row["learning_rate"])
    notes = [words.say("picture.n", n=row["n"]), view.failures(row)]
    return words.say("curves.name", name=name, notes="; ".join(filter(None, notes)))


def packed(data: Mapping[str, Any]) -> str:
    """Return compact JSON, without the sign that could end a script."""
    return to_json(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def fit(found: Sequence[Curves], limit: int = LIMIT) -> dict[str, str]:
    """Return the data of every chart by its anchor, within `limit` bytes together.

    The largest chart loses its curves at other rates first, then every second epoch, until all charts fit.
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
    """Return every second epoch, and the last epoch."""
    keep = [[i for i in range(len(axis)) if i % 2 == 0 or i == len(axis) - 1] for axis in data["epochs"]]
    lines = [
        {**line, "values": [[[part[i] for i in keep[line["axis"]]] for part in metric] for metric in line["values"]]}
        for line in data["lines"]
    ]
    epochs = [[axis[i] for i in kept] for axis, kept in zip(data["epochs"], keep, strict=True)]
    return {**data, "epochs": epochs, "lines": lines}
