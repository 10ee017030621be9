"""Our own ways: the engine as the command line runs it, without measurements; and one replica after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measured import Prepared, Unit
from benchmarks.workloads import WORKLOADS, loaded


def prepare(workload: str, replicas: int) -> Prepared:
    """All tiles over all devices. One group of tiles of each program is timed and stands for all of that program's."""
    from jaxcompare.execution.devices import start_jax

    jax = start_jax()
    from jaxcompare.engine import sweep
    from jaxcompare.planning import layout

    start = time.perf_counter()
    comparison = WORKLOADS[workload].comparison(replicas, matmul_precision=products())
    plans = layout.plan(comparison, loaded(comparison), platform=jax.default_backend())
    load_seconds = time.perf_counter() - start
    return prepare_plans(plans, sweep.local_mesh(), load_seconds)


def products() -> str:
    """How float32 is multiplied: with TensorFloat32 on a GPU, as in PyTorch's ways; a CPU knows only the whole."""
    import jax

    return "float32" if jax.default_backend() == "cpu" else "tensorfloat32"


def prepare_plans(plans: Sequence[Any], mesh: Any, load_seconds: float = 0.0) -> Prepared:
    """Plans compiled, one unit for each: a group of its tiles, which stands for all."""
    from jaxcompare.engine import sweep

    jobs, compile_seconds = compiled(plans, mesh)
    at_once = sweep.tiles_at_once(mesh)
    units, notes = [], []
    for plan, trainer in jobs:
        units.append(Unit(runner(trainer, plan.tiles[:at_once]), -(-len(plan.tiles) // at_once)))
        notes.append(f"{plan.shape[0]}x{plan.shape[1]} in {len(plan.tiles)} tiles")
    note = f"{mesh.size} devices; seeds x variants a tile: {', '.join(notes)}"
    replicas = sum(len(plan.program.seeds) * len(plan.program.variants) for plan in plans)
    return Prepared(units, replicas, compile_seconds, load_seconds, note)


_SINGLE: dict[str, tuple[list[Callable[[int], None]], float, float]] = {}


def one_by_one(workload: str, replicas: int) -> Prepared:
    """One replica in a tile on one device, one after another; one of each kind is timed and stands for all of its kind."""
    if workload not in _SINGLE:
        _SINGLE[workload] = _single(workload)
    runners, compile_seconds, load_seconds = _SINGLE[workload]
    units = [Unit(run, replicas / len(runners)) for run in runners]
    return Prepared(units, replicas, compile_seconds, load_seconds, "1 device, 1 replica a tile")


def _single(workload: str) -> tuple[list[Callable[[int], None]], float, float]:
    from jaxcompare.execution.devices import start_jax

    jax = start_jax()
    from jaxcompare.engine import sweep
    from jaxcompare.planning import layout

    start = time.perf_counter()
    comparison = WORKLOADS[workload].single(matmul_precision=products())
    plans = layout.plan(comparison, loaded(comparison), platform=jax.default_backend(), tile_replicas=1)
    load_seconds = time.perf_counter() - start
    jobs, compile_seconds = compiled(plans, sweep.local_mesh(jax.local_devices()[:1]))
    return [runner(trainer, [tile]) for plan, trainer in jobs for tile in plan.tiles], compile_seconds, load_seconds


def compiled(plans: Sequence[Any], mesh: Any) -> tuple[list[tuple[Any, Any]], float]:
    """Each plan with its trainer, and the seconds that compiling them side by side took."""
    from jaxcompare.execution import trainer

    start = time.perf_counter()
    jobs = trainer.prepare(plans, mesh, trainer.Forgetful())
    return [(job.plan, job.trainer) for job in jobs], time.perf_counter() - start


def runner(trainer: Any, tiles: Sequence[Any]) -> Callable[[int], None]:
    """Trains one group of tiles on and on, in windows as the engine does, with nothing measured."""
    import jax

    from jaxcompare.engine import segment, sweep

    plan, executables = trainer.plan, trainer.executables
    group = trainer.group(tiles)
    carry, done = executables.init(trainer.data, group), 0

    def run(steps: int) -> None:
        nonlocal carry, done
        end = done + steps
        while done < end:
            finished = done // plan.steps_per_epoch
            stop = min(end, (finished + plan.rows) * plan.steps_per_epoch)
            levels = [segment.NOTHING] * (-(-stop // plan.steps_per_epoch) - finished)
            window = sweep.make_window(done, stop, finished + 1, levels, rows=plan.rows)
            carry, _ = executables.train(carry, trainer.data, group, window)
            done = stop
        jax.block_until_ready(carry)

    return run
