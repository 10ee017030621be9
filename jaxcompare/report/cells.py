"""Tables from rows, and numbers as their cells, in the words of a language."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.blocks import Paragraph, Table
from jaxcompare.words import Words, concise, rounded

Cell = Callable[[Any], str]


def table(
    words: Words,
    rows: pd.DataFrame | Iterable[Any],
    columns: Mapping[str, Cell],
    caption: str = "",
    factors: Collection[str] = (),
) -> Table:
    """Return a table with a line for each of `rows`.

    Args:
        words: the language.
        rows: a frame, or the objects that `columns` take.
        columns: by name, the function that makes a cell of a row.
        caption: of the table.
        factors: the names of columns that are factors.
    """
    each = [row for _, row in rows.iterrows()] if isinstance(rows, pd.DataFrame) else rows
    heads = tuple(words.factor(name) if name in factors else words.say(f"column.{name}") for name in columns)
    return Table(caption, heads, tuple(tuple(cell(row) for cell in columns.values()) for row in each))


def each(names: Iterable[str], cell: Callable[[Any, str], str]) -> dict[str, Cell]:
    """Return a column per name; `cell` takes a row and the name."""
    return {name: _bound(cell, name) for name in names}


def _bound(cell: Callable[[Any, str], str], name: str) -> Cell:
    return lambda row: cell(row, name)


def levels(words: Words, factors: Iterable[str]) -> dict[str, Cell]:
    """Return columns for the levels of factors."""
    return each(factors, lambda row, name: words.level(row[name], name))


def numbers(words: Words, columns: Mapping[str, str]) -> dict[str, Cell]:
    """Return columns of numbers: by name, the column of the rows that each is read from."""
    return each(columns, lambda row, name: number(words, row[columns[name]]))


def number(words: Words, value: Any, digits: int = 3) -> str:
    """Return a number to `digits` digits, whole numbers in full; a word for NaN, and a word for infinity (never reached)."""
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return words.say("number.none")
    if math.isinf(value):
        return words.say("number.missed")
    return concise(value, digits)


def whole(words: Words, value: float) -> str:
    """Return a number without digits after the point; the words of `number` for NaN and infinity."""
    return f"{value:.0f}" if math.isfinite(value) else number(words, value)


def count(words: Words, part: Any, n: Any) -> str:
    """Return `3 of 5`; a word where the count is not known."""
    if part is None or math.isnan(part):
        return words.say("number.none")
    return words.say("table.wins", wins=int(part), n=int(n))


def figure(words: Words, row: pd.Series, name: str, form: str = ".4f", scale: float = 1.0) -> str:
    """Return the mean of a figure with its interval; its median where a run diverged; else a word for the reason."""
    mean, low, high = (float(row.get(f"{name}_{part}", math.nan)) * scale for part in analysis.Interval._fields)
    median = float(row.get(f"{name}_median", math.nan)) * scale
    if not math.isfinite(mean) and math.isfinite(median):
        return words.say("cell.median", value=f"{median:{form}}")
    if not math.isfinite(mean) and row.get("n_diverged") == 0:
        return words.say("claimed.not_measured")  # what is missing has not failed
    return words.interval(mean, low, high, form)


def accuracy(words: Words, row: pd.Series, name: str = "test_accuracy") -> str:
    """Return `figure` of an accuracy; an interval that leaves 0 to 1, as Student's t may, is cut there, and marked."""
    low, high = (float(row.get(f"{name}_{side}", math.nan)) for side in ("low", "high"))
    inside = row.copy()
    inside[f"{name}_low"], inside[f"{name}_high"] = max(low, 0.0) if low == low else low, min(high, 1.0)
    text = figure(words, inside, name)
    return words.say("cell.cut", value=text) if (low < 0 or high > 1) and math.isfinite(row[f"{name}_mean"]) else text


def spread(words: Words, median: float, values: pd.Series) -> str:
    """Return the median and range of an accuracy over seeds; the median alone where a run diverged."""
    if not math.isfinite(median):
        return words.say("failed.no_mean")
    if not len(values) or not values.notna().all():
        return words.say("cell.median", value=f"{median:.4f}")
    ends = {"low": f"{values.min():.4f}", "high": f"{values.max():.4f}"}
    return words.say("cell.median_range", value=f"{median:.4f}", **ends)


def cut_note(words: Words, table: Table) -> list[Paragraph]:
    """Return the meaning of the mark of `accuracy`, where the table has one."""
    marked = words.say("cell.cut", value="")
    cut = any(cell.endswith(marked) and cell != marked for row in table.rows for cell in row)
    return [Paragraph(words.say("report.cut"))] if cut else []


def share(words: Words, value: Any) -> str:
    """Return a share as per cent."""
    return words.say("number.none") if value is None or math.isnan(value) else rounded(value, ".1%")


def size(words: Words, value: Any) -> str:
    """Return bytes as mebibytes, which sort as a column."""
    return words.say("number.none") if value is None or math.isnan(value) else f"{float(value) / 2**20:,.2f}"
