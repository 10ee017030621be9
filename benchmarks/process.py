"""Child processes as their parent sees them, and JSON files."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcompare.system.strict_json import to_json

ROOT = Path(__file__).absolute().parent.parent  # the checkout


def caches(folder: str) -> dict[str, str]:
    """Return an environment whose compiled programs last for one run: each reported compilation happened in that run."""
    return {
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch",
        "TMPDIR": folder,  # a process that is killed leaves no file behind
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # processes share a GPU
    }


def write_json(path: Path, content: Any) -> None:
    """Write all of it or nothing."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(to_json(content, indent=1) + "\n")
    part.replace(path)


def failure(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300]


class ChildError(Exception):
    """A request that failed, was late or lost its process; the message says why."""


class Child:
    """A process that answers the requests of `benchmarks.child`, one at a time, for "module" or "module:function"."""

    COMMAND = (sys.executable, "-m", "benchmarks.child")

    def __init__(self, target: str, environment: Mapping[str, str], folder: Path | None = None) -> None:
        self.log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed by stop)
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [*self.COMMAND, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": path},
            start_new_session=True,  # the processes that it starts end with it
        )
        self.stdout: Any = self.process.stdout

    def tell(self, do: str, **arguments: Any) -> None:
        """Send a request without waiting for its answer."""
        with contextlib.suppress(BrokenPipeError):  # the answer reports it
            print(to_json({"do": do, **arguments}), file=self.process.stdin, flush=True)

    def wait(self, until: float = math.inf) -> bool:
        """Return whether an answer, or the process's end, came before this time of `time.perf_counter`."""
        left = None if math.isinf(until) else max(0.0, until - time.perf_counter())
        return bool(select.select([self.stdout], [], [], left)[0])

    def answer(self, until: float = math.inf) -> dict[str, Any]:
        """Return the answer to the last request; ChildError if it is an error, the process ended, or time is over (killed)."""
        if not self.wait(until):
            self.kill()
            raise ChildError("stopped: it took too long")
        line = self.stdout.readline()
        if not line.endswith("\n"):
            raise ChildError(f"its process ended with code {self.process.wait()}: {self.said(1) or 'no output'}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def ask(self, do: str, until: float = math.inf, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its answer; raises as `answer`."""
        self.tell(do, **arguments)
        return self.answer(until)

    def said(self, lines: int) -> str:
        """Return the last lines of its log."""
        self.log.seek(0)
        return "\n".join(self.log.read().strip().splitlines()[-lines:])

    def kill(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold it, and nobody can do more
            self.process.wait(timeout=10)

    def stop(self) -> None:
        """End the process, close its pipes and its log."""
        self.kill()
        for pipe in (self.process.stdin, self.stdout, self.log):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
