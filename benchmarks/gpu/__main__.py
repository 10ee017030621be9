"""The command line: `python -m benchmarks.gpu`. Each job runs in a process of its own, or shares one with its stage."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.__main__ import positive, versions
from benchmarks.gpu import page
from benchmarks.gpu.questions import QUESTIONS, STAGES, Job, Stage, environment_of, jobs_of
from benchmarks.measure import LOG_LINES, Bench
from benchmarks.process import Child, ChildError, caches, write_json
from benchmarks.tables import Row
from jaxcompare.system.command import command, tell
from jaxcompare.system.cores import usable_cores

LEAST_SECONDS = 10.0  # nothing begins with less time left
CORES_TO_COMPILE = 4  # for each process of those that compile side by side
PATIENCE = 110.0  # seconds that a way of the benchmark may take to prepare
NOT_MEASURED = {"error": "no time was left"}
# What would make this run another than the next, if its processes inherited it.
OWN: tuple[str, ...] = (
    "XLA_FLAGS",
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)
OWN += ("JAX_ENABLE_COMPILATION_CACHE", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "NVIDIA_TF32_OVERRIDE")
OWN += ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUDA_LAUNCH_BLOCKING")


class UsageError(Exception):
    """A machine, or a folder, with which nothing can be measured."""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    about = "All that only a GPU can show, in one go: speed, precisions, tiles, memory, half precision under training."
    options = argparse.ArgumentParser("python -m benchmarks.gpu", description=about, allow_abbrev=False)
    add = options.add_argument
    add("--out", type=Path, default=Path("gpu"), metavar="DIR", help="where everything measured goes (default: gpu)")
    add("--minutes", type=positive(float), default=9.5, metavar="M", help="when to stop in any case (default: 9.5)")
    add("--question", nargs="+", default=list(QUESTIONS), choices=QUESTIONS, help="default: all")
    add("--quick", action="store_true", help="the least of everything, to see that it works")
    add("--platform", default="gpu", choices=("gpu", "cpu"), help="cpu: to try it out; says nothing of a GPU")
    add("--read", action="store_true", help="page and picture of what --out has, without measuring")
    return options


class Run:
    """One run; each answer is written as soon as it is known, and answers of an earlier run stay until there are new ones."""

    def __init__(self, folder: Path, seconds: float, kind: str, *, quick: bool) -> None:
        """Measure on a kind of device, `gpu` or `cpu`, until the time is over."""
        self.folder, self.kind, self.quick, self.start = folder, kind, quick, time.perf_counter()
        self.until, self.stack = self.start + seconds, ExitStack()
        self.known: Row = {"versions": versions(), "system": platform.platform(), "cores": usable_cores()}
        self.known |= {"quick": quick, "platform": kind, "machine": {}, "questions": {}}
        file = folder / "gpu.json"
        self.earlier: Row = json.loads(file.read_text()) if file.exists() else {}

    def say(self, text: str) -> None:
        """Show progress."""
        print(f"{time.perf_counter() - self.start:6.1f} s  {text}", file=sys.stderr, flush=True)

    def answer(self, names: Sequence[str]) -> None:
        """Ask the questions, the machine's first.

        Raises:
            UsageError: JAX has no such device, or an earlier run was of another kind and must not be mixed with this run.
        """
        with self.stack, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kept:
            self.environment = caches(kept) | {"JAX_PLATFORMS": "cpu" if self.kind == "cpu" else "cuda,cpu"}
            self._machine()
            self.known["questions"] |= self.earlier.get("questions", {}) | self.known["questions"]
            wanted = [name for name in QUESTIONS if name in names and name != "machine"]
            jobs = [job for name in wanted for job in jobs_of(name, quick=self.quick)]
            for job in jobs:  # the page reports what a stop leaves out
                self.known["questions"].setdefault(job.question, {}).setdefault(job.name, NOT_MEASURED)
            self._save()
            for stage, some in groupby(jobs, key=lambda job: QUESTIONS[job.question]["stage"]):
                self._stage(STAGES[stage], list(some))

    def _save(self) -> None:
        self.known["wall_seconds"] = time.perf_counter() - self.start
        write_json(self.folder / "gpu.json", self.known)

    def _machine(self) -> None:
        self._stage(STAGES["machine"], jobs_of("machine", quick=self.quick))
        row = self.known["questions"]["machine"]["device"]
        machine = {one["what"]: one["is"] for one in row.get("answer", ())}
        if (there := machine.get("platform")) != self.kind:  # JAX may have gone on with another device
            why = row.get("error") or f"it has {there}"
            raise UsageError(f"JAX finds no {self.kind.upper()} on this machine ({why}); --platform cpu tries it out")
        here, before = self.known | machine, self.earlier | self.earlier.get("machine", {})
        for key in ("platform", "quick", "versions", "system", "cores", "device") if self.earlier else ():
            if here[key] != before.get(key):
                text = f"{self.folder} has figures of {key} = {before.get(key)}, not {here[key]}; give another --out"
                raise UsageError(text)
        self.known["machine"] = machine

    def _left(self, until: float) -> bool:
        now = time.perf_counter()
        return now < until and now + LEAST_SECONDS < self.until

    def _stage(self, stage: Stage, jobs: Sequence[Job]) -> None:
        """Run neighbouring questions' jobs, in one process or one each."""
        groups = [list(jobs)] if stage.one_process else [[job] for job in jobs]
        waiting = self._compile(stage, groups) if stage.side_by_side else {}
        for place, group in enumerate(groups):
            until = min(self.until, time.perf_counter() + stage.seconds)
            if group[0].function:
                self._measure(group, until, waiting.get(place))
            elif self._left(until):
                self._bench(group[0], until)

    def _compile(self, stage: Stage, groups: Sequence[Sequence[Job]]) -> dict[int, Child]:
        """Start processes, as many as the cores can compile for at once, until all wait: half of the time at most."""
        waiting: dict[int, Child] = {}
        until = time.perf_counter() + min(stage.seconds, (self.until - time.perf_counter()) / 2)
        at_once = max(1, usable_cores() // CORES_TO_COMPILE)
        for place, group in enumerate(groups):
            while sum(not child.wait(0.0) for child in waiting.values()) >= at_once and time.perf_counter() < until:
                time.sleep(0.05)
            if self._left(until):
                waiting[place] = self._start(group, group)
        for child in waiting.values():
            child.wait(until)
        return waiting

    def _start(self, group: Sequence[Job], first: Sequence[Job]) -> Child:
        """Start the process of some jobs, which compiles the first of them."""
        self.say(f"compiling {told(first)}")
        environment = dict(self.environment)
        for job in group:
            environment |= environment_of(job, self.known["machine"])
        child = Child("gpu.jobs", environment, self.folder)
        self.stack.callback(child.stop)
        child.tell("begin", jobs=[(job.function, job.arguments) for job in first])
        return child

    def _measure(self, group: Sequence[Job], until: float, child: Child | None) -> None:
        """Run jobs in one process, and the rest in another after a job that ends its process."""
        while group and self._left(until):
            questions = [list(some) for _, some in groupby(group, key=lambda job: job.question)]
            child, done = child or self._start(group, questions[0]), 0
            try:
                for jobs in questions:
                    if done:
                        child.tell("begin", jobs=[(job.function, job.arguments) for job in jobs])
                    child.answer(until)
                    for job in jobs:
                        self.say(f"measuring {told([job])}")
                        self._keep(job, child.ask("finish", until)["row"], child.said(LOG_LINES))
                        done += 1
            except ChildError as error:
                self._keep(group[done], {"error": str(error)}, child.said(LOG_LINES))
                done += 1
            child.stop()
            group, child = group[done:], None

    def _bench(self, job: Job, until: float) -> None:
        """Run the benchmark: ways in turn, each in a process of its own."""
        self.say(told([job]))
        row: Row = {}
        ways, repeats, seconds = (job.arguments[key] for key in ("ways", "repeats", "seconds"))
        bench = Bench(
            ways, repeats, seconds, self.say, "torch" in versions(), ceiling=False, limit=PATIENCE, until=until
        )
        bench.environment = self.environment
        try:
            with bench:
                for rows in bench.cell(job.arguments["workload"], job.arguments["replicas"]):
                    row["answer"] = rows
                    self._keep(job, row)
        except ChildError as error:
            self._keep(job, row | {"error": str(error)})
        for way in row.get("answer", ()):
            self._log(job, way, way.get("log", ""))

    def _keep(self, job: Job, row: Row, log: str = "") -> None:
        """Write a job's row; an earlier answer gives way only to a new one."""
        answers = self.known["questions"].setdefault(job.question, {})
        earlier = answers.get(job.name, {})
        kept = "answer" in earlier and "answer" not in row
        answers[job.name] = {**earlier, "failed_since": row["error"]} if kept else row
        self._log(job, row, log)
        if self.known["machine"]:
            self._save()

    def _log(self, job: Job, row: Row, log: str) -> None:
        if "error" in row:
            self.say(f"{told([job])}: {row['error']}")
            with (self.folder / "errors.txt").open("a", encoding="utf-8") as file:
                file.write(f"== {told([job])}: {row['error']}\n{log}\n")


def told(jobs: Sequence[Job]) -> str:
    """Return jobs as a line."""
    return f"{jobs[0].question}: {', '.join(job.name for job in jobs)}"


def write_page(known: Row, folder: Path) -> None:
    """Write the page, print it too, and draw the picture."""
    text = page.markdown(known)
    (folder / "gpu.md").write_text(text, encoding="utf-8")
    tell(text)
    try:
        from benchmarks.gpu import picture  # Matplotlib may be missing where only figures are wanted
    except ImportError as error:
        tell(f"no picture: {error}", "stderr")
        return
    if png := picture.draw(known):
        (folder / "gpu.png").write_bytes(png)


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 2 where nothing can be measured, 130 when it was stopped."""
    given = parser().parse_args(argv)
    for name in OWN:
        os.environ.pop(name, None)
    try:
        if given.read:
            write_page(json.loads((given.out / "gpu.json").read_text()), given.out)
            return 0
        given.out.mkdir(parents=True, exist_ok=True)
        run = Run(given.out, 60 * given.minutes, given.platform, quick=given.quick)
        try:
            run.answer(given.question)
        finally:
            if run.known["machine"]:
                write_page(run.known, given.out)
    except (UsageError, OSError, json.JSONDecodeError) as error:
        tell(f"benchmarks.gpu: error: {error}", "stderr")
        return 2
    return 0


def interrupted(*_: Any) -> None:
    """End a run, and with it its processes, on a signal from outside."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(main())
