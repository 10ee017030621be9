"""Jobs in a process of their own: `python -m benchmarks.gpu.child '[[["function", {"an": "argument"}], ...], ...]' DIR`.

One list of jobs after another is compiled, its jobs side by side; then they are measured one by one, and each answer is
written: that of the first job into `answer0`. When the first list is compiled the process says so by a file `ready`, and waits
for a line on standard input: so several processes can compile side by side while nothing is measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from benchmarks.process import write_json

Found = dict[str, Any]
Work = Generator[None, None, Any]  # up to its yield it compiles, and then it measures; what it returns is the answer


def go_on(work: Work) -> Found | None:
    """Up to the yield, or to the end: then its answer, or why there is none."""
    try:
        next(work)
    except StopIteration as end:
        return {"answer": end.value}
    except Exception as error:  # whatever it is, the report has it, and the other jobs go on
        import traceback

        from benchmarks.gpu.jobs import failure

        traceback.print_exc()
        return {"error": failure(error)}
    return None


def serve(asked: Sequence[Sequence[tuple[str, dict[str, Any]]]], folder: Path, go: TextIO) -> int:
    """Runs the jobs and writes their answers."""
    from benchmarks.gpu import jobs

    place = 0
    for some in asked:
        works: list[Work] = [getattr(jobs, function)(**arguments) for function, arguments in some]
        with ThreadPoolExecutor(len(works)) as pool:
            ended = list(pool.map(go_on, works))
        if place == 0:
            (folder / "ready").touch()
            if not go.readline():
                return 1  # whoever would have said so is gone
        for work, early in zip(works, ended, strict=True):
            found = early or go_on(work)
            work.close()  # and so lets go of what it holds on the device
            write_json(folder / f"answer{place}", found or {"error": "it waits twice"})
            place += 1
    return 0


def main(argv: list[str]) -> int:
    """Starts JAX, and runs the jobs."""
    from jaxcompare.execution.devices import start_jax

    start_jax()
    return serve(json.loads(argv[0]), Path(argv[1]), sys.stdin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
