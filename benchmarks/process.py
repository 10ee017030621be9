"""A child process as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent  # the checkout


def path_with_ours() -> str:
    """PYTHONPATH with this package's place."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def own_caches(folder: Path) -> dict[str, str]:
    """Environment in which compiled programs are kept for one run alone: every compilation that is reported was done in it."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # processes share a GPU, and what one holds could not be told
    }


def write_json(path: Path, found: dict[str, Any]) -> None:
    """All of it or nothing."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(path)


class WayError(Exception):
    """A way that could not be prepared or run; the message says why."""


class Child:
    """A process that serves one way.

    Args:
        target: "module:function" of this package.
        environment: beside what this process has.
    """

    def __init__(self, target: str, environment: Mapping[str, str]) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **environment, "PYTHONPATH": path_with_ours()},
        )

    def ask(self, do: str, *, limit: float | None = None, **arguments: Any) -> dict[str, Any]:
        """One request and its answer.

        Args:
            limit: seconds that the answer may take; None: any time.

        Raises:
            WayError: the process answered with an error, took too long (and was ended), or is gone.
        """
        self.tell(do, **arguments)
        assert self.process.stdout is not None
        if limit is not None and not select.select([self.process.stdout], [], [], limit)[0]:
            self.process.kill()
            raise WayError(f"{do} took more than {limit:g} s")
        return self.answer()

    def tell(self, do: str, **arguments: Any) -> None:
        """One request, without waiting for its answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer will say so
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """The answer to the last request.

        Raises:
            WayError: the process answered with an error, or is gone.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WayError(f"its process ended with code {self.process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WayError(answer["error"])
        return answer

    def _last_words(self) -> str:
        return self.said(1) or "it said nothing"

    def said(self, lines: int) -> str:
        """The last lines of its log."""
        self.log.seek(0)
        return "\n".join(self.log.read().strip().splitlines()[-lines:])

    def stop(self) -> None:
        """Ends the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
