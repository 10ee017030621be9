"""The command line: `python -m benchmarks.gpu`. Standard library only; each job runs in a process of its own."""

from __future__ import annotations

import argparse
import hashlib
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
from types import FrameType
from typing import Any

from benchmarks.__main__ import UsageError, check, versions
from benchmarks.gpu import page
from benchmarks.gpu.questions import FULL, QUESTIONS, QUICK, STAGES, Job, Scale
from benchmarks.gpu.started import PAUSE, Started
from benchmarks.process import ROOT, own_caches, path_with_ours, write_json
from jaxcompare.system.cores import usable_cores

LEAST_SECONDS = 10.0  # nothing is begun with less time left
CORES_TO_COMPILE = 4  # for each process of those that compile side by side
NOT_MEASURED = {"skipped": "no time was left"}
ERRORS = "errors.txt"
LOGGED = 20_000  # characters of the log of a process that failed
# What would make this run another than the next, if it were inherited.
OWN = (
    "XLA_FLAGS",
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUDA_LAUNCH_BLOCKING",
)
Found = dict[str, Any]
Asked = tuple[str, Job]  # the name of a question, one of its jobs


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="All that only a GPU can show, in one go: speed beside PyTorch and the roofline, precisions, replicas, "
        "tiles, memory as planned and as held, half precision under training.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--out", type=Path, default=Path("gpu"), metavar="DIR", help="where everything measured goes (default: gpu)")
    add("--minutes", type=float, default=9.5, metavar="M", help="when to stop, whatever is left (default: 9.5)")
    add(
        "--question",
        nargs="+",
        metavar="NAME",
        help=f"only these, of {', '.join(QUESTIONS)} (default: all, in this order)",
    )
    add("--quick", action="store_true", help="the least of everything, to see that it works")
    add(
        "--platform", default="gpu", choices=("gpu", "cpu"), help="cpu: to try it out; its figures say nothing of a GPU"
    )
    add("--read", action="store_true", help="measure nothing: page and picture of what lies in --out")
    return made


class Run:
    """One run, stage after stage; what each job found is written down as soon as it is known.

    Args:
        folder: where the files go.
        scale: how much is measured.
        seconds: when to stop.
        kind: of device, `gpu` or `cpu`.
        earlier: what an earlier run into this folder found: answers to what is not asked anew stay.
    """

    def __init__(self, folder: Path, scale: Scale, seconds: float, kind: str, earlier: Found | None = None) -> None:
        self.folder, self.scale, self.kind = folder, scale, kind
        self.start = time.perf_counter()
        self.until = self.start + seconds
        self.code = code_digest()
        self.found: Found = {"versions": versions(), "system": platform.platform(), "cores": usable_cores()}
        self.found |= {"quick": scale is QUICK, "platform": kind, "machine": {}, "questions": {}}
        self.earlier = earlier or {}

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.perf_counter()

    def say(self, text: str) -> None:
        """Progress."""
        print(f"{time.perf_counter() - self.start:6.1f} s  {text}", file=sys.stderr, flush=True)

    def keep(self) -> None:
        """Writes what is known so far."""
        self.found["wall_seconds"] = time.perf_counter() - self.start
        write_json(self.folder / "gpu.json", self.found)

    def answer(self, names: Sequence[str]) -> None:
        """Asks the questions, the machine's first.

        Raises:
            UsageError: JAX finds no such device, or an earlier run was of another kind and may not be mixed with this.
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kept, ExitStack() as stack:
            self.kept, self.stack = Path(kept), stack
            self._machine()
            self.found["questions"] |= self.earlier.get("questions", {}) | self.found["questions"]
            asked = [
                (name, job)
                for name in names
                if name != "machine"
                for job in QUESTIONS[name].jobs(self.scale, self.found["machine"], str(self.folder))
            ]
            for name, job in asked:  # what a stop leaves out is then told of
                self.found["questions"].setdefault(name, {}).setdefault(job.name, NOT_MEASURED)
            self.keep()
            for stage, some in groupby(asked, key=lambda one: QUESTIONS[one[0]].stage):
                self._stage(stage, list(some))

    def _machine(self) -> None:
        """Asks what machine this is."""
        (job,) = QUESTIONS["machine"].jobs(self.scale, {}, "")
        self._stage("machine", [("machine", job)])
        row = self.found["questions"]["machine"][job.name]
        there = row.get("answer", {}).get("platform")
        if there != self.kind:  # JAX may have gone on with another device than it was told
            why = row.get("error") or f"it found {there}"
            raise UsageError(f"JAX finds no {self.kind.upper()} on this machine ({why}); --platform cpu tries it out")
        for key in ("platform", "quick", "versions", "system", "cores") if self.earlier else ():
            self._same(key, self.earlier.get(key), self.found[key])
        if self.earlier:
            self._same("device", self.earlier["machine"].get("device"), row["answer"].get("device"))
        self.found["machine"] = row["answer"]

    def _same(self, key: str, there: Any, here: Any) -> None:
        if there != here:
            raise UsageError(f"{self.folder} holds figures of {key} = {there}, and this is {here}; give another --out")

    def _stage(self, stage: str, asked: Sequence[Asked]) -> None:
        """Runs neighbouring questions' jobs, in one process or one each, and keeps what they found."""
        kind = STAGES[stage]
        groups = [list(asked)] if kind.one_process else [[one] for one in asked]
        waiting = self._compile(stage, groups) if kind.side_by_side and self.left >= LEAST_SECONDS else {}
        for place, group in enumerate(groups):
            until = min(self.until, time.perf_counter() + kind.seconds)
            while group and self.left >= LEAST_SECONDS and time.perf_counter() < until:
                self.say(told(group))
                process = waiting.pop(place, None) or self._start(stage, place, group)
                process.go()
                why = process.finish(until)
                group = self._take(process, group, why)
            if group:
                self.say(f"no time left for {told(group)}")

    def _compile(self, stage: str, groups: Sequence[list[Asked]]) -> dict[int, Started]:
        """Starts processes, as many as the cores can compile for at once, until all wait: half of the time at most.

        Those that still compile then are ended, and start again when it is their turn.
        """
        waiting: dict[int, Started] = {}
        at_once = max(1, usable_cores() // CORES_TO_COMPILE)
        until = time.perf_counter() + min(STAGES[stage].seconds, self.left / 2)
        for place, group in enumerate(groups):
            while sum(one.compiling for one in waiting.values()) >= at_once and time.perf_counter() < until:
                time.sleep(PAUSE)
            if time.perf_counter() >= until:
                break
            self.say(f"compiling {told(group)}")
            waiting[place] = self._start(stage, place, group)
        late = [place for place, one in waiting.items() if not one.wait_compiled(until)]
        for place in late:
            waiting.pop(place).stop()
        return waiting

    def _start(self, stage: str, place: int, group: Sequence[Asked]) -> Started:
        """A process of some jobs."""
        folder = self.kept / f"{stage}{place}"
        while folder.exists():  # it was there before, and was ended
            folder = folder.with_name(f"{folder.name}_again")
        environment = {name: value for name, value in os.environ.items() if name not in OWN} | own_caches(self.kept)
        environment |= {
            "TMPDIR": str(self.kept),  # so that a process that is ended leaves nothing
            "JAX_PLATFORMS": "cpu" if self.kind == "cpu" else "cuda,cpu",
            "PYTHONPATH": path_with_ours(),
        }
        for _, job in group:
            environment |= job.environment
        questions = [[job for _, job in some] for _, some in groupby(group, key=lambda one: one[0])]
        made = Started(command_of(questions, folder), environment, folder)
        self.stack.callback(made.stop)
        return made

    def _take(self, process: Started, group: list[Asked], why: str | None) -> list[Asked]:
        """Keeps what a process found, and why it found no more; returns the jobs that it did not come to."""
        rows = [row for place in range(len(group)) if (row := process.answer(place)) is not None]
        if not group[0][1].function:  # the benchmark's own file, there after each repeat
            rows = [{"answer": row} | ({"error": why} if why else {}) for row in rows]
        if len(rows) < len(group):
            rows.append({"error": why or "it left no answer"})
        for (name, job), row in zip(group, rows, strict=False):
            row["code"] = self.code
            answers = self.found["questions"].setdefault(name, {})
            earlier = answers.get(job.name, {})
            # An earlier answer gives way to a new one alone.
            answers[job.name] = (
                {**earlier, "failed_since": row["error"]} if "answer" in earlier and "answer" not in row else row
            )
            errors = [row["error"]] if "error" in row else []
            errors += [f"{one['way']}: {one['error']}" for one in _ways(row) if "error" in one]
            for error in errors:
                self.say(f"{name}: {job.name}: {error}")
            if errors:
                with (self.folder / ERRORS).open("a") as file:
                    file.write(f"== {name}: {job.name}\n{process.log.read_text(errors='replace')[-LOGGED:]}\n")
        if self.found["machine"]:
            self.keep()
        return group[len(rows) :]


def _ways(row: Found) -> Sequence[Found]:
    """The benchmark's rows in an answer."""
    answer = row.get("answer")
    return answer.get("rows", ()) if isinstance(answer, dict) else ()


def code_digest() -> str:
    """Of this package's source."""
    made = hashlib.sha256()
    for file in sorted((ROOT / "jaxcompare").rglob("*.py")):
        made.update(file.read_bytes())
    return made.hexdigest()[:12]


def told(group: Sequence[Asked]) -> str:
    """Jobs in a line.

    >>> told([("planner", Job("deep", "planner")), ("flags", Job("none", "tiles")), ("flags", Job("all", "tiles"))])
    'planner: deep; flags: none, all'
    """
    names: dict[str, list[str]] = {}
    for name, job in group:
        names.setdefault(name, []).append(job.name)
    return "; ".join(f"{name}: {', '.join(jobs)}" for name, jobs in names.items())


def command_of(questions: Sequence[Sequence[Job]], folder: Path) -> list[str]:
    """What a process of these jobs runs: functions of `jobs`, a question's compiled together, or the benchmark."""
    first = questions[0][0]
    if first.function:
        asked = json.dumps([[(job.function, job.arguments) for job in some] for some in questions])
        return [sys.executable, "-m", "benchmarks.gpu.child", asked, str(folder)]
    return bench_command(first, folder / "answer0")


def bench_command(job: Job, answer: Path) -> list[str]:
    """The benchmark: ways in turn, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "--json", str(answer)]
    for option, value in job.arguments.items():
        values = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
        command += [f"--{option}", *map(str, values)]
    return command


def names_of(asked: Sequence[str] | None) -> list[str]:
    """The questions in their order, the machine's always first.

    Raises:
        UsageError: there is no such question.
    """
    check("question", asked or [], QUESTIONS)
    return [name for name in QUESTIONS if not asked or name in asked or name == "machine"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, 2 where nothing can be measured, 130 when it was stopped."""
    arguments = parser().parse_args(argv)
    try:
        names = names_of(arguments.question)
        if arguments.minutes <= 0:
            raise UsageError(f"--minutes {arguments.minutes:g}: must be greater than 0")
        file = arguments.out / "gpu.json"
        if arguments.read:
            write_page(json.loads(file.read_text()), arguments.out)
            return 0
        arguments.out.mkdir(parents=True, exist_ok=True)
        earlier = json.loads(file.read_text()) if file.exists() else None
        scale = QUICK if arguments.quick else FULL
        run = Run(arguments.out, scale, 60 * arguments.minutes, arguments.platform, earlier)
        try:
            run.answer(names)
        finally:
            if run.found["machine"]:
                write_page(run.found, arguments.out)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (UsageError, OSError, json.JSONDecodeError) as error:
        print(f"benchmarks.gpu: error: {error}", file=sys.stderr)
        return 2
    return 0


def write_page(found: Found, folder: Path) -> None:
    """The page, printed too, and the picture."""
    text = page.markdown(found)
    (folder / "gpu.md").write_text(text)
    print(text)
    try:
        from benchmarks.gpu import picture  # Matplotlib may be missing where only figures are wanted
    except ImportError as error:
        print(f"no picture: {error}", file=sys.stderr)
        return
    try:
        (folder / "gpu.png").write_bytes(picture.draw(found))
    except picture.NothingError as error:
        print(f"no picture: {error}", file=sys.stderr)


def interrupted(number: int, frame: FrameType | None) -> None:
    """What ends a run from outside ends its processes too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(main())
