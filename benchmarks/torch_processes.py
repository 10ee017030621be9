"""A PyTorch process a core, each with one thread and its share of the stacks: products this small gain little from two."""

from __future__ import annotations

import atexit
from collections.abc import Callable

from benchmarks.measured import Prepared, Unit
from benchmarks.process import Child
from benchmarks.torch_ways import idling
from jaxcompare.system.cores import usable_cores

TARGET = "torch_ways:baddbmm_one_thread"
_WORKERS: list[Child] = []


def _workers() -> list[Child]:
    if not _WORKERS:
        for _ in range(usable_cores()):
            _WORKERS.append(Child(TARGET, {"OMP_NUM_THREADS": "1"}))
            atexit.register(_WORKERS[-1].stop)
    return _WORKERS


def prepare(workload: str, replicas: int) -> Prepared:
    """Every process runs a stack of one kind at a time; the first one tries out which shape is fastest."""
    workers = _workers()
    arguments = [workload, replicas, len(workers)]
    first, *rest = workers
    answers = [first.ask("prepare", arguments=[*arguments, None], seconds=0.1)]
    shape = answers[0]["details"]["shape"]
    for worker in rest:
        worker.tell("prepare", arguments=[*arguments, shape], seconds=0.1)
    answers += [worker.answer() for worker in rest]

    def runner(unit: int) -> Callable[[int], None]:
        def run(steps: int) -> None:
            for worker in workers:
                worker.tell("run", unit=unit, steps=steps)
            for worker in workers:
                worker.answer()

        return run

    counts = answers[0]["counts"]
    share = idling(max(1, round(sum(counts))), len(workers)) / len(workers)
    units = [Unit(runner(number), count * share) for number, count in enumerate(counts)]
    note = f"{len(workers)} processes, each: {answers[0]['note']}"
    seconds = max(answer["compile_seconds"] for answer in answers)
    held = sum(answer["prepare_peak_bytes"] - answer["baseline_bytes"] for answer in answers)
    details = {**answers[0]["details"], "workers_bytes": held}
    return Prepared(units, replicas, seconds, answers[0]["load_seconds"], note, details)
