"""The command line: `python -m jaxcompare.bench.gpu`. Standard library only; each job runs in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.bench.__main__ import versions
from jaxcompare.bench.gpu import page
from jaxcompare.bench.gpu.questions import FULL, QUESTIONS, QUICK, Job, Scale
from jaxcompare.bench.process import ROOT
from jaxcompare.registry import nearest

LEAST_SECONDS = 15.0  # no job is started with less time left
Found = dict[str, Any]


class UsageError(Exception):
    """A command line, or a machine, with which nothing can be measured."""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="python -m jaxcompare.bench.gpu",
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
    """One run: jobs one after another, what each found written down as soon as it is known.

    Args:
        folder: where the files go.
        scale: how much is measured.
        seconds: when to stop.
        kind: of device, `gpu` or `cpu`.
    """

    def __init__(self, folder: Path, scale: Scale, seconds: float, kind: str) -> None:
        self.folder, self.scale, self.kind = folder, scale, kind
        self.start = time.perf_counter()
        self.until = self.start + seconds
        self.found: Found = {"versions": versions(), "system": platform.platform(), "cores": os.cpu_count()}
        self.found |= {"quick": scale is QUICK, "platform": kind, "machine": {}, "questions": {}}

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
        target = self.folder / "gpu.json"
        part = target.with_suffix(".part")
        part.write_text(json.dumps(self.found, indent=1) + "\n")
        part.replace(target)

    def go_on(self, earlier: Found) -> None:
        """Takes over what an earlier run into this folder found.

        Raises:
            UsageError: it was of another kind, and may not be mixed with this.
        """
        for key in ("platform", "quick", "versions", "system", "cores"):
            if earlier.get(key) != self.found[key]:
                there = f"{self.folder} holds figures of {key} = {earlier.get(key)}"
                raise UsageError(f"{there}, and this is {self.found[key]}; give another --out")
        self.found["questions"] = earlier["questions"]

    def answer(self, names: Sequence[str]) -> None:
        """Asks the questions.

        Raises:
            UsageError: JAX finds no such device.
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kept:
            environment = {
                # Compiled programs are shared by the jobs of this run; every compilation that is reported was done in it.
                "JAX_COMPILATION_CACHE_DIR": os.path.join(kept, "jax"),
                "TORCHINDUCTOR_CACHE_DIR": os.path.join(kept, "torch"),
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else what is held could not be told
                "JAX_PLATFORMS": "cpu" if self.kind == "cpu" else "cuda,cpu",
            }
            for name in names:
                rows = self.found["questions"][name] = {}
                for job in QUESTIONS[name].jobs(self.scale, self.found["machine"], str(self.folder)):
                    rows[job.name] = self._one(f"{name}: {job.name}", job, environment, kept)
                    self.keep()
                if name == "machine":
                    self._check(rows["machine"])

    def _check(self, row: Found) -> None:
        self.found["machine"] = row.get("answer", {})
        if "error" in row:
            wanted = "a GPU" if self.kind == "gpu" else "a CPU"
            raise UsageError(f"JAX finds no {wanted[2:]} on this machine ({row['error']}); --platform cpu tries it out")

    def _one(self, title: str, job: Job, environment: Mapping[str, str], kept: str) -> Found:
        allowed = min(job.seconds, self.left)
        if allowed < LEAST_SECONDS:
            self.say(f"{title}: no time left")
            return {"skipped": "no time was left"}
        self.say(title)
        answer, log = Path(kept, "answer.json"), Path(kept, "log")
        answer.unlink(missing_ok=True)
        command = bench_command(job, answer) if not job.function else child_command(job, answer)
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        every = {**os.environ, **environment, **job.environment, "PYTHONPATH": path}
        began = time.perf_counter()
        with log.open("w") as out:
            # In a session of its own, so that what it starts ends with it.
            process = subprocess.Popen(command, env=every, stdout=out, stderr=out, start_new_session=True)
            try:
                code: int | None = process.wait(timeout=allowed)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        found: Found = {}
        if answer.exists():
            read = json.loads(answer.read_text())
            found = read if job.function else {"answer": read}
        if code is None:
            found["error"] = f"stopped after {allowed:.0f} s"
        elif code or not found:
            lines = log.read_text(errors="replace").strip().splitlines()
            found.setdefault("error", f"ended with code {code}: {lines[-1] if lines else 'it said nothing'}")
        if "error" in found:
            self.say(f"{title}: {found['error']}")
            shutil.copy(log, self.folder / "last_error.txt")
        return found | {"wall_seconds": time.perf_counter() - began}


def child_command(job: Job, answer: Path) -> list[str]:
    """A job's process."""
    return [sys.executable, "-m", "jaxcompare.bench.gpu.child", job.function, json.dumps(job.arguments), str(answer)]


def bench_command(job: Job, answer: Path) -> list[str]:
    """The benchmark's process: ways in turn, each in a process of its own."""
    command = [sys.executable, "-m", "jaxcompare.bench", "--json", str(answer)]
    for option, value in job.arguments.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        command += [f"--{option}", *map(str, values)]
    return command


def names_of(asked: Sequence[str] | None) -> list[str]:
    """The questions in their order, the machine's always first.

    Raises:
        UsageError: there is no such question.
    """
    for name in asked or []:
        if name not in QUESTIONS:
            raise UsageError(f"--question: no {name!r}; {nearest(name, QUESTIONS)}")
    return [name for name in QUESTIONS if not asked or name in asked or name == "machine"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, 2 where nothing can be measured, 130 when it was stopped."""
    arguments = parser().parse_args(argv)
    try:
        names = names_of(arguments.question)
        if arguments.minutes <= 0:
            raise UsageError(f"--minutes {arguments.minutes:g}: must be greater than 0")
        if arguments.read:
            found = json.loads((arguments.out / "gpu.json").read_text())
        else:
            arguments.out.mkdir(parents=True, exist_ok=True)
            scale = QUICK if arguments.quick else FULL
            run = Run(arguments.out, scale, 60 * arguments.minutes, arguments.platform)
            if (arguments.out / "gpu.json").exists():
                run.go_on(json.loads((arguments.out / "gpu.json").read_text()))
            run.answer(names)
            found = run.found
        text = page.markdown(found)
        (arguments.out / "gpu.md").write_text(text)
    except KeyboardInterrupt:
        print("stopped; --read makes a page of what was measured", file=sys.stderr)
        return 130
    except (UsageError, OSError, json.JSONDecodeError) as error:
        print(f"jaxcompare.bench.gpu: error: {error}", file=sys.stderr)
        return 2
    print(text)
    try:
        from jaxcompare.bench.gpu import picture  # Matplotlib may be missing where only figures are wanted

        (arguments.out / "gpu.png").write_bytes(picture.draw(found))
    except (ImportError, picture.NothingError) as error:
        print(f"no picture: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
