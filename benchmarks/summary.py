"""The table of the benchmark's rows, and their summary."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.tables import Row, shown, table
from benchmarks.ways import WAYS

QUIET = 0.7  # a library's least product rate over its greatest within a run, on a machine that does nothing else


def medians(rows: Iterable[Row], wanted: Callable[[str], bool]) -> dict[tuple[str, int], float]:
    """Return the highest median of some ways, for each workload and number of replicas."""
    best: dict[tuple[str, int], float] = {}
    for row in rows:
        if "median" in row and wanted(row["way"]):
            key = (row["workload"], row["replicas"])
            best[key] = max(best.get(key, 0.0), row["median"])
    return best


def ratios(rows: Sequence[Row]) -> dict[tuple[str, int], float]:
    """Return ours over the fastest PyTorch way, for each workload and number of replicas that has both."""
    ours, torch = medians(rows, lambda way: way == "ours"), medians(rows, lambda way: way in WAYS and WAYS[way].torch)
    return {key: ours[key] / torch[key] for key in ours if key in torch}


def ways_table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table, with the share of the ceiling and ours over each way."""
    ours, done = medians(rows, lambda way: way == "ours"), shown(rows)
    for row in done:
        base, rate, error = ours.get((row["workload"], row["replicas"])), row.get("median"), row.pop("failed", None)
        row |= {"of ceiling": row.get("share_of_ceiling"), "ours / this way": base / rate if base and rate else None}
        row |= {"compiled in, s": row.get("compile_seconds"), "chosen": row.get("note"), "failed": error}
    return table(done)


def text(rows: Sequence[Row]) -> str:
    """Return the table, and how ours compares with the fastest PyTorch way over all cells."""
    every, said = ratios(rows), "unknown, because one of them was not measured"
    if every:
        (workload, replicas), least = min(every.items(), key=lambda item: item[1])
        mean, where = statistics.geometric_mean(every.values()), f"least {least:.2f} ({workload}, {replicas} replicas)"
        said = f"{mean:.2f} in the geometric mean over {len(every)} rows, {where}"
    return "\n".join([*ways_table(rows), "", f"ours / fastest PyTorch way: {said}"])


def disturbed(rows: Sequence[Row]) -> list[str]:
    """List the cells in which the machine's own rate varied so much that something else ran: threads suffer most by it."""
    swings = {f"{row['workload']} {row['replicas']}": row["machine"].values() for row in rows if row.get("machine")}
    return [cell for cell, each in swings.items() if max(min(rates) / max(rates) for rates in each) < QUIET]
