"""What grows with what: throughput with devices, time with replicas, seeds and epochs, memory with epochs.

`python -m benchmarks.scaling` prints the Markdown tables of docs/scaling.md. The data are made up and have the real shapes;
training includes its measurements, compilation is excluded; medians of repeats taken in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from benchmarks import ours
from benchmarks.tables import Row, table
from benchmarks.workloads import grid_of
from jaxcompare.system.command import command, tell

DEVICES = ((1, 1), (2, 1), (4, 1), (8, 1), (4, 2), (1, 2))  # replica, data
GROWTH = {"replicas": (8, 16, 32, 64), "seeds": (4, 8, 16), "epochs": (5, 10, 20, 40)}
REPEATS = 3
Run = Callable[[], float]  # trains, and returns the seconds


def prepared(places: Any, *, seeds: int = 4, variants: int = 4, epochs: int = 10) -> tuple[Run, Row]:
    """Return the training of rates of one optimizer on moons, and its row."""
    base = {"optimizer": "momentum", "measure_every": 1000, "evaluate_every": 5, "epochs": epochs}
    (program,) = ours.planned(grid_of("moons", seeds, variants, **base))
    train, row = ours.trainer(program, places), {"steps": seeds * variants * program.total_steps, "live_bytes": 0}

    def held() -> None:
        row["live_bytes"] = max(row["live_bytes"], sum(array.nbytes for array in jax.live_arrays()))

    def run() -> float:
        start = time.perf_counter()
        train(held)
        return time.perf_counter() - start

    run()  # the first run warms up
    return run, row


def timed(every: Sequence[tuple[Run, Row]]) -> list[Row]:
    """Return the rows with the median seconds of each, taken in turn so that a machine whose rate drifts treats all alike."""
    repeats = zip(*[[run() for run, _ in every] for _ in range(REPEATS)], strict=True)
    seconds = [statistics.median(each) for each in repeats]
    return [row | {"seconds": taken} for (_, row), taken in zip(every, seconds, strict=True)]


def measure() -> dict[str, list[Row]]:
    """Return the rows by what grows: places, or devices that share a tile; replicas, seeds, epochs."""
    each = timed([prepared(ours.local_places(tiles, data=data), seeds=8) for tiles, data in DEVICES])
    rows: list[Row] = []
    for row, (tiles, data) in zip(each, DEVICES, strict=True):
        rate = row["steps"] / row["seconds"]
        rows.append({"devices": tiles * data, "replica": tiles, "data": data, "replica-steps a second": rate})
        rows[-1]["rate to one device"] = rate / rows[0]["replica-steps a second"]
    known = {"devices": rows}
    for what, sizes in GROWTH.items():
        options = [{"variants": n // 2, "seeds": 2} if what == "replicas" else {what: n} for n in sizes]
        each = timed([prepared(ours.local_places(2), **one) for one in options])
        units = [row["seconds"] / size for row, size in zip(each, sizes, strict=True)]
        known[what] = [
            {
                what: n,
                "seconds": row["seconds"],
                "a unit / the largest's": unit / units[-1],
                "MB live": row["live_bytes"] / 1e6,
            }
            for n, row, unit in zip(sizes, each, units, strict=True)
        ]
    return known


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__).parse_args(argv)
    ours.start_jax()
    tell("\n\n".join("\n".join(table(rows)) for rows in measure().values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
