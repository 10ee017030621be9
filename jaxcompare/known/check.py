"""The type of a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Check(NamedTuple):
    """A value to compute, the range that the value must be in, and the source of the range."""

    name: str
    compute: Callable[[], float]
    low: float
    high: float
    source: str


def near(name: str, compute: Callable[[], float], value: float, tolerance: float, source: str) -> Check:
    """Return a check that allows the same tolerance on both sides of a value."""
    return Check(name, compute, value - tolerance, value + tolerance, source)
