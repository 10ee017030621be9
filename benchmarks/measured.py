"""What a way prepares, and how it is timed: the same for all. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LEAST_SECONDS = 0.05  # of a trial from which the number of steps is reckoned


@dataclass(frozen=True)
class Unit:
    """A part of the work that is timed by itself, standing for `count` equal ones that run one after another."""

    run: Callable[[int], None]  # so many steps; returns when they are done
    count: float = 1.0


@dataclass(frozen=True)
class Prepared:
    """A way that is ready to run."""

    units: Sequence[Unit]
    amount: float  # of work in one step of all units: replicas, or operations, or bytes
    compile_seconds: float = 0.0
    load_seconds: float = 0.0  # data made and put where they are needed
    note: str = ""  # what was chosen
    details: dict = field(default_factory=dict)


def steps_for(prepared: Prepared, seconds: float) -> int:
    """How many steps of every unit take about so many seconds in all; warms them up besides."""
    total = 0.0
    for unit in prepared.units:
        unit.run(2)
        steps = 1
        while (taken := timed(unit, steps)) < LEAST_SECONDS:
            steps = max(2 * steps, min(10 * steps, int(1.2 * LEAST_SECONDS * steps / max(taken, 1e-9))))
        total += min(taken, timed(unit, steps)) / steps  # of two, in case something else held up the first
    return max(1, round(seconds / total))


def timed(unit: Unit, steps: int) -> float:
    """Seconds that a unit takes for so many steps."""
    start = time.perf_counter()
    unit.run(steps)
    return time.perf_counter() - start


def rate(prepared: Prepared, steps: int) -> float:
    """Work a second, from one run of every unit: each one's time counts as often as there are such units."""
    seconds = sum(unit.count * timed(unit, steps) for unit in prepared.units)
    return prepared.amount * steps / seconds
