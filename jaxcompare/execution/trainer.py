"""Programs compiled and trained, group of tiles by group; what was measured before is not trained again."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import sweep
from jaxcompare.execution import tables
from jaxcompare.planning import assemble, fitting
from jaxcompare.planning.layout import Plan, blueprint, lower, recut, step_seconds, widest_first
from jaxcompare.planning.memory import Footprint
from jaxcompare.planning.programs import Program, Tile
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.memory import spell_bytes

Arrays = dict[str, np.ndarray]


class Parts(Protocol):
    """Where measured tiles are kept; `shape` is the tiles', `data` the data set's digest."""

    def get(self, program: Program, tile: Tile, shape: tuple[int, int], data: str) -> Arrays | None:
        """What was measured of this tile before, if it was."""

    def put(self, program: Program, tile: Tile, shape: tuple[int, int], data: str, arrays: Arrays) -> None:
        """Keeps what was measured."""


class Forgetful:
    """Parts that keep nothing: every tile is trained."""

    def get(self, program: Program, tile: Tile, shape: tuple[int, int], data: str) -> Arrays | None:
        """Nothing."""
        return None

    def put(self, program: Program, tile: Tile, shape: tuple[int, int], data: str, arrays: Arrays) -> None:
        """Keeps nothing."""


class Shelf(Protocol):
    """Where compiled programs are kept."""

    def get(self, plan: Plan) -> sweep.Executables | None:
        """The plan's program, if it was compiled before."""

    def put(self, plan: Plan, executables: sweep.Executables) -> None:
        """Keeps a plan's program."""


class Measured(NamedTuple):
    """A tile and what was measured of it: arrays by name, each [E, S, V, ...] or [S, V, ...], without padding."""

    plan: Plan
    tile: Tile
    arrays: Arrays


class Seen(NamedTuple):
    """What has just been measured of a tile, while its training goes on."""

    plan: Plan
    tile: Tile
    epochs: range  # at whose ends
    arrays: Arrays  # of `tables.cut`


Watch = Callable[[Seen], None]


class Tick(NamedTuple):
    """Some training that is done."""

    program: str
    seconds: float  # what it was reckoned to take, all in all, on one core
    kept: bool  # from an earlier run


class Job(NamedTuple):
    """A plan with what is known of its tiles, and its program compiled if any is missing."""

    plan: Plan
    kept: list[Measured]
    missing: list[Tile]
    trainer: Trainer | None
    book: fitting.Book  # told of tiles that memory makes smaller on the way


class Trainer:
    """A program compiled, and its data."""

    def __init__(self, plan: Plan, mesh: Mesh, shelf: Shelf | None = None) -> None:
        self.plan, self.mesh, self.shelf = plan, mesh, shelf
        kept = shelf.get(plan) if shelf else None
        self.executables = kept or sweep.build(blueprint(plan, mesh))
        if shelf and not kept:
            shelf.put(plan, self.executables)
        free, needed = plan.footprint and plan.footprint.free_bytes, self.executables.memory
        if free is not None and needed is not None and needed.total > free:
            # Small programs said less, or arithmetic did: better to know before the first step than to be killed in it.
            raise MemoryError(f"{plan.program.name} needs {spell_bytes(needed.total)} of {spell_bytes(free)}")
        self.compile_seconds = self.executables.compile_seconds

    @cached_property
    def data(self) -> Any:
        """The data set on the devices, from the first step on: many programs may be waiting for theirs."""
        return sweep.replicate(self.mesh, self.plan.material.data)

    def group(self, tiles: Sequence[Tile]) -> sweep.Group:
        """Tiles side by side on the devices, the last one repeated where there are too few."""
        padded = [*tiles, *[tiles[-1]] * (sweep.tiles_at_once(self.mesh) - len(tiles))]
        return sweep.shard(self.mesh, assemble.group(self.plan.program, padded, self.plan.shape, self.plan.total_steps))

    def run(self, tiles: Sequence[Tile], tick: Callable[[Tick], None], watch: Watch | None = None) -> Iterator[Arrays]:
        """Trains as many tiles as there are devices, or fewer; gives each one's measurements."""
        plan, settings = self.plan, self.plan.program.settings
        replicas = sum(len(tile.seeds) * len(tile.variants) for tile in tiles)
        done = 0

        def report(progress: sweep.Progress) -> None:
            nonlocal done
            tick(Tick(plan.program.name, replicas * (progress.steps - done) * step_seconds(plan), kept=False))
            done = progress.steps
            if watch is not None:
                for index, tile in enumerate(tiles):
                    arrays = tables.cut(plan, tile, index, progress.measured, progress.epochs)
                    watch(Seen(plan, tile, progress.epochs, arrays))

        group, levels = self.group(tiles), assemble.levels(settings)
        start = time.perf_counter()
        try:
            carry, measured = sweep.train_group(
                self.executables,
                self.data,
                group,
                epochs=settings.epochs,
                steps_per_epoch=plan.steps_per_epoch,
                levels=levels,
                rows=plan.rows,
                report=report,
            )
        except Exception:
            tick(Tick(plan.program.name, -replicas * done * step_seconds(plan), kept=False))  # it will be done again
            raise
        first_nonfinite = np.array(carry.state.first_nonfinite_step)  # a copy: the carry is used up below
        wall = time.perf_counter() - start
        # Measuring happens inside the segments: it is timed apart, and taken to cost the same each time.
        measuring = sweep.measuring_seconds(self.executables, carry, self.data, group, levels, rows=plan.rows)
        evaluating = min(wall, measuring)
        memory = self.executables.memory
        timing = {
            "program": plan.program.name,
            "experiment": plan.program.comparison,
            "replicas": replicas,
            "steps": plan.total_steps,
            "compile_seconds": self.compile_seconds,
            "train_seconds": wall - evaluating,
            "evaluate_seconds": evaluating,
            "wall_seconds": wall,
            "replica_steps_per_second": replicas * plan.total_steps / wall,
            "tile_replicas": plan.replicas,
            "argument_bytes": memory and memory.arguments,
            "temporary_bytes": memory and memory.temporaries,
        }
        self.compile_seconds = 0.0  # compiled once, for the first group
        for index, tile in enumerate(tiles):
            arrays = tables.tile_arrays(plan, tile, index, measured, first_nonfinite)
            # The group's timing goes with its first tile, so that a run that goes on later has it still.
            yield arrays | ({"timing": np.asarray(json.dumps(timing))} if index == 0 else {})

    def release(self) -> None:
        """Gives the data's memory on the devices back; nothing can be trained afterwards."""
        for leaf in jax.tree.leaves(self.__dict__.get("data")):  # it may never have been there
            leaf.delete()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the host or on a device."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def make_trainer(
    plan: Plan, missing: list[Tile], mesh: Mesh, book: fitting.Book, shelf: Shelf | None = None
) -> tuple[Trainer, list[Tile]]:
    """A program compiled for tiles that are as large as memory allows, and the tiles.

    Raises:
        ConfigError: one replica does not fit.
    """
    while True:
        try:
            return Trainer(plan, mesh, shelf), missing
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            failure = error.with_traceback(None)  # which would hold what lies on the devices
        plan, missing = make_smaller(plan, mesh, missing, book, failure)


def make_smaller(
    plan: Plan, mesh: Mesh, missing: Sequence[Tile], book: fitting.Book, error: Exception
) -> tuple[Plan, list[Tile]]:
    """The next smaller plan after memory ran out, and the missing tiles cut anew: those that are measured stay as they are.

    Raises:
        ConfigError: one replica does not fit.
    """
    smaller = lower(plan, data=mesh.shape[sweep.DATA])
    if smaller is None:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{plan.program.comparison}: study {plan.program.study!r}: memory ran out with one replica at a time and "
            f"micro_batches = {plan.program.settings.micro_batches}: {reason}"
        ) from error
    free = plan.footprint.free_bytes if plan.footprint else None
    smaller = replace(smaller, footprint=Footprint(None, free, "memory ran out"))
    fitting.tell(fitting.lowered(smaller))
    book.note(smaller)
    book.save()
    return smaller, [part for tile in missing for part in recut(tile, smaller)]


def look_up(plans: Sequence[Plan], tile: Tile, parts: Parts) -> Iterator[Measured | Tile]:
    """What was measured of a tile of the first plan, in its own shape or in those that memory lowered it to; else tiles."""
    first, rest = plans[0], plans[1:]
    arrays = parts.get(first.program, tile, first.shape, first.material.digest)
    if arrays is not None:
        yield Measured(first, tile, arrays)
    elif not rest:
        yield tile
    else:
        for part in recut(tile, rest[0]):
            yield from look_up(rest, part, parts)


def prepare(
    plans: Sequence[Plan],
    mesh: Mesh,
    parts: Parts,
    book: fitting.Book | None = None,
    ready: Callable[[str, int, int], None] = lambda program, done, total: None,
    shelf: Shelf | None = None,
) -> list[Job]:
    """Looks up what was measured before, and compiles the programs of what was not, side by side.

    `ready` is told of each program that can train: its name, and how many of them all can. On the `shelf` compiled programs
    are kept.
    """
    told, done = book or fitting.Book(), itertools.count(1)

    def told_of(plan: Plan) -> Job:
        job = make_job(plan, mesh, parts, told, shelf)
        ready(plan.program.name, next(done), len(plans))
        return job

    # XLA compiles without holding Python's lock, and a single compilation leaves most cores idle.
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(told_of, plans))


def make_job(plan: Plan, mesh: Mesh, parts: Parts, book: fitting.Book, shelf: Shelf | None = None) -> Job:
    """What is known of a plan's tiles, and its program compiled if any is missing."""
    plans = widest_first(plan)
    found = [one for tile in plans[0].tiles for one in look_up(plans, tile, parts)]
    kept = [one for one in found if isinstance(one, Measured)]
    missing = [one for one in found if isinstance(one, Tile)]
    if not missing:
        return Job(plan, kept, missing, None, book)
    trainer, missing = make_trainer(plan, missing, mesh, book, shelf)
    return Job(trainer.plan, kept, missing, trainer, book)


def train_job(job: Job, parts: Parts, tick: Callable[[Tick], None], watch: Watch | None = None) -> Iterator[Measured]:
    """All tiles of a program: those that were kept, then the missing ones, as many at once as there are devices.

    Args:
        job: of `prepare`.
        parts: where tiles are kept as soon as they are measured.
        tick: told of each segment's training.
        watch: told of what each segment measured; of a tile that was kept, of everything.

    Raises:
        ConfigError: memory ran out with one replica.
    """
    plan, trainer, missing = job.plan, job.trainer, job.missing
    for one in job.kept:
        replicas = len(one.tile.seeds) * len(one.tile.variants)
        tick(Tick(plan.program.name, replicas * plan.total_steps * step_seconds(plan), kept=True))
        if watch is not None:
            watch(Seen(one.plan, one.tile, range(plan.program.settings.epochs + 1), one.arrays))
        yield one
    while trainer is not None and missing:
        tiles = missing[: sweep.tiles_at_once(trainer.mesh)]
        try:
            found, failure = list(trainer.run(tiles, tick, watch)), None
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            found, failure = [], error.with_traceback(None)  # which would hold what lies on the devices
        if failure is not None:
            mesh, shelf = trainer.mesh, trainer.shelf
            trainer.release()
            trainer, missing = make_trainer(
                *make_smaller(plan, mesh, missing, job.book, failure), mesh, job.book, shelf
            )
            plan = trainer.plan
            continue
        for tile, arrays in zip(tiles, found, strict=True):
            parts.put(plan.program, tile, plan.shape, plan.material.digest, arrays)
            yield Measured(plan, tile, arrays)
        missing = missing[len(tiles) :]
    if trainer is not None:
        trainer.release()  # the next programs may need what its data took
