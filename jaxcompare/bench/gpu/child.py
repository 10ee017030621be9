"""One job in a process of its own: `python -m jaxcompare.bench.gpu.child function '{"its": "arguments"}' answer.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Runs the job and writes its answer, or why there is none."""
    function, arguments, answer = argv
    from jaxcompare.devices import start_jax

    start_jax()
    from jaxcompare.bench.gpu import jobs

    try:
        found = {"answer": getattr(jobs, function)(**json.loads(arguments))}
    except Exception as error:  # whatever it is, the report has it
        import traceback

        traceback.print_exc()
        found = {"error": jobs.failure(error)}
    Path(answer).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
