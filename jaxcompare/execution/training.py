"""Programs compiled and trained, group of tiles by group; tiles that were measured before are not trained again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcompare.config.comparison import Comparison
from jaxcompare.engine import sweep
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.tables import Tables
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes, recut
from jaxcompare.execution.unchecked import unchecked
from jaxcompare.planning.cadence import Arrays, cut, levels
from jaxcompare.planning.programs import Program, Tile
from jaxcompare.planning.recipes import tile_arrays
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.strict_json import to_json


def _ignore(*_: Any) -> None:
    pass


class Callbacks(NamedTuple):
    """What a caller may hear of a run while it goes on."""

    compiled: Callable[[str], None] = _ignore  # the name of a program that is ready, compiled or not needed
    trained: Callable[[str, float, bool], None] = (
        _ignore  # program, estimated core seconds, whether from an earlier run
    )
    measured: Callable[[Tile, range, Arrays], None] = _ignore  # a tile's measurements at the ends of some epochs
    confirming: Callable[[Comparison, Sequence[Program]], None] = _ignore  # the programs of a comparison's fresh seeds
    finished: Callable[[Comparison, Tables], None] = _ignore  # a comparison with its tables


SILENT = Callbacks()


@dataclass(frozen=True)
class Resources:
    """The devices, and the caches, that a run uses."""

    mesh: Mesh
    sizes: TileSizes
    programs: ProgramCache
    tiles: TileCache


def compile_programs(programs: Sequence[Program], resources: Resources, callbacks: Callbacks) -> dict[str, float]:
    """Compile the programs that have tiles to train, side by side; return the seconds of each by its name.

    Raises:
        ConfigError: one replica does not fit.
    """

    def one(program: Program) -> tuple[str, float]:
        _, missing = _look_up(program, resources, resources.tiles.has)
        seconds = _compiled(program, resources)[2] if missing else 0.0
        callbacks.compiled(program.name)
        return program.name, seconds

    # XLA compiles without holding Python's lock, and a single compilation leaves most cores idle.
    with ThreadPoolExecutor(usable_cores()) as pool:
        return dict(pool.map(one, programs))


def train_program(
    program: Program, resources: Resources, callbacks: Callbacks, compile_seconds: float = 0.0
) -> Iterator[tuple[Tile, Arrays]]:
    """Yield every tile of a program with its measurements: kept tiles first, then the missing ones as they are trained.

    Args:
        program: as planned; where memory ran out, its tiles are smaller.
        resources: devices and caches; tiles are kept as soon as they are measured.
        callbacks: hear of each segment.
        compile_seconds: the time that the program's compilation took, for the table of times.

    Raises:
        ConfigError: memory ran out with one replica.
    """
    kept, missing = _look_up(program, resources, resources.tiles.get)
    for tile, arrays in kept:
        seconds = tile.replicas * tile.program.total_steps * tile.program.step_seconds
        callbacks.trained(program.name, seconds, True)
        callbacks.measured(tile, range(program.settings.epochs + 1), arrays)
        yield tile, arrays
    at_once, compiled, data = sweep.tiles_at_once(resources.mesh), None, None
    try:
        while missing:
            try:
                if compiled is None:
                    current, compiled, seconds = _compiled(program, resources)
                    compile_seconds += seconds
                    missing = [part for tile in missing for part in _recut(tile, current)]
                data = sweep.replicate(resources.mesh, program.material.data) if data is None else data
                trained = _train_tiles(missing[:at_once], compiled, data, resources, callbacks, compile_seconds)
                failure = None
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not out_of_memory(error):
                    raise
                failure = error.with_traceback(None)  # the traceback would hold what is on the devices
            if failure is not None:
                resources.sizes.lower(program, "memory ran out", error=failure)
                compiled = None
                continue
            compile_seconds = 0.0  # counted once, with the first group
            for tile, arrays in zip(missing[:at_once], trained, strict=True):
                resources.tiles.put(tile, arrays)
                yield tile, arrays
            missing = missing[at_once:]
    finally:
        for leaf in jax.tree.leaves(data):  # the next program may need the data's memory
            leaf.delete()


def _look_up(
    program: Program, resources: Resources, find: Callable[[Tile], Any]
) -> tuple[list[tuple[Tile, Any]], list[Tile]]:
    """Return what `find` has of a program's tiles, in the planned shape or in those that memory led to, and the other tiles."""
    kept: list[tuple[Tile, Any]] = []
    missing: list[Tile] = []

    def search(chain: Sequence[Program], tile: Tile) -> None:
        value = find(tile)
        if value is not None:
            kept.append((tile, value))
        elif len(chain) == 1:
            missing.append(tile)
        else:
            for part in recut(tile, chain[1]):
                search(chain[1:], part)

    for tile in program.tiles:
        search(resources.sizes.chain(program), tile)
    return kept, missing


def _recut(tile: Tile, program: Program) -> list[Tile]:
    if tile.program.shape == program.shape and tile.program.settings == program.settings:
        return [tile]
    return recut(tile, program)


@unchecked()
def _compiled(program: Program, resources: Resources) -> tuple[Program, sweep.Compiled, float]:
    """Return a program with a tile that fits by XLA's account, its compiled functions, and the seconds this took."""
    total = 0.0
    while True:
        current = resources.sizes.chain(program)[-1]
        free = resources.sizes.entry(program).get("free_bytes")
        try:
            compiled, seconds = resources.programs.get(current, resources.mesh)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            failure = error.with_traceback(None)
        else:
            total += seconds
            needed = compiled.memory and compiled.memory.total
            if free is None or needed is None or needed <= free:
                return current, compiled, total
            # Better to know before the first step than to be killed in that step.
            resources.sizes.lower(program, "compiled", needed=needed)
            continue
        resources.sizes.lower(program, "memory ran out", error=failure)


@unchecked()
def _train_tiles(
    tiles: Sequence[Tile],
    compiled: sweep.Compiled,
    data: Any,
    resources: Resources,
    callbacks: Callbacks,
    compile_seconds: float,
) -> list[Arrays]:
    """Train at most as many tiles as the mesh takes at once; return the measurements of each."""
    mesh, program = resources.mesh, tiles[0].program
    replicas, epochs, done = sum(tile.replicas for tile in tiles), program.settings.epochs, 0

    def report(progress: sweep.Progress) -> None:
        nonlocal done
        callbacks.trained(program.name, replicas * (progress.steps - done) * program.step_seconds, False)
        done = progress.steps
        for index, tile in enumerate(tiles):
            callbacks.measured(tile, progress.epochs, cut(tile, index, progress.measured, progress.epochs))

    padded = [*tiles, *[tiles[-1]] * (sweep.tiles_at_once(mesh) - len(tiles))]
    arrays, level_of = sweep.shard(mesh, tile_arrays(padded)), levels(program.settings)
    start = time.perf_counter()
    try:
        carry, measured = sweep.train_tiles(
            compiled,
            data,
            arrays,
            epochs=epochs,
            steps_per_epoch=program.steps_per_epoch,
            levels=level_of,
            rows=program.rows,
            report=report,
        )
    except Exception:
        callbacks.trained(program.name, -replicas * done * program.step_seconds, False)  # will be trained again
        raise
    first_nonfinite = np.array(carry.state.first_nonfinite_step)  # a copy: the carry is used up below
    wall = time.perf_counter() - start
    # Measuring happens inside the segments. It is timed separately, and taken to cost the same each time.
    measuring = sweep.measuring_seconds(compiled, carry, data, arrays, level_of, rows=program.rows)
    timing = _timing(program, replicas, wall, min(wall, measuring), compiled.memory, compile_seconds)
    measurements = []
    for index, tile in enumerate(tiles):
        own = cut(tile, index, measured, range(epochs + 1))
        own["first_nonfinite_step"] = first_nonfinite[index, : len(tile.seeds), : len(tile.variants)]
        if index == 0:  # the group's timing is kept with its first tile, for a run that is resumed
            own["timing"] = np.asarray(to_json(timing))
        measurements.append(own)
    return measurements


def _timing(
    program: Program,
    replicas: int,
    wall: float,
    evaluating: float,
    memory: sweep.Memory | None,
    compile_seconds: float,
) -> Mapping[str, Any]:
    return {
        "program": program.name,
        "experiment": program.comparison,
        "replicas": replicas,
        "steps": program.total_steps,
        "compile_seconds": compile_seconds,
        "train_seconds": wall - evaluating,
        "evaluate_seconds": evaluating,
        "wall_seconds": wall,
        "replica_steps_per_second": replicas * program.total_steps / wall,
        "tile_replicas": program.tile_replicas,
        "argument_bytes": memory and memory.arguments,
        "temporary_bytes": memory and memory.temporaries,
    }


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the host or on a device."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )
