"""Programs compiled and their tiles trained, on places that take the next tile and wait for nobody."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcompare.config.comparison import Comparison
from jaxcompare.engine import sweep
from jaxcompare.execution import checkpoints
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.tables import Tables
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes, recut
from jaxcompare.execution.unchecked import unchecked
from jaxcompare.execution.workers import Workers
from jaxcompare.planning.cadence import Arrays, cut, levels
from jaxcompare.planning.programs import Program, Tile
from jaxcompare.planning.recipes import tile_arrays
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.strict_json import to_json


def _ignore(*_: Any) -> None:
    pass


class Callbacks(NamedTuple):
    """What a caller may hear of a run while it goes on; from several threads, one at a time."""

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
    """The places, and the caches, that a run uses."""

    places: Sequence[Mesh]  # of `engine.sweep.place_of`
    sizes: TileSizes
    programs: ProgramCache
    tiles: TileCache
    workers: Workers | None = None  # train the tiles in other processes


class _StoppedError(Exception):
    """The run has ended: a tile in work is given up at its segment's end."""


@dataclass(eq=False)
class Work:
    """A planned program with what is left of it."""

    program: Program  # as planned
    order: tuple[float, ...]  # programs with a smaller one train first
    key: str  # of the executable, as planned
    missing: list[Tile]  # not begun
    measured: list[tuple[Tile, Arrays]] = field(default_factory=list)
    in_work: int = 0  # tiles that places train now
    state: str = "planned"  # then "compiling" and "ready", and again from the start where memory runs out
    compile_seconds: float = 0.0  # not yet counted with a tile
    announced: bool = False  # whether the callback has heard that it is ready


class Training(abc.ABC):
    """Programs with what is left of them, while some workers train their tiles; a context manager."""

    def __init__(self, resources: Resources, callbacks: Callbacks = SILENT) -> None:
        """Prepare for work that is added.

        Args:
            resources: places and caches; tiles are kept as soon as they are measured.
            callbacks: hear of each program and segment.
        """
        self.resources, self.callbacks = resources, callbacks
        self.work: list[Work] = []
        self.changed = threading.Condition()
        self.telling = threading.Lock()
        self.failure: BaseException | None = None
        self.stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
        self._stop()

    @abc.abstractmethod
    def _begin(self) -> None:
        """Begin what was added."""

    @abc.abstractmethod
    def _stop(self) -> None:
        """Give up what has begun."""

    @unchecked()
    def add(self, programs: Sequence[Program], order: int = 0) -> None:
        """Add programs; those of a smaller `order` train first, then by study, the longest tile first."""
        studies = list(dict.fromkeys(program.study for program in programs))
        for program in programs:
            kept, missing = self._look_up(program)
            for tile, arrays in kept:
                self.tell(self.callbacks.trained, program.name, tile.seconds, True)
                self.tell(self.callbacks.measured, tile, range(program.settings.epochs + 1), arrays)
            rank = (order, studies.index(program.study), -program.tiles[0].seconds)
            key = self.resources.programs.key(self.resources.sizes.chain(program)[-1], self.resources.places[0])
            work = Work(program, rank, key, missing, kept)
            if not missing:
                self._ready(work)
            with self.changed:
                self.work.append(work)
                self.work.sort(key=lambda each: each.order)
                self.changed.notify_all()
        self._begin()

    def measured(self, programs: Sequence[Program]) -> list[tuple[Tile, Arrays]]:
        """Wait for every tile of some programs, and return them with their measurements, in the order of the plan.

        Raises:
            ConfigError: memory ran out with one replica.
        """
        found = []
        for program in programs:
            with self.changed:
                work = next(each for each in self.work if each.program is program)
                while (work.missing or work.in_work) and self.failure is None:
                    self.changed.wait()
                failure, self.failure = self.failure, None
                if failure is not None:
                    try:
                        raise failure
                    finally:
                        del failure  # its traceback has this frame: what a caller holds would outlive the error
                self.work.remove(work)
            variants = [variant.variant_id for variant in program.variants]
            found += sorted(
                work.measured, key=lambda one: (one[0].seeds, variants.index(one[0].variants[0].variant_id))
            )
        return found

    def _look_up(self, program: Program) -> tuple[list[tuple[Tile, Arrays]], list[Tile]]:
        """Return the tiles that are kept, in the planned shape or in those that memory led to, and the other tiles."""
        kept: list[tuple[Tile, Arrays]] = []
        missing: list[Tile] = []

        def search(chain: Sequence[Program], tile: Tile) -> None:
            value = self.resources.tiles.get(tile)
            if value is not None:
                kept.append((tile, value))
            elif len(chain) == 1:
                missing.append(tile)
            else:
                for part in recut(tile, chain[1]):
                    search(chain[1:], part)

        for tile in program.tiles:
            search(self.resources.sizes.chain(program), tile)
        return kept, missing

    def tell(self, callback: Callable[..., None], *said: Any) -> None:
        """Call a callback while no other is called."""
        with self.telling:
            callback(*said)

    def _ready(self, work: Work) -> None:
        """Mark a program as ready, compiled or not needed."""
        with self.changed:
            work.state, announced, work.announced = "ready", work.announced, True
            self.changed.notify_all()
        if not announced:
            self.tell(self.callbacks.compiled, work.program.name)

    def _fail(self, error: BaseException) -> None:
        with self.changed:
            self.failure, self.stopped = self.failure or error, True
            self.changed.notify_all()

    def _finish(self, work: Work, tile: Tile, arrays: Arrays) -> None:
        """Keep a tile's measurements."""
        self.resources.tiles.put(tile, arrays)
        with self.changed:
            work.measured.append((tile, arrays))
            work.in_work -= 1
            self.changed.notify_all()

    def _lower(self, work: Work, tile: Tile, reason: str, error: Exception) -> None:
        """Halve a program's tiles that have not begun, and one that failed, which will begin again."""
        with self.changed:
            # Another place may have been here first, or another study with the same program.
            if _same_tiles(tile.program, self.resources.sizes.chain(work.program)[-1]):
                self.resources.sizes.lower(work.program, reason, error=error)
            if work.state == "ready":
                work.state = "planned"
            chain = self.resources.sizes.chain(work.program)
            work.missing = [part for each in (tile, *work.missing) for part in _recut(each, chain)]
            work.in_work -= 1
            self.changed.notify_all()

    def _report(self, tile: Tile) -> Callable[[sweep.Progress | None], None]:
        """Return what is called at the end of each segment of a tile: None means that it will be trained again."""
        done = 0

        def report(progress: sweep.Progress | None) -> None:
            nonlocal done
            if progress is None:
                self.tell(self.callbacks.trained, tile.program.name, -done * tile.step_seconds, False)
                return
            if self.stopped:
                raise _StoppedError
            self.tell(self.callbacks.trained, tile.program.name, (progress.steps - done) * tile.step_seconds, False)
            done = progress.steps
            self.tell(self.callbacks.measured, tile, progress.epochs, cut(tile, progress.measured, progress.epochs))

        return report


class LocalTraining(Training):
    """Training by threads of this process; each does the next thing there is: compile a program, or train a tile.

    A worker has a place, or only compiles. With each program compiled as it is needed, and no more compilations at once than
    there are cores, each core does one thing at a time. On a GPU XLA measures kernels while it compiles: nothing trains then.
    """

    def __init__(self, resources: Resources, callbacks: Callbacks = SILENT) -> None:
        super().__init__(resources, callbacks)
        self.cores = usable_cores()
        self.compiles_alone = resources.places[0].devices.flat[0].platform != "cpu"
        self.threads: list[threading.Thread] = []

    def _begin(self) -> None:
        if any(work.missing for work in self.work) and not self.threads:
            places = [*self.resources.places, *[None] * (self.cores - len(self.resources.places))]
            self.threads = [threading.Thread(target=self._loop, args=(place,), daemon=True) for place in places]
            for thread in self.threads:
                thread.start()

    def _stop(self) -> None:
        for thread in self.threads:
            thread.join()

    @unchecked()
    def _loop(self, place: Mesh | None) -> None:
        held = Held()
        try:
            while (task := self._next(place)) is not None:
                work, tile = task
                if tile is None:
                    self._compile(work, place or self.resources.places[0])
                elif place is not None:
                    self._train(work, tile, place, held)
        except _StoppedError:
            pass
        except BaseException as error:
            self._fail(error)
        finally:
            held.release()

    def _next(self, place: Mesh | None) -> tuple[Work, Tile | None] | None:
        """Wait for the next tile to train, or program to compile (no tile); None: the run has ended."""
        with self.changed:
            while not self.stopped:
                compiling = [work.key for work in self.work if work.state == "compiling"]
                waiting = [work for work in self.work if work.state == "planned"]
                # Another study's program may be the same: to wait for it would leave a core idle.
                planned = next((work for work in waiting if work.key not in compiling), None)
                training = any(work.in_work for work in self.work)
                if place is not None and not (self.compiles_alone and (waiting or compiling)):
                    ready = next((work for work in self.work if work.state == "ready" and work.missing), None)
                    if ready is not None:
                        ready.in_work += 1
                        return ready, ready.missing.pop(0)
                if planned is not None and len(compiling) < self.cores and not (self.compiles_alone and training):
                    planned.state = "compiling"
                    return planned, None
                self.changed.wait()
        return None

    def _compile(self, work: Work, place: Mesh) -> None:
        seconds = compiled(work.program, self.resources, place)[2]
        with self.changed:
            chain = self.resources.sizes.chain(work.program)
            work.missing = [part for tile in work.missing for part in _recut(tile, chain)]
            work.compile_seconds += seconds
        self._ready(work)

    def _train(self, work: Work, tile: Tile, place: Mesh, held: Held) -> None:
        """Train a tile and keep its measurements; where memory runs out, halve the program's tiles that have not begun."""
        report = self._report(tile)
        try:
            compiled, seconds = held.compiled(self.resources.programs, tile.program, place)
            data = held.put(place, tile.program)
            with self.changed:
                seconds, work.compile_seconds = seconds + work.compile_seconds, 0.0  # counted once
            tiles = self.resources.tiles
            found, put = tiles.checkpoint(tile), partial(tiles.put_checkpoint, tile) if tiles.folder else None
            arrays = train_tile(tile, compiled, data, place, report, seconds, found, put, lambda: self.stopped)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            report(None)
            failure = error.with_traceback(None)  # the traceback would hold what is on the devices
        else:
            self._finish(work, tile, arrays)
            return
        held.release()
        self._lower(work, tile, "memory ran out", failure)


class Held:
    """What a place holds: one data set, and the program that it trained last."""

    def __init__(self) -> None:
        self.material: Any = None
        self.data: Any = None
        self.program: tuple[Program, sweep.Compiled] | None = None

    def compiled(self, programs: ProgramCache, program: Program, place: Mesh) -> tuple[sweep.Compiled, float]:
        """Return a program compiled for a place, and the seconds that this took."""
        if self.program is not None and self.program[0] is program:
            return self.program[1], 0.0  # the key alone takes 3 to 6 ms
        found, seconds = programs.get(program, place)
        self.program = program, found
        return found, seconds

    def put(self, place: Mesh, program: Program) -> Any:
        """Return a program's data on a place."""
        if self.material is not program.material:
            self.release()
            self.material, self.data = program.material, sweep.put(place, program.material.data)
        return self.data

    def release(self) -> None:
        """Free the data's memory."""
        for leaf in jax.tree.leaves(self.data):
            leaf.delete()
        self.material = self.data = None


def _recut(tile: Tile, chain: Sequence[Program]) -> list[Tile]:
    """Cut a tile into tiles of the last program of a chain, level by level: so a run that is resumed finds them."""
    level = next(index for index, program in enumerate(chain) if _same_tiles(tile.program, program))
    parts = [tile]
    for program in chain[level + 1 :]:
        parts = [smaller for part in parts for smaller in recut(part, program)]
    return parts


def _same_tiles(one: Program, other: Program) -> bool:
    """Return whether two programs of the same variants cut the same tiles; `replace` makes equal ones."""
    return one.shape == other.shape and one.settings == other.settings


def compiled(program: Program, resources: Resources, place: Mesh) -> tuple[Program, sweep.Compiled, float]:
    """Return a program with a tile that fits by XLA's account, its compiled functions, and the seconds this took.

    Raises:
        ConfigError: one replica does not fit.
    """
    total = 0.0
    while True:
        current = resources.sizes.chain(program)[-1]
        free = resources.sizes.entry(program).get("free_bytes")
        try:
            compiled, seconds = resources.programs.get(current, place)
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


def train_tile(
    tile: Tile,
    compiled: sweep.Compiled,
    data: Any,
    place: Mesh,
    report: Callable[[sweep.Progress], None] = _ignore,
    compile_seconds: float = 0.0,
    checkpoint: bytes | None = None,
    put: Callable[[bytes], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Arrays:
    """Train a tile on a place; return its measurements.

    Args:
        tile: of the program that is compiled.
        compiled: for this place.
        data: on this place.
        place: where the tile trains.
        report: called at the end of each segment.
        compile_seconds: for the table of times.
        checkpoint: to go on from.
        put: keeps checkpoints; None: there are none.
        stopping: whether the run is about to end, so that a checkpoint is due.
    """
    program = tile.program
    arrays, level_of, epochs = sweep.put(place, tile_arrays(tile)), levels(program.settings), program.settings.epochs
    found, before = (None, 0.0) if checkpoint is None else checkpoints.from_bytes(checkpoint)
    start = time.perf_counter() - before
    carry, measured = sweep.train_tile(
        compiled,
        data,
        arrays,
        epochs=epochs,
        steps_per_epoch=program.steps_per_epoch,
        levels=level_of,
        rows=program.rows,
        report=report,
        keep=_ignore if put is None else checkpoints.Keeper(put, stopping, before),
        checkpoint=found,
    )
    first_nonfinite = np.array(carry.state.first_nonfinite_step)  # a copy: the carry is used up below
    wall = time.perf_counter() - start
    # Measuring happens inside the segments. It is timed separately, and taken to cost the same each time. Where the
    # machine was busier then, it seems to take longer than the whole: how long training took is not known.
    measuring = sweep.measuring_seconds(compiled, carry, data, arrays, level_of, rows=program.rows)
    timing = _timing(tile, wall, measuring if measuring < wall else None, compiled.memory, compile_seconds)
    return {
        **cut(tile, measured, range(epochs + 1)),
        "first_nonfinite_step": first_nonfinite[: len(tile.seeds), : len(tile.variants)],
        "timing": np.asarray(to_json(timing)),
    }


def _timing(
    tile: Tile, wall: float, evaluating: float | None, memory: sweep.Memory | None, compile_seconds: float
) -> Mapping[str, Any]:
    program = tile.program
    return {
        "program": program.name,
        "experiment": program.comparison,
        "replicas": tile.replicas,
        "steps": program.total_steps,
        "compile_seconds": compile_seconds,
        "train_seconds": None if evaluating is None else wall - evaluating,
        "evaluate_seconds": evaluating,
        "wall_seconds": wall,
        "replica_steps_per_second": tile.replicas * program.total_steps / wall,
        "tile_replicas": program.tile_replicas,
        "argument_bytes": memory and memory.arguments,
        "temporary_bytes": memory and memory.temporaries,
    }


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the host or on a device."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )
