"""Tables in Markdown, and the benchmark's summary. Rows are dicts; a key is a column's title and decides how values look."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.ways import WAYS
from jaxcompare.system.memory import spell_bytes

Row = dict[str, Any]
QUIET = 0.7  # a library's least product rate over its greatest within a run, on a machine that does nothing else
RATE, TILE, XLA = "replica-steps/s", "tile, seeds x variants", "compiled, bytes"
# Keys of rows that are figures for programs to read, not columns of a table.
HIDDEN = {
    "rates",
    "steps",
    "median",
    "least",
    "greatest",
    "share_of_ceiling",
    "note",
    "machine",
    "allowed",
    "log",
    "hlo",
}
HIDDEN |= {"compile_seconds", "operations", "traffic", "streamed", "moved", "compare", "table", "rate", "live_bytes"}


def number(value: float) -> str:
    """Return three figures, or all whole ones.

    >>> number(12345.6), number(1.23456), number(7)
    ('12,346', '1.23', '7')
    """
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def cell(key: str, value: Any) -> str:
    """Return a value as its column's title asks: bytes, shares (of), ratios (to, /), shapes, numbers.

    >>> cell(XLA, 2**20), cell("of the time", 0.5), cell("ours / this way", 1.234), cell(TILE, [10, 9])
    ('1 MiB', '50%', '1.23', '10 x 9')
    """
    if value is None or isinstance(value, (str, bool)):
        return "-" if value is None else str(value).replace("|", "/")
    if isinstance(value, (list, tuple)):
        return (" x " if key == TILE or "tile" in key else " ").join(map(number, value))
    if key.endswith("bytes"):
        return spell_bytes(int(value))
    if key.startswith("of "):
        return f"{value:.0%}"
    return f"{value:.2f}" if " / " in key or " to " in key else number(value)


def table(rows: Iterable[Row]) -> list[str]:
    """Return the lines of a Markdown table; a column without any value is left out.

    >>> table([{"way": "ours", RATE: 1200.0, "rates": [1]}, {"way": "torch", RATE: None}])[2:]
    ['| ours  | 1,200           |', '| torch | -               |']
    """
    rows = list(rows)
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in HIDDEN]
    keys = [key for key in keys if any(row.get(key) is not None for row in rows)]
    cells = [keys, *([cell(key, row.get(key)) for key in keys] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(one.ljust(n) for one, n in zip(row, widths, strict=True)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]] if keys else []


def shown(rows: Sequence[Row]) -> list[Row]:
    """Add columns for rates, and for rate and bytes over those of the first row with the same `compare`; errors go last."""
    first: dict[Any, Row] = {}
    done = []
    for row in rows:
        base, extra = first.setdefault(row.get("compare"), row), Row()
        if "median" in row:
            extra[RATE] = row["median"]
        if "least" in row:
            extra["[least, greatest]"] = f"[{number(row['least'])}, {number(row['greatest'])}]"
        for key, title in (("median", "rate to the first"), (XLA, "bytes to the first")) if "compare" in row else ():
            extra[title] = row[key] / base[key] if row.get(key) and base.get(key) else None
        error = {"failed": row["error"]} if "error" in row else {}
        done.append({key: value for key, value in row.items() if key != "error"} | extra | error)
    return done


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
