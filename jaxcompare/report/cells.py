"""Numbers as the cells of a table, in the words of a language."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from jaxcompare import analysis
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


def share(words: Words, value: Any) -> str:
    """A share as per cent."""
    return words.say("number.none") if value is None or math.isnan(value) else f"{value:.1%}"


def size(words: Words, value: Any) -> str:
    """Bytes as mebibytes, so that a column sorts."""
    return words.say("number.none") if value is None or math.isnan(value) else f"{float(value) / 2**20:,.2f}"
