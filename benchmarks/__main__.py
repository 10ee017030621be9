"""The command line: `python -m benchmarks`. Standard library only; each way runs in a process of its own."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import summary
from benchmarks.measure import Bench, Cell
from benchmarks.process import write_json
from benchmarks.ways import WAYS
from benchmarks.workloads import WORKLOADS
from jaxcompare.config.registry import nearest
from jaxcompare.system.cores import usable_cores

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
BUSY = 0.5  # processes that want to run, over the last minute
QUICK = {"repeats": 2, "seconds": 0.2}


class UsageError(Exception):
    """A command line, or a machine, with which nothing can be measured."""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Replica-steps a second of our training and of PyTorch's ways of it, beside the machine's ceiling.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "--workload",
        nargs="+",
        default=list(WORKLOADS),
        metavar="NAME",
        help=f"of {', '.join(WORKLOADS)} (default: all)",
    )
    add("--replicas", nargs="+", type=int, metavar="N", help="only these numbers of replicas")
    add("--way", nargs="+", default=list(WAYS), metavar="NAME", help=f"of {', '.join(map(repr, WAYS))} (default: all)")
    add("--repeats", type=int, metavar="N", help="of every way, in turn (default: 5)")
    add("--seconds", type=float, metavar="S", help="about how long a repeat takes (default: 1)")
    add("--quick", action="store_true", help="each workload's least number of replicas, two short repeats")
    add("--no-ceiling", action="store_true", help="leave out what the machine could do")
    add("--limit", type=float, metavar="S", help="leave out a way that takes longer to prepare (default: none is)")
    add("--json", type=Path, metavar="FILE", help="where everything measured goes")
    add("--picture", type=Path, metavar="FILE", help="throughput against replicas, as PNG")
    add(
        "--read",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure nothing: table and picture of earlier --json files",
    )
    return made


def check(kind: str, given: Iterable[Any], known: Iterable[Any]) -> None:
    """Raises UsageError for the first that is not known."""
    known = list(known)
    for name in given:
        if name not in known:
            raise UsageError(f"--{kind}: no {name!r}; {nearest(str(name), [str(one) for one in known])}")


def cells_of(arguments: argparse.Namespace) -> list[Cell]:
    """The workloads and numbers of replicas that are asked for.

    Raises:
        UsageError: there are no such.
    """
    check("workload", arguments.workload, WORKLOADS)
    check("way", arguments.way, WAYS)
    sizes = sorted({size for name in arguments.workload for size in WORKLOADS[name].sizes})
    for size in arguments.replicas or []:
        if size not in sizes:
            closest = min(sizes, key=lambda known: abs(known - size))
            raise UsageError(f"--replicas: no {size}; {nearest(str(closest), map(str, sizes))}")
    for name in ("repeats", "seconds", "limit"):
        if (value := getattr(arguments, name)) is not None and value <= 0:
            raise UsageError(f"--{name} {value}: must be greater than 0")
    cells = [(name, size) for name in dict.fromkeys(arguments.workload) for size in sorted(WORKLOADS[name].sizes)]
    if arguments.replicas:
        return [cell for cell in cells if cell[1] in arguments.replicas]
    return [(name, size) for name, size in cells if not arguments.quick or size == min(WORKLOADS[name].sizes)]


def versions() -> dict[str, str]:
    """Of what was measured, where it is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        if importlib.util.find_spec(name):
            found[name] = metadata.version(name)
    return found


def measure(
    arguments: argparse.Namespace, cells: Sequence[Cell], keep: Callable[[dict[str, Any]], None] = lambda found: None
) -> dict[str, Any]:
    """Everything measured, as it goes into the file; `keep` has what there is after each repeat."""
    torch = importlib.util.find_spec("torch") is not None
    if not torch and any(WAYS[name].torch for name in arguments.way):
        print("PyTorch is not installed (pip install '.[bench]'): its ways are left out", file=sys.stderr)
    repeats = arguments.repeats or (QUICK["repeats"] if arguments.quick else 5)
    seconds = arguments.seconds or (QUICK["seconds"] if arguments.quick else 1.0)

    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY:
        print(
            f"the machine is not idle (load {os.getloadavg()[0]:.1f}): ways with several threads suffer",
            file=sys.stderr,
        )
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    options = {"ceiling": not arguments.no_ceiling, "limit": arguments.limit}
    with Bench(arguments.way, torch=torch, repeats=int(repeats), seconds=seconds, say=say, **options) as bench:

        def so_far(more: list[dict[str, Any]]) -> dict[str, Any]:
            return {
                "machine": {**bench.machine, "cores": usable_cores(), "system": platform.platform()},
                "versions": versions(),
                "repeats": repeats,
                "seconds": seconds,
                "wall_seconds": time.perf_counter() - started,
                "rows": rows + more,
            }

        for workload in dict.fromkeys(name for name, _ in cells):
            for replicas in (size for name, size in cells if name == workload):
                rows += bench.cell(workload, replicas, lambda more: keep(so_far(more)))
            bench.finish(workload)
        return so_far([])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, 2 for bad input, 130 when it was stopped."""
    arguments = parser().parse_args(argv)
    try:
        cells = cells_of(arguments)
        if arguments.read:
            files = [json.loads(path.read_text()) for path in arguments.read]
            found = {**files[0], "rows": [row for one in files for row in one["rows"]]}
        else:
            found = measure(
                arguments, cells, partial(write_json, arguments.json) if arguments.json else lambda found: None
            )
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (UsageError, OSError, json.JSONDecodeError) as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    print(summary.table(found["rows"]))
    print(f"\n{summary.conclusion(found['rows'])}")
    if noisy := summary.disturbed(found["rows"]):
        print(f"not a quiet machine, do not trust: {', '.join(noisy)}", file=sys.stderr)
    if arguments.json and arguments.read:
        write_json(arguments.json, found)
    if arguments.picture:
        from benchmarks import picture  # Matplotlib: only where it is wanted

        arguments.picture.write_bytes(picture.draw(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
