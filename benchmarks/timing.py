"""How prepared work is timed, the same for every way, and how the fastest shape is searched. Standard library only."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LEAST_SECONDS = 0.05  # of the trial that decides the number of steps
GROWTH = 3  # each shape that is tried is at least this much larger than the last: each costs a compilation
SLOW = 0.8  # of the best rate
PATIENCE = {"cpu": 2, "cuda": 1}  # slow shapes in a row that end the search; a CPU's trials are less certain
Shape = tuple[int, int]  # seeds, variants


class Unit(NamedTuple):
    """A part of the work that is timed by itself and represents `parts` equal ones, which run one after another."""

    run: Callable[[int], Any]  # takes a number of steps, returns when they are done
    parts: float = 1.0


class Prepared(NamedTuple):
    """A way that is ready to run."""

    units: Sequence[Unit]
    amount: float  # of work in one step of all units: replicas, operations or bytes
    compile_seconds: float = 0.0
    note: str = ""  # what was chosen


def steps_for(prepared: Prepared, seconds: float) -> int:
    """Return the number of steps of every unit that take about this time in all; warms the units up."""
    total = 0.0
    for unit in prepared.units:
        unit.run(2)
        steps = 1
        while (taken := timed(unit, steps)) < LEAST_SECONDS:
            steps = max(2 * steps, min(10 * steps, int(1.2 * LEAST_SECONDS * steps / max(taken, 1e-9))))
        total += min(taken, timed(unit, steps)) / steps  # the better of two, in case the first was disturbed
    return max(1, round(seconds / total))


def timed(unit: Unit, steps: int) -> float:
    """Return the seconds that a unit takes for some steps."""
    start = time.perf_counter()
    unit.run(steps)
    return time.perf_counter() - start


def rate(prepared: Prepared, steps: int) -> float:
    """Return the work a second from one run of every unit, each weighted by its parts."""
    return prepared.amount * steps / sum(unit.parts * timed(unit, steps) for unit in prepared.units)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def measured(prepared: Prepared, repeats: int, seconds: float) -> dict[str, Any]:
    """Return the rates of some repeats and their spread."""
    steps = steps_for(prepared, seconds)
    rates = [rate(prepared, steps) for _ in range(repeats)]
    return {**spread(rates), "rates": rates, "steps": steps}


def shapes(seeds: int, variants: int) -> list[Shape]:
    """List the shapes of stacks that divide a group evenly, from one replica to all, each well above the last."""
    every = [(1, v) for v in range(1, variants + 1) if variants % v == 0]
    every += [(s, variants) for s in range(2, seeds + 1) if seeds % s == 0]
    kept = every[:1]
    for shape in every[1:]:
        if shape == every[-1] or math.prod(shape) >= GROWTH * math.prod(kept[-1]):
            kept.append(shape)
    return kept


def fastest(rate_of: Callable[[Shape], float], every: Sequence[Shape], device: str) -> Shape:
    """Return the fastest shape; a GPU prefers many replicas, so there the largest are tried (and compiled) first."""
    rates: dict[Shape, float] = {}
    slow = 0
    for shape in reversed(every) if device == "cuda" else every:
        rates[shape] = rate_of(shape)
        slow = slow + 1 if rates[shape] < SLOW * max(rates.values()) else 0
        if slow == PATIENCE[device]:
            break
    return max(rates, key=rates.__getitem__)
