"""Measuring: for each workload and number of replicas all ways in turn, again and again, beside the machine's ceiling."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.process import Child, WayError, own_caches
from benchmarks.ways import CEILINGS, COPY, PRODUCT, WAYS
from benchmarks.workloads import WORKLOADS, operations, traffic

CEILING_SECONDS = 0.25
TOLD = 30  # lines of the log of a way that failed

Row = dict[str, Any]
Cell = tuple[str, int]  # workload, replicas


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def bounds(workload: str, replicas: int, quantities: Mapping[str, float]) -> dict[str, float]:
    """Replica-steps a second that each of the machine's rates would allow, by quantity."""
    work = WORKLOADS[workload]
    variants = [variant.settings for variant in work.comparison(replicas).studies[0].variants]
    batch = variants[0].batch_size
    costs = {
        PRODUCT: float(operations(work.widths, batch)),
        COPY: statistics.mean(traffic(work.widths, one.optimizer) for one in variants),
    }
    return {quantity: rate / costs[quantity] for quantity, rate in quantities.items()}


class Bench:
    """One run of the benchmark; a context manager, so that no process is left behind.

    Args:
        ways: names of `WAYS`, in order.
        torch: whether PyTorch is there.
        repeats: of every way, in turn.
        seconds: about how long each repeat takes.
        say: is told what happens.
        ceiling: whether the machine's own rates are measured.
        limit: seconds that a way may take to prepare; None: any time.
    """

    def __init__(
        self,
        ways: Sequence[str],
        *,
        torch: bool,
        repeats: int,
        seconds: float,
        say: Callable[[str], None],
        ceiling: bool = True,
        limit: float | None = None,
    ) -> None:
        self.repeats, self.seconds, self.say, self.torch = repeats, seconds, say, torch
        self.ceiling, self.limit = ceiling, limit
        self.stack = ExitStack()
        kept = self.stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self.environment = own_caches(Path(kept))
        self.children: dict[tuple[str, str], Child] = {}
        self.ceilings: dict[str, Child] = {}
        self.ways = list(ways)

    def __enter__(self) -> Bench:
        """Starts what measures the ceiling, and asks what machine this is."""
        probe = self._start("ceiling:jax_product", {})
        self.machine = probe.ask("platform")
        kind = self.machine["platform"]
        self.ways = [name for name in self.ways if kind in WAYS[name].on and (self.torch or not WAYS[name].torch)]
        if not self.ceiling:
            probe.stop()
            return self
        for name, ceiling in CEILINGS.items():
            if kind in ceiling.on and (self.torch or not ceiling.torch):
                child = probe if name == "jax product" else self._start(ceiling.prepare, {})
                try:
                    child.ask("prepare", arguments=[], seconds=CEILING_SECONDS)
                    self.ceilings[name] = child
                except WayError as error:
                    self.say(f"{name}: {error}")
        return self

    def __exit__(self, *error: object) -> None:
        """Ends every process."""
        self.stack.close()

    def _start(self, target: str, environment: Mapping[str, str]) -> Child:
        child = Child(target, {**self.environment, **environment})
        self.stack.callback(child.stop)
        return child

    def _child(self, workload: str, way: str) -> Child:
        """The way's process for a workload, which keeps what it has compiled."""
        found = self.children.get((workload, way))
        if found is None or WAYS[way].fresh:
            if found is not None:
                found.stop()
            found = self.children[workload, way] = self._start(WAYS[way].prepare, WAYS[way].environment)
        return found

    def finish(self, workload: str) -> None:
        """Ends a workload's processes."""
        for key in [key for key in self.children if key[0] == workload]:
            self.children.pop(key).stop()

    def cell(self, workload: str, replicas: int, keep: Callable[[list[Row]], None] = lambda rows: None) -> list[Row]:
        """All ways at one number of replicas: a row each, the ceiling's last. `keep` has them after every repeat."""
        rows: dict[str, Row] = {}
        for way in self.ways:
            self.say(f"{workload} {replicas}: preparing {way}")
            row: Row = {"workload": workload, "replicas": replicas, "way": way, "rates": []}
            rows[way] = row
            child = self._child(workload, way)
            try:
                row |= child.ask("prepare", limit=self.limit, arguments=[workload, replicas], seconds=self.seconds)
            except WayError as error:
                self._failed(row, error, child)
        quantities: dict[str, list[float]] = {}
        for number in range(self.repeats):
            self.say(f"{workload} {replicas}: repeat {number + 1} of {self.repeats}")
            self._repeat(workload, rows, quantities)
            found = finished(workload, replicas, rows, quantities)
            keep(found)
        return found

    def _failed(self, row: Row, error: WayError, child: Child) -> None:
        """Keeps why, and says what its process said."""
        row["error"] = str(error)
        self.say(f"{row['way']}: {error}\n{child.said(TOLD)}")

    def _repeat(self, workload: str, rows: Mapping[str, Row], quantities: dict[str, list[float]]) -> None:
        """Every ceiling and every way once; rates go into the rows. What fails is measured no more."""
        for ceiling, child in list(self.ceilings.items()):
            try:
                quantities.setdefault(ceiling, []).append(child.ask("repeat")["rate"])
            except WayError as error:
                self.say(f"{ceiling}: {error}")
                del self.ceilings[ceiling]
        for way, row in rows.items():
            if "error" in row:
                continue
            child = self.children[workload, way]
            try:
                answer = child.ask("repeat")
            except WayError as error:
                self._failed(row, error, child)
                continue
            row["rates"].append(answer.pop("rate"))
            row |= answer


def finished(
    workload: str, replicas: int, rows: Mapping[str, Row], quantities: Mapping[str, Sequence[float]]
) -> list[Row]:
    """Rows with the median of their rates and its share of the ceiling, and the ceiling's own row where it is known."""
    best = {
        quantity: max(
            spread(rates)["median"] for name, rates in quantities.items() if CEILINGS[name].quantity == quantity
        )
        for quantity in {CEILINGS[name].quantity for name in quantities}
    }
    allowed = bounds(workload, replicas, best)
    binding = min(allowed, key=allowed.__getitem__, default=None)
    for row in rows.values():
        if row["rates"] and "error" not in row:
            row |= spread(row["rates"])
            row["share_of_ceiling"] = row["median"] / allowed[binding] if binding else None
    if binding is None:
        return list(rows.values())
    ceiling = {"workload": workload, "replicas": replicas, "way": "ceiling", "median": allowed[binding]}
    return [*rows.values(), ceiling | {"note": binding, "machine": quantities, "allowed": allowed}]
