"""Our own programs: the only module of the benchmarks that uses execution, the engine's sweep, and planning's functions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from benchmarks.process import failure
from benchmarks.timing import Prepared, Unit
from benchmarks.workloads import WORKLOADS, loaded
from jaxcompare.config.comparison import Comparison
from jaxcompare.engine import segment, sweep
from jaxcompare.execution import training
from jaxcompare.execution.compare import compare
from jaxcompare.execution.places import local_places, start_jax
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.planning.memory import planned_bytes as planned_bytes  # for `gpu.jobs`
from jaxcompare.planning.programs import Program, Tile, programs_of
from jaxcompare.planning.recipes import lowered, tile_arrays
from jaxcompare.system.cores import usable_cores

MOST_TILES = 8  # a place: of more, one a place represents its program


@dataclass(frozen=True)
class Compiled:
    """A compiled program of ours."""

    program: Program
    compiled: Sequence[sweep.Compiled]  # for each place
    places: Sequence[Any]

    @property
    def bytes(self) -> int | None:
        """XLA's account of the training program's memory; None where XLA keeps none."""
        return self.compiled[0].memory and self.compiled[0].memory.total

    @property
    def text(self) -> str:
        """XLA's text of the training program."""
        return getattr(self.compiled[0].train, "as_text", lambda: None)() or ""

    def steps(self, tile: Tile) -> Callable[[int, int], Any]:
        """Return a function that trains a tile for some more steps, on a place, and returns its state; nothing is measured."""
        program, epoch = self.program, self.program.steps_per_epoch
        carry, done, where = None, 0, -1
        arrays = [sweep.put(place, tile_arrays(tile)) for place in self.places]

        def run(place: int, steps: int) -> Any:
            nonlocal carry, done, where
            data, end = self.data[place], done + steps
            if carry is None:
                carry, where = self.compiled[place].init(data, arrays[place]), place
            elif place != where:  # whichever place is free
                carry, where = sweep.put(self.places[place], jax.tree.map(np.asarray, carry)), place
            while done < end:
                finished = done // epoch
                stop = min(end, (finished + program.rows) * epoch)
                levels = [segment.NOTHING] * (-(-stop // epoch) - finished)
                window = sweep.make_window(done, stop, finished + 1, levels, rows=program.rows)
                carry, _ = self.compiled[place].train(carry, data, arrays[place], window)
                done = stop
            return jax.block_until_ready(carry)

        return run

    @cached_property
    def data(self) -> list[Any]:
        """The data set on each place."""
        return [sweep.put(place, self.program.material.data) for place in self.places]

    def unit(self) -> Unit:
        """Return the training of a tile on each place, which represents all of the program's tiles."""
        tiles = self.program.tiles[: len(self.places)]
        return Unit(from_one_queue([(self, tiles)]), len(self.program.tiles) / len(tiles))

    def digest(self, *parts: int) -> str:
        """Return a digest of the first tile's parameters after training in parts of some steps."""
        run = self.steps(self.program.tiles[0])
        states = [run(0, steps) for steps in parts]
        leaves = jax.tree.leaves(states[-1].state.params)
        return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def from_one_queue(every: Sequence[tuple[Compiled, Sequence[Tile]]]) -> Callable[[int], None]:
    """Return a function that trains tiles of several programs for some more steps, each place the next one."""
    tiles, places = [one.steps(tile) for one, its in every for tile in its], len(every[0][0].places)
    pool = ThreadPoolExecutor(places)

    def run(steps: int) -> None:
        left = iter(tiles)  # `next` of an iterator is atomic

        def work(place: int) -> None:
            for tile in left:
                tile(place, steps)

        list(pool.map(work, range(places)))

    return run


def planned(comparison: Comparison, *, platform: str | None = None, one_tile: bool = False) -> list[Program]:
    """Return a comparison's programs on made-up data, with the tiles of a kind of device or with one tile each."""
    programs = programs_of(comparison, loaded(comparison), platform=platform or jax.default_backend())
    return [replace(one, shape=(len(one.seeds), len(one.variants))) if one_tile else one for one in programs]


def compile_all(
    programs: Sequence[Program], places: Sequence[Any], cache: ProgramCache | None = None
) -> list[Compiled | str]:
    """Compile programs side by side, without regard to memory; one that fails is represented by its error."""
    cache = cache or ProgramCache()

    def attempt(program: Program) -> Compiled | str:
        try:
            return Compiled(program, [cache.get(program, place)[0] for place in places], places)
        except Exception as error:  # the others can still be measured
            return failure(error)

    with ThreadPoolExecutor(max(2, 3 * usable_cores() // 4)) as pool:
        return list(pool.map(attempt, programs))


def compile_one(program: Program, places: Sequence[Any], cache: ProgramCache | None = None) -> Compiled:
    """Compile a program; raises RuntimeError if that fails."""
    (one,) = compile_all([program], places, cache)
    if isinstance(one, str):
        raise RuntimeError(one)
    return one


def prepare(workload: str, replicas: int) -> Prepared:
    """Prepare our way as the command line trains: places take tiles of all programs from one queue."""
    start_jax()
    # PyTorch's ways use TensorFloat32 on a GPU too; a CPU has only the full float32.
    precision = "float32" if jax.default_backend() == "cpu" else "tensorfloat32"
    programs, where = planned(WORKLOADS[workload].comparison(replicas, matmul_precision=precision)), local_places()
    start = time.perf_counter()
    every = compile_all(programs, where)
    seconds = time.perf_counter() - start
    if errors := [one for one in every if isinstance(one, str)]:
        raise RuntimeError(errors[0])
    compiled = [one for one in every if isinstance(one, Compiled)]
    queue = [(one, one.program.tiles) for one in compiled]
    few = sum(len(tiles) for _, tiles in queue) <= MOST_TILES * len(where)
    units = [Unit(from_one_queue(queue))] if few else [one.unit() for one in compiled]
    tiles = ", ".join(f"{one.shape[0]}x{one.shape[1]} in {len(one.tiles)} tiles" for one in programs)
    return Prepared(units, replicas, seconds, f"{len(where)} places; seeds x variants a tile: {tiles}")


def compiled_for(program: Program, absent: Sequence[Any]) -> tuple[str, dict[str, int] | None]:
    """Compile a program for devices that may be absent; return XLA's text and its account of memory."""
    executable = lowered(program, sweep.place_of(absent))[1].compile()
    account = sweep.memory_of(executable)
    return executable.as_text(), account and account._asdict()


def trainer(
    program: Program, places: Sequence[Any], cache: ProgramCache | None = None
) -> Callable[..., list[tuple[Any, Any]]]:
    """Compile a program with tiles that fit into memory; return a function that trains and measures all tiles.

    The function takes a callback without arguments, called after each segment, and returns the tiles with their measurements.
    """
    resources = training.Resources(places, TileSizes(places), cache or ProgramCache(), TileCache())
    for place in places:
        training.compiled(program, resources, place)

    def train(held: Callable[[], None] = lambda: None) -> list[tuple[Any, Any]]:
        with training.LocalTraining(resources, training.Callbacks(trained=lambda *_: held())) as work:
            work.add([program])
            return work.measured([program])

    return train


def study(comparison: Comparison, data: Mapping[tuple, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile a study's programs side by side; return the function that trains its config and returns the tables."""
    cache, platform = ProgramCache(), jax.default_backend()
    where = local_places()
    compile_all(programs_of(comparison, data, platform=platform), where, cache)
    return lambda config: compare(config, name=comparison.name, places=where, programs=cache)
