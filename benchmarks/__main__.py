"""The command line: `python -m benchmarks`. Each way runs in a process of its own."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measure import Bench
from benchmarks.process import ChildError, write_json
from benchmarks.tables import Row, disturbed, text
from benchmarks.ways import WAYS
from benchmarks.workloads import WORKLOADS
from jaxcompare.system.command import command, tell
from jaxcompare.system.cores import usable_cores

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
BUSY = 0.5  # processes that want to run, over the last minute
SIZES = sorted({size for work in WORKLOADS.values() for size in work.sizes})


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    about = "Replica-steps a second of our training and of PyTorch's ways, beside the machine's ceiling."
    options = argparse.ArgumentParser("python -m benchmarks", description=about, allow_abbrev=False)
    add = options.add_argument
    add("--workload", nargs="+", default=list(WORKLOADS), choices=WORKLOADS, help="default: all")
    add("--replicas", nargs="+", type=int, default=SIZES, choices=SIZES, metavar="N", help=f"of {SIZES}; default: all")
    add("--way", nargs="+", default=list(WAYS), choices=WAYS, help="default: all that this machine has")
    add("--repeats", type=positive(int), metavar="N", help="of every way, in turn (default: 5)")
    add("--seconds", type=positive(float), metavar="S", help="about the time of a repeat (default: 1)")
    add("--quick", action="store_true", help="the least number of replicas of each workload, two short repeats")
    add("--json", type=Path, metavar="FILE", help="where everything measured goes")
    add("--picture", type=Path, metavar="FILE", help="throughput against replicas, as PNG")
    add("--read", nargs="+", type=Path, metavar="FILE", help="earlier --json files to show, without measuring")
    return options


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the conversion of an option that must be greater than 0."""

    def convert(text: str) -> Any:
        if not (value := kind(text)) > 0:
            raise argparse.ArgumentTypeError(f"{text}: must be greater than 0")
        return value

    return convert


def cells_of(given: argparse.Namespace) -> list[tuple[str, int]]:
    """List the workloads and numbers of replicas to measure."""
    sizes = {name: sorted({*WORKLOADS[name].sizes} & {*given.replicas}) for name in given.workload}
    return [(name, size) for name, some in sizes.items() for size in (some[:1] if given.quick else some)]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    there = [name for name in PACKAGES if importlib.util.find_spec(name)]
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in there}}


def measure(given: argparse.Namespace, keep: Callable[[Row], None]) -> Row:
    """Return everything measured, as it goes into the file; `keep` has what is known after each repeat."""
    if "torch" not in versions() and any(WAYS[name].torch for name in given.way):
        tell("PyTorch is not installed (pip install '.[bench]'): its ways are left out", "stderr")
    if os.getloadavg()[0] > BUSY:
        tell(f"load {os.getloadavg()[0]:.1f}: the machine is busy, ways with several threads suffer", "stderr")
    repeats, seconds = given.repeats or (2 if given.quick else 5), given.seconds or (0.2 if given.quick else 1.0)
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - start:6.1f} s  {text}", file=sys.stderr, flush=True)

    with Bench(given.way, repeats, seconds, say, torch="torch" in versions()) as bench:
        machine = {**bench.machine, "cores": usable_cores(), "system": platform.platform()}
        known: Row = {"machine": machine, "versions": versions(), "repeats": repeats, "seconds": seconds, "rows": []}
        for cell in cells_of(given):
            rows = known["rows"]
            for more in bench.cell(*cell):
                keep(known | {"wall_seconds": time.perf_counter() - start, "rows": [*rows, *more]})
            known["rows"] = rows + more
    return known


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 2 for bad input, 130 when it was stopped."""
    given = parser().parse_args(argv)
    keep = (lambda known: write_json(given.json, known)) if given.json else (lambda known: None)
    try:
        if given.read:
            files = [json.loads(path.read_text()) for path in given.read]
            known = {**files[0], "rows": [row for one in files for row in one["rows"]]}
            keep(known)
        else:
            known = measure(given, keep)
    except (ChildError, OSError, json.JSONDecodeError) as error:
        tell(f"benchmarks: error: {error}", "stderr")
        return 2
    tell(text(known["rows"]))
    if noisy := disturbed(known["rows"]):
        tell(f"the machine was not quiet, do not trust: {', '.join(noisy)}", "stderr")
    if given.picture:
        from benchmarks import picture  # Matplotlib is needed only here

        given.picture.write_bytes(picture.draw(known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
