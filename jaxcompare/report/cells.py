"""Numbers as the cells of a table, in the words of a language."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from jaxcompare import analysis
from jaxcompare.report.blocks import Paragraph, Table
from jaxcompare.words import Words


def number(words: Words, value: Any, digits: int = 3) -> str:
    """A number to so many digits, whole ones in full; a word for none, and one for what was never reached (infinite)."""
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return words.say("number.none")
    if math.isinf(value):
        return words.say("number.missed")
    value = float(value)
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.{digits}g}"


def count(words: Words, part: Any, n: Any) -> str:
    """`3 of 5`; a word for none where it is not known."""
    if part is None or math.isnan(part):
        return words.say("number.none")
    return words.say("table.wins", wins=int(part), n=int(n))


def figure(words: Words, row: pd.Series, name: str, form: str = ".4f", scale: float = 1.0) -> str:
    """A figure of a summary's row: its mean with interval; where a run diverged its median; else a word."""
    mean, low, high = (float(row.get(f"{name}_{part}", math.nan)) * scale for part in analysis.Interval._fields)
    median = float(row.get(f"{name}_median", math.nan)) * scale
    if not math.isfinite(mean) and math.isfinite(median):
        return words.say("cell.median", value=f"{median:{form}}")
    return words.interval(mean, low, high, form)


def accuracy(words: Words, row: pd.Series, name: str = "test_accuracy") -> str:
    """`figure` of an accuracy: an interval that leaves 0 to 1, as Student's t may, is cut there, and marked."""
    low, high = (float(row.get(f"{name}_{side}", math.nan)) for side in ("low", "high"))
    inside = row.copy()
    inside[f"{name}_low"], inside[f"{name}_high"] = max(low, 0.0) if low == low else low, min(high, 1.0)
    text = figure(words, inside, name)
    return words.say("cell.cut", value=text) if (low < 0 or high > 1) and math.isfinite(row[f"{name}_mean"]) else text


def spread(words: Words, median: float, values: pd.Series) -> str:
    """Median and range of an accuracy over seeds; of runs that diverged there is no range."""
    if not math.isfinite(median):
        return words.say("failed.no_mean")
    if not len(values) or not values.notna().all():
        return words.say("cell.median", value=f"{median:.4f}")
    ends = {"low": f"{values.min():.4f}", "high": f"{values.max():.4f}"}
    return words.say("cell.median_range", value=f"{median:.4f}", **ends)


def cut_note(words: Words, table: Table) -> list[Paragraph]:
    """What the mark of `accuracy` means, where the table has one."""
    marked = words.say("cell.cut", value="")
    cut = any(cell.endswith(marked) and cell != marked for row in table.rows for cell in row)
    return [Paragraph(words.say("report.cut"))] if cut else []


def share(words: Words, value: Any) -> str:
    """A share as per cent."""
    return words.say("number.none") if value is None or math.isnan(value) else f"{value:.1%}"


def size(words: Words, value: Any) -> str:
    """Bytes as mebibytes, so that a column sorts."""
    return words.say("number.none") if value is None or math.isnan(value) else f"{float(value) / 2**20:,.2f}"
