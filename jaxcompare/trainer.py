"""Programs compiled and trained, group of tiles by group; what was measured before is not trained again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
from jax.sharding import Mesh

from jaxcompare import assemble, sweep, tables
from jaxcompare.planning import Plan, step_seconds
from jaxcompare.programs import Program, Tile

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


class Measured(NamedTuple):
    """A tile and what was measured of it: arrays by name, each [E, S, V, ...] or [S, V, ...], without padding."""

    plan: Plan
    tile: Tile
    arrays: Arrays


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


class Trainer:
    """A program compiled, with its data on the devices."""

    def __init__(self, plan: Plan, mesh: Mesh, tiles: list[Tile]) -> None:
        self.plan, self.mesh = plan, mesh
        self.data = sweep.replicate(mesh, plan.material.data)
        self.points = None
        if plan.material.features == 2 and plan.material.classes == 2:
            self.points = sweep.replicate(mesh, assemble.field_grid(plan.material.data.train.x))
        self.executables = sweep.build(
            assemble.recipe(plan.program, plan.material.classes),
            mesh,
            self.data,
            self.group(tiles[: sweep.tiles_at_once(mesh)]),
            batch_size=plan.program.settings.batch_size,
            rows=plan.rows,
            points=self.points,
            matmul_precision=plan.program.settings.matmul_precision,
        )
        self.compile_seconds = self.executables.compile_seconds
        self.measuring_seconds: dict[int, float] | None = None

    def group(self, tiles: Sequence[Tile]) -> sweep.Group:
        """Tiles side by side on the devices, the last one repeated where there are too few."""
        padded = [*tiles, *[tiles[-1]] * (sweep.tiles_at_once(self.mesh) - len(tiles))]
        return sweep.shard(self.mesh, assemble.group(self.plan.program, padded, self.plan.shape, self.plan.total_steps))

    def run(self, tiles: Sequence[Tile], tick: Callable[[Tick], None]) -> Iterator[Arrays]:
        """Trains as many tiles as there are devices, or fewer; gives each one's measurements."""
        plan, settings = self.plan, self.plan.program.settings
        replicas = sum(len(tile.seeds) * len(tile.variants) for tile in tiles)
        done = 0

        def report(progress: sweep.Progress) -> None:
            nonlocal done
            tick(Tick(plan.program.name, replicas * (progress.steps - done) * step_seconds(plan), kept=False))
            done = progress.steps

        group, levels = self.group(tiles), assemble.levels(settings)
        if self.measuring_seconds is None:
            self.measuring_seconds = sweep.measuring_seconds(self.executables, self.data, group, rows=plan.rows)
        start = time.perf_counter()
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
        fields = None
        if self.executables.predict is not None:
            fields = np.asarray(self.executables.predict(carry, self.data, group, self.points)).astype(np.float16)
        first_nonfinite = np.asarray(carry.state.first_nonfinite_step)
        wall = time.perf_counter() - start
        # Measuring happens inside the segments: it is timed apart, once a program, and taken to cost the same each time.
        evaluating = min(wall, sum(self.measuring_seconds[level] for level in levels))
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
        }
        self.compile_seconds = 0.0  # compiled once, for the first group
        for index, tile in enumerate(tiles):
            arrays = tables.tile_arrays(plan, tile, index, measured, first_nonfinite, fields)
            # The group's timing goes with its first tile, so that a run that goes on later has it still.
            yield arrays | ({"timing": np.asarray(json.dumps(timing))} if index == 0 else {})


def prepare(plans: Sequence[Plan], mesh: Mesh, parts: Parts) -> list[Job]:
    """Looks up what was measured before, and compiles the programs of what was not, side by side."""

    def one(plan: Plan) -> Job:
        kept, missing = [], []
        for tile in plan.tiles:
            arrays = parts.get(plan.program, tile, plan.shape, plan.material.digest)
            if arrays is None:
                missing.append(tile)
            else:
                kept.append(Measured(plan, tile, arrays))
        return Job(plan, kept, missing, Trainer(plan, mesh, missing) if missing else None)

    # XLA compiles without holding Python's lock, and a single compilation leaves most cores idle.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, plans))


def train_job(job: Job, parts: Parts, tick: Callable[[Tick], None]) -> Iterator[Measured]:
    """All tiles of a program: those that were kept, then the missing ones, as many at once as there are devices.

    Args:
        job: of `prepare`.
        parts: where tiles are kept as soon as they are measured.
        tick: told of each segment's training.
    """
    plan = job.plan
    for one in job.kept:
        replicas = len(one.tile.seeds) * len(one.tile.variants)
        tick(Tick(plan.program.name, replicas * plan.total_steps * step_seconds(plan), kept=True))
        yield one
    if job.trainer is None:
        return
    at_once = sweep.tiles_at_once(job.trainer.mesh)
    for begin in range(0, len(job.missing), at_once):
        tiles = job.missing[begin : begin + at_once]
        for tile, arrays in zip(tiles, job.trainer.run(tiles, tick), strict=True):
            parts.put(plan.program, tile, plan.shape, plan.material.digest, arrays)
            yield Measured(plan, tile, arrays)
