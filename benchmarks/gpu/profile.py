"""What JAX's profiler wrote, as kernels and their seconds."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

MOST = 25  # kernels that are named


def read(folder: str, seconds: float) -> dict[str, Any]:
    """The kernels of a trace, those that take the most first; `seconds` is what it lasted by the clock.

    Raises:
        FileNotFoundError: the profiler wrote none.
    """
    files = sorted(Path(folder).rglob("*.trace.json.gz"))
    if not files:
        raise FileNotFoundError("the profiler wrote no trace")
    return kernels(json.loads(gzip.decompress(files[-1].read_bytes()))["traceEvents"], seconds)


def kernels(events: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Events of the devices' streams, or on CPU of XLA's threads, added up by name."""
    processes = {e["pid"]: e["args"]["name"] for e in events if e.get("name") == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event in events:
        where = processes.get(event.get("pid"), ""), threads.get((event.get("pid"), event.get("tid")), "")
        if event.get("ph") == "X" and _is_work(*where):
            name = event["name"].partition("(")[0][:80]
            spent[name] += event["dur"] / 1e6
            calls[name] += 1
    busy = sum(spent.values())
    return {
        "seconds": seconds,
        "busy_seconds": busy,
        "kernels": [
            {"name": name, "seconds": taken, "calls": calls[name], "share": taken / busy}
            for name, taken in spent.most_common(MOST)
        ],
    }


def _is_work(process: str, thread: str) -> bool:
    """A GPU's streams have lines of kernels and, beside them, lines that group the same time by module and operation."""
    return "/device:" in process and thread.lower().startswith("stream")
