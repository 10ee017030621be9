"""What a check is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Check(NamedTuple):
    """A value to compute, the range that it must lie in, and where the range is from."""

    name: str
    compute: Callable[[], float]
    low: float
    high: float
    source: str


def near(name: str, compute: Callable[[], float], value: float, tolerance: float, source: str) -> Check:
    """A check of one value with the same tolerance on both sides."""
    return Check(name, compute, value - tolerance, value + tolerance, source)
