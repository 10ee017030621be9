"""The process of a way or of some jobs: it reads one JSON request a line from standard input and answers each with a line.

A way has a process of its own so that thread pools do not meet. Libraries print to standard error.
"""

from __future__ import annotations

import json
import os
import pkgutil
import sys
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

from benchmarks.process import failure
from benchmarks.timing import Prepared, rate, steps_for
from jaxcompare.system.strict_json import to_json

Work = Generator[None, None, Any]  # compiles up to its yield, then measures; it returns the answer


class Server:
    """Answers the requests for a way (`platform`, `prepare`, `repeat`) or for jobs (`begin`, `finish`)."""

    def __init__(self, target: str) -> None:
        self.target = pkgutil.resolve_name(f"benchmarks.{target}")
        self.prepared, self.steps = Prepared([], 0.0), 0
        self.works: list[tuple[Work, dict[str, Any] | None]] = []

    def platform(self) -> dict[str, Any]:
        """Return `cpu` or `gpu`, and the device's name."""
        import jax

        return {"platform": jax.default_backend(), "device": jax.devices()[0].device_kind}

    def prepare(self, arguments: list[Any], seconds: float) -> dict[str, Any]:
        """Prepare the way, and choose the steps that take this time."""
        self.prepared = self.target(*arguments)
        self.steps = steps_for(self.prepared, seconds)
        return {"compile_seconds": self.prepared.compile_seconds, "note": self.prepared.note, "steps": self.steps}

    def repeat(self) -> dict[str, Any]:
        """Run all units once, timed."""
        return {"rate": rate(self.prepared, self.steps)}

    def begin(self, jobs: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        """Compile some jobs, given as (name, arguments), side by side; nothing is measured meanwhile."""
        from benchmarks import ours

        ours.start_jax()
        works = [self.target.JOBS[name](**arguments) for name, arguments in jobs]
        with ThreadPoolExecutor(len(works)) as pool:
            self.works = list(zip(works, pool.map(go_on, works), strict=True))
        return {}

    def finish(self) -> dict[str, Any]:
        """Measure the next of the jobs; the row holds its answer or its error."""
        work, row = self.works.pop(0)
        row = row or go_on(work)
        work.close()  # this releases what it holds on the device
        return {"row": row}


def go_on(work: Work) -> dict[str, Any] | None:
    """Continue a job to its yield (None), or to its end: a row with its answer or its error."""
    try:
        next(work)
    except StopIteration as end:
        return {"answer": end.value}
    except Exception as error:  # the report shows it, and the other jobs continue
        traceback.print_exc()
        return {"error": failure(error)}
    return None


def serve(target: str, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests; an error is an answer too."""
    server = None
    for line in requests:
        request = json.loads(line)
        try:
            server = server or Server(target)
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:  # the other ways continue
            traceback.print_exc()
            answer = {"error": failure(error)}
        print(to_json(answer), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as pipe:
        os.dup2(2, 1)  # only answers may pass through the pipe
        serve(sys.argv[1], sys.stdin, pipe)
