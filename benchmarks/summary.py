"""From rows to a table and its summary, as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.ways import WAYS

Row = dict[str, Any]

HEAD = (
    "workload",
    "replicas",
    "way",
    "replica-steps/s",
    "[least, most]",
    "of ceiling",
    "to PyTorch",
    "compile s",
    "MiB",
)


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product.

    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    return math.exp(sum(math.log(value) for value in values) / len(values))


def fastest_torch(rows: Iterable[Row]) -> dict[tuple[str, int], Row]:
    """The fastest PyTorch way of each workload and number of replicas."""
    found: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = (row["workload"], row["replicas"])
        if row["way"] in WAYS and WAYS[row["way"]].torch and "median" in row:
            found[key] = max(found.get(key, row), row, key=lambda one: one["median"])
    return found


def ratios(rows: Sequence[Row]) -> dict[tuple[str, int], float]:
    """Ours over the fastest PyTorch way, for each workload and number of replicas where both are known."""
    bars = fastest_torch(rows)
    return {
        key: row["median"] / bars[key]["median"]
        for row in rows
        if row["way"] == "ours" and "median" in row and (key := (row["workload"], row["replicas"])) in bars
    }


def table(rows: Sequence[Row]) -> str:
    """The rows in columns; a row that failed says why."""
    bars = fastest_torch(rows)
    lines = [HEAD, *(_cells(row, bars.get((row["workload"], row["replicas"]))) for row in rows)]
    widths = [max(len(line[i]) for line in lines if len(line) == len(HEAD)) for i in range(len(HEAD))]
    out, before = [], None
    for line in lines:
        if before is not None and line[:2] != before:
            out.append("")
        before = line[:2]
        sides = [
            cell.ljust(width) if i in (0, 2) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        out.append("  ".join(sides).rstrip())
    return "\n".join(out)


def _cells(row: Row, bar: Row | None) -> tuple[str, ...]:
    start = (row["workload"], str(row["replicas"]), row["way"])
    if "error" in row:
        return (*start, f"failed: {row['error']}")
    if "rates" not in row:
        return (*start, _number(row["median"]), "", "100%", "", "", "")
    return (
        *start,
        _number(row["median"]),
        f"[{_number(row['least'])}, {_number(row['greatest'])}]",
        f"{row['share_of_ceiling']:.0%}" if row["share_of_ceiling"] else "",
        f"{row['median'] / bar['median']:.2f}" if bar else "",
        f"{row['compile_seconds']:.1f}",
        f"{memory(row) / 2**20:,.0f}",
    )


def memory(row: Row) -> float:
    """Bytes that a way took at most while it trained: the device's, or its processes' beyond what their imports took."""
    elsewhere = row.get("device_peak_bytes") or row.get("details", {}).get("workers_bytes")
    return elsewhere or row["peak_bytes"] - row["baseline_bytes"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


QUIET = 0.7  # the least over the most of what one library's product reached within a run, on a machine with nothing else to do


def disturbed(rows: Sequence[Row]) -> list[str]:
    """Where the machine's own rate swung so much that something else must have run: PyTorch's threads suffer most by it."""
    found = []
    for row in rows:
        swings = [min(rates) / max(rates) for rates in row.get("machine", {}).values()]
        if swings and max(swings) < QUIET:
            found.append(f"{row['workload']} {row['replicas']}")
    return found


def conclusion(rows: Sequence[Row]) -> str:
    """How ours compares with the fastest PyTorch way over all workloads."""
    found = ratios(rows)
    if not found:
        return "ours / fastest PyTorch way: not known, because one of them was not measured"
    (workload, replicas), least = min(found.items(), key=lambda item: item[1])
    return (
        f"ours / fastest PyTorch way: {geometric_mean(list(found.values())):.2f} in the geometric mean over "
        f"{len(found)} rows, least {least:.2f} ({workload}, {replicas} replicas)"
    )
