"""Our own programs: the only module of the benchmarks that uses execution, the engine's sweep, and planning's functions."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from benchmarks.process import failure
from benchmarks.timing import Prepared, Unit
from benchmarks.workloads import WORKLOADS, loaded
from jaxcompare.config.comparison import Comparison
from jaxcompare.engine import segment, sweep
from jaxcompare.execution import devices, training
from jaxcompare.execution.compare import compare
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.planning.memory import planned_bytes as planned_bytes  # for `gpu.jobs`
from jaxcompare.planning.programs import Program, programs_of
from jaxcompare.planning.recipes import lowered, tile_arrays
from jaxcompare.system.cores import usable_cores


@dataclass(frozen=True)
class Compiled:
    """A compiled program of ours."""

    program: Program
    compiled: sweep.Compiled
    mesh: Any

    @property
    def bytes(self) -> int | None:
        """XLA's account of the training program's memory; None where XLA keeps none."""
        return self.compiled.memory and self.compiled.memory.total

    @property
    def text(self) -> str:
        """XLA's text of the training program."""
        return getattr(self.compiled.train, "as_text", lambda: None)() or ""

    def steps(self) -> Callable[[int], Any]:
        """Return a function that trains the first tiles for some more steps and returns their state; nothing is measured."""
        program, compiled, at_once = self.program, self.compiled, sweep.tiles_at_once(self.mesh)
        tiles = [*program.tiles, *[program.tiles[-1]] * at_once][:at_once]
        data, replicas = sweep.replicate(self.mesh, program.material.data), sweep.shard(self.mesh, tile_arrays(tiles))
        carry, done, epoch = compiled.init(data, replicas), 0, program.steps_per_epoch

        def run(steps: int) -> Any:
            nonlocal carry, done
            end = done + steps
            while done < end:
                finished = done // epoch
                stop = min(end, (finished + program.rows) * epoch)
                levels = [segment.NOTHING] * (-(-stop // epoch) - finished)
                window = sweep.make_window(done, stop, finished + 1, levels, rows=program.rows)
                carry, _ = compiled.train(carry, data, replicas, window)
                done = stop
            return jax.block_until_ready(carry)

        return run

    def unit(self) -> Unit:
        """Return the training of the tiles that run at once, which represents all of the program's tiles."""
        return Unit(self.steps(), math.ceil(len(self.program.tiles) / sweep.tiles_at_once(self.mesh)))

    def digest(self, *parts: int) -> str:
        """Return a digest of the parameters after training in parts of some steps."""
        run = self.steps()
        states = [run(steps) for steps in parts]
        leaves = jax.tree.leaves(states[-1].state.params)
        return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def start_jax(count: int | None = None) -> Any:
    """Start JAX as the command line does: one CPU device a core, or this number of devices."""
    return devices.start_jax(devices.MeshShape(count, 1) if count else devices.EVERY_DEVICE)


def mesh_of(count: int | None = None, *, data: int = 1) -> Any:
    """Return the mesh of the first local devices, or of all; `data` devices share a tile."""
    return sweep.local_mesh(jax.local_devices()[:count], data=data)


def planned(comparison: Comparison, *, platform: str | None = None, one_tile: bool = False) -> list[Program]:
    """Return a comparison's programs on made-up data, with the tiles of a kind of device or with one tile each."""
    programs = programs_of(comparison, loaded(comparison), platform=platform or jax.default_backend())
    return [replace(one, shape=(len(one.seeds), len(one.variants))) if one_tile else one for one in programs]


def compile_all(programs: Sequence[Program], mesh: Any, cache: ProgramCache | None = None) -> list[Compiled | str]:
    """Compile programs side by side, without regard to memory; one that fails is represented by its error."""
    cache = cache or ProgramCache()

    def attempt(program: Program) -> Compiled | str:
        try:
            return Compiled(program, cache.get(program, mesh)[0], mesh)
        except Exception as error:  # the others can still be measured
            return failure(error)

    with ThreadPoolExecutor(max(2, 3 * usable_cores() // 4)) as pool:
        return list(pool.map(attempt, programs))


def compile_one(program: Program, mesh: Any, cache: ProgramCache | None = None) -> Compiled:
    """Compile a program; raises RuntimeError if that fails."""
    (one,) = compile_all([program], mesh, cache)
    if isinstance(one, str):
        raise RuntimeError(one)
    return one


def prepare(workload: str, replicas: int) -> Prepared:
    """Prepare our way as the command line trains: one group of tiles of each program represents the program."""
    start_jax()
    # PyTorch's ways use TensorFloat32 on a GPU too; a CPU has only the full float32.
    precision = "float32" if jax.default_backend() == "cpu" else "tensorfloat32"
    programs, mesh = planned(WORKLOADS[workload].comparison(replicas, matmul_precision=precision)), mesh_of()
    start = time.perf_counter()
    every = compile_all(programs, mesh)
    seconds = time.perf_counter() - start
    if errors := [one for one in every if isinstance(one, str)]:
        raise RuntimeError(errors[0])
    units = [one.unit() for one in every if isinstance(one, Compiled)]
    tiles = ", ".join(f"{one.shape[0]}x{one.shape[1]} in {len(one.tiles)} tiles" for one in programs)
    return Prepared(units, replicas, seconds, f"{mesh.size} devices; seeds x variants a tile: {tiles}")


def compiled_for(program: Program, absent: Sequence[Any]) -> tuple[str, dict[str, int] | None]:
    """Compile a program for devices that may be absent; return XLA's text and its account of memory."""
    executable = lowered(program, sweep.local_mesh(absent))[1].compile()
    account = sweep.memory_of(executable)
    return executable.as_text(), account and account._asdict()


def trainer(program: Program, mesh: Any, cache: ProgramCache | None = None) -> Callable[..., list[tuple[Any, Any]]]:
    """Compile a program with tiles that fit into memory; return a function that trains and measures all tiles.

    The function takes a callback without arguments, called after each segment, and returns the tiles with their measurements.
    """
    resources = training.Resources(mesh, TileSizes(mesh), cache or ProgramCache(), TileCache())
    training.compile_programs([program], resources, training.SILENT)

    def train(held: Callable[[], None] = lambda: None) -> list[tuple[Any, Any]]:
        callbacks = training.Callbacks(trained=lambda *_: held())
        return list(training.train_program(program, resources, callbacks))

    return train


def study(comparison: Comparison, data: Mapping[tuple, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile a study's programs side by side; return the function that trains its config and returns the tables."""
    cache, platform = ProgramCache(), jax.default_backend()
    compile_all(programs_of(comparison, data, platform=platform), mesh_of(), cache)
    return lambda config: compare(config, name=comparison.name, programs=cache)
