"""Measuring: for each workload and number of replicas all ways take turns, beside the machine's ceiling."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.process import Child, ChildError, caches
from benchmarks.tables import Row
from benchmarks.timing import spread
from benchmarks.ways import CEILINGS, COPY, PRODUCT, WAYS, Way
from benchmarks.workloads import WORKLOADS, costs, widths_of
from jaxcompare.system.cores import usable_cores

CEILING_SECONDS = 0.25
LOG_LINES = 60  # of a process that failed
Running = list[tuple[Row, list[Child]]]


@dataclass
class Bench:
    """One run of the benchmark; a context manager that leaves no process behind."""

    ways: Sequence[str]
    repeats: int  # of every way, in turn
    seconds: float  # about the time of each repeat
    say: Callable[[str], None]  # receives progress
    torch: bool = False  # whether PyTorch is installed
    ceiling: bool = True  # whether the machine's own rates are measured
    limit: float = math.inf  # seconds that a way may take to prepare
    until: float = math.inf  # when to stop, by `time.perf_counter`
    environment: Mapping[str, str] = field(
        default_factory=dict
    )  # of all processes; empty: compiled programs last for this run

    def __enter__(self) -> Bench:
        """Ask which machine this is, and start the processes of the ceiling."""
        self.stack = ExitStack()
        self.environment = self.environment or caches(
            self.stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        )
        with ExitStack() as stack:
            self.machine = self._start(stack, CEILINGS["jax product"])[0].ask("platform", self.until)
        self.ways = [name for name in self.ways if self._possible(WAYS[name])]
        possible = {name: way for name, way in CEILINGS.items() if self.ceiling and self._possible(way)}
        self.ceilings = [self._prepared(self.stack, name, way, CEILING_SECONDS) for name, way in possible.items()]
        return self

    def __exit__(self, *error: object) -> None:
        """End every process."""
        self.stack.close()

    def _possible(self, way: Way) -> bool:
        return self.machine["platform"] in way.on and (self.torch or not way.torch)

    def _start(self, stack: ExitStack, way: Way) -> list[Child]:
        """Start the process of a way, or its processes."""
        count = usable_cores() if way.per_core else 1
        children = [Child(way.prepare, {**self.environment, **way.environment}) for _ in range(count)]
        for child in children:
            stack.callback(child.stop)
        return children

    def _prepared(
        self, stack: ExitStack, name: str, way: Way, seconds: float, *arguments: Any
    ) -> tuple[Row, list[Child]]:
        row, children = {"way": name, "rates": []}, self._start(stack, way)
        until = min(self.until, time.perf_counter() + self.limit)
        with self._noting(row, children):
            row |= _ask(children, "prepare", until, arguments=arguments, seconds=seconds)[0]
        return row, children

    @contextmanager
    def _noting(self, row: Row, children: list[Child]) -> Iterator[None]:
        """Keep the reason in the row if the way fails, and show the end of its log."""
        try:
            yield
        except ChildError as error:
            row |= {"error": str(error), "log": "\n".join(child.said(LOG_LINES) for child in children)}
            self.say(f"{row['way']}: {error}\n{row['log']}")

    def cell(self, workload: str, replicas: int) -> Iterator[list[Row]]:
        """Yield, after each repeat, the rows of all ways at one number of replicas, the ceiling's last."""
        with ExitStack() as stack:
            running: Running = []
            for name in self.ways:
                self.say(f"{workload} {replicas}: preparing {name}")
                running.append(self._prepared(stack, name, WAYS[name], self.seconds, workload, replicas))
            ceilings: Running = [({**row, "rates": []}, children) for row, children in self.ceilings]
            for number in range(self.repeats):
                self.say(f"{workload} {replicas}: repeat {number + 1} of {self.repeats}")
                for row, children in [*ceilings, *running]:
                    if "error" not in row:
                        with self._noting(row, children):
                            answers = _ask(children, "repeat", self.until)
                            row["rates"].append(sum(answer["rate"] for answer in answers))
                rates = {row["way"]: row["rates"] for row, _ in ceilings if row["rates"]}
                yield finished(workload, replicas, [row for row, _ in running], rates)


def _ask(children: Sequence[Child], do: str, until: float, **arguments: Any) -> list[Row]:
    """Ask several processes at once."""
    for child in children:
        child.tell(do, **arguments)
    return [child.answer(until) for child in children]


def finished(workload: str, replicas: int, rows: Sequence[Row], ceilings: Mapping[str, Sequence[float]]) -> list[Row]:
    """Return the rows with the median of their rates and its share of the ceiling; the ceiling's own row is the last."""
    work, cell = WORKLOADS[workload], {"workload": workload, "replicas": replicas}
    variants = [variant.settings for variant in work.comparison(replicas).studies[0].variants]
    every = [costs(widths_of(work.network), one.optimizer, one.batch_size) for one in variants]
    cost = {PRODUCT: every[0]["operations"], COPY: statistics.mean(one["traffic"] for one in every)}
    allowed: dict[str, float] = {}  # replica-steps a second that each quantity allows
    for name, rates in ceilings.items():
        quantity = CEILINGS[name].quantity
        allowed[quantity] = max(allowed.get(quantity, 0.0), statistics.median(rates) / cost[quantity])
    binding = min(allowed, key=allowed.__getitem__, default=None)
    done: list[Row] = [cell | row | (spread(row["rates"]) if row["rates"] else {}) for row in rows]
    if binding is None:
        return done
    for row in done:
        if "median" in row:
            row["share_of_ceiling"] = row["median"] / allowed[binding]
    ceiling = {"way": "ceiling", "median": allowed[binding], "note": binding, "machine": dict(ceilings)}
    return [*done, cell | ceiling | {"share_of_ceiling": 1.0, "allowed": allowed}]
