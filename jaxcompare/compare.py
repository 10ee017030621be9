"""A comparison from start to tables: programs are compiled, groups of tiles trained, measurements handed on.

`compare(config)` does it all in memory, for notebooks; `run` does the same with files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pandas as pd
from jax.sharding import Mesh

from jaxcompare import analysis, assemble, sweep, tables, train
from jaxcompare import data as datasets
from jaxcompare.experiment import Comparison, parse
from jaxcompare.programs import Program, Tile, programs_of, tile_shape, tiles_of
from jaxcompare.registry import is_plugin
from jaxcompare.settings import ConfigError, Settings
from jaxcompare.types import Batch

DATA_KEYS = ("dataset", "validation_fraction", "data_seed", "samples", "test_samples", "noise", "factor")

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


@dataclass(frozen=True)
class Plan:
    """One program with all that is known before it is compiled."""

    program: Program
    material: assemble.Material
    shape: tuple[int, int]
    tiles: tuple[Tile, ...]
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Of one replica."""
        return self.program.settings.epochs * self.steps_per_epoch

    @property
    def rows(self) -> int:
        """Epochs' ends that one segment can measure: so many that tiny epochs do not each cost a call."""
        return max(1, min(self.program.settings.epochs, 400 // self.steps_per_epoch))


class Measured(NamedTuple):
    """A tile and what was measured of it: arrays by name, each [E, S, V, ...] or [S, V, ...], without padding."""

    plan: Plan
    tile: Tile
    arrays: Arrays


class Tick(NamedTuple):
    """Some training that is done."""

    program: str
    steps: int  # replica-steps since the last
    kept: bool  # from an earlier run


def load_datasets(comparisons: Sequence[Comparison], data_dir: str | None = None) -> dict[tuple, datasets.Dataset]:
    """Every data set that the comparisons name, by its data keys.

    Raises:
        DataError: one cannot be found or made.
    """
    found = {}
    for comparison in comparisons:
        for study in comparison.studies:
            for variant in study.variants:
                key = data_key(variant.settings)
                if key not in found:
                    options = dict(zip(DATA_KEYS[2:], key[2:], strict=True))
                    found[key] = datasets.load(variant.settings.dataset, data_dir=data_dir, **options)
    return found


def data_key(settings: Settings) -> tuple:
    """What decides a data set, before it is scaled."""
    return tuple(getattr(settings, key) for key in DATA_KEYS)


def plan(
    comparison: Comparison,
    loaded: Mapping[tuple, datasets.Dataset],
    *,
    platform: str,
    split: tuple[str, ...] = (),
    tile_replicas: int | None = None,
) -> list[Plan]:
    """A comparison's programs with their data and tiles.

    Raises:
        ConfigError: a batch larger than the training set.
    """
    plans = []
    for program in programs_of(comparison, split=split):
        settings = program.settings
        material = assemble.material(loaded[data_key(settings)], settings)
        limit = tile_replicas or assemble.tile_replicas(settings, material.features, material.classes, platform)
        shape = tile_shape(len(program.variants), len(program.seeds), limit)
        steps_per_epoch = len(material.data.train.y) // settings.batch_size
        plans.append(Plan(program, material, shape, tuple(tiles_of(program, shape)), steps_per_epoch))
    return plans


def train_plan(plan: Plan, mesh: Mesh, parts: Parts, tick: Callable[[Tick], None]) -> Iterator[Measured]:
    """Trains the tiles of a program that are not in `parts`, as many at once as there are devices.

    Args:
        plan: which.
        mesh: of `sweep.local_mesh`.
        parts: where tiles are kept.
        tick: told of each segment's replica-steps.
    """
    missing = []
    for tile in plan.tiles:
        arrays = parts.get(plan.program, tile, plan.shape, plan.material.digest)
        if arrays is None:
            missing.append(tile)
        else:
            tick(Tick(plan.program.name, len(tile.seeds) * len(tile.variants) * plan.total_steps, kept=True))
            yield Measured(plan, tile, arrays)
    if not missing:
        return
    trainer = _Trainer(plan, mesh, missing)
    for begin in range(0, len(missing), mesh.size):
        tiles = missing[begin : begin + mesh.size]
        for tile, arrays in zip(tiles, trainer.run(tiles, tick), strict=True):
            parts.put(plan.program, tile, plan.shape, plan.material.digest, arrays)
            yield Measured(plan, tile, arrays)


class _Trainer:
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
            self.group(tiles[: mesh.size]),
            batch_size=plan.program.settings.batch_size,
            rows=plan.rows,
            points=self.points,
        )
        self.compile_seconds = self.executables.compile_seconds
        first = self.group(tiles[: mesh.size])
        self.measuring_seconds = sweep.measuring_seconds(self.executables, self.data, first, rows=plan.rows)

    def group(self, tiles: list[Tile]) -> sweep.Group:
        padded = [*tiles, *[tiles[-1]] * (self.mesh.size - len(tiles))]
        return sweep.shard(self.mesh, assemble.group(self.plan.program, padded, self.plan.shape, self.plan.total_steps))

    def run(self, tiles: list[Tile], tick: Callable[[Tick], None]) -> Iterator[Arrays]:
        plan, settings = self.plan, self.plan.program.settings
        replicas = sum(len(tile.seeds) * len(tile.variants) for tile in tiles)
        done = 0

        def report(progress: sweep.Progress) -> None:
            nonlocal done
            tick(Tick(plan.program.name, replicas * (progress.steps - done), kept=False))
            done = progress.steps

        start = time.perf_counter()
        group, levels = self.group(tiles), assemble.levels(settings)
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


def train_comparison(
    comparison: Comparison,
    plans: list[Plan],
    *,
    parts: Parts | None = None,
    tick: Callable[[Tick], None] = lambda tick: None,
) -> tables.Tables:
    """Every table of a comparison but `summary`: trains what is not in `parts`."""
    mesh = sweep.local_mesh()
    kept = parts or Forgetful()
    return tables.build(comparison, [one for each in plans for one in train_plan(each, mesh, kept, tick)])


def check(plan: Plan) -> None:
    """Traces a program without compiling it: a user's own functions are found, and fit, before anything is trained.

    Raises:
        ConfigError: one of them is not there, cannot be called as ours are, or gives the wrong shape.
    """
    recipe = assemble.recipe(plan.program, plan.material.classes)
    settings = plan.program.settings
    hparams = assemble.hparams(plan.program, settings, plan.total_steps)
    shapes: Any = (
        jax.ShapeDtypeStruct((settings.batch_size, plan.material.features), np.float32),
        jax.ShapeDtypeStruct((settings.batch_size,), np.int32),
    )
    batch = Batch(*shapes)

    def one_step(batch: Batch) -> Any:
        state = train.init_state(jax.random.key(0), recipe, hparams, batch.x)
        return state, train.make_train_step(recipe)(state, batch, hparams)[0]

    own = [
        n
        for n in (settings.optimizer, *plan.program.losses, *plan.program.activations, *plan.program.schedules)
        if is_plugin(n)
    ]
    if not own:
        return
    try:
        before, after = jax.eval_shape(one_step, batch)
    except Exception as error:  # it is the user's code: anything may happen
        raise ConfigError(
            f"{plan.program.name}: {', '.join(own)} cannot be used: {type(error).__name__}: {error}"
        ) from error
    if jax.tree.map(lambda leaf: leaf.shape, before) != jax.tree.map(lambda leaf: leaf.shape, after):
        raise ConfigError(f"{plan.program.name}: {', '.join(own)} changes the shape of the training state")


def gather(each: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of several comparisons, one below the other."""
    return {
        name: pd.concat([part for part in parts if not part.empty] or parts[:1], ignore_index=True)
        for name in each[0]
        if (parts := [tables[name] for tables in each])
    }


def replica_steps(plan: Plan) -> int:
    """How much training a plan is."""
    return len(plan.program.variants) * len(plan.program.seeds) * plan.total_steps


def compare(
    config: Mapping[str, Any], *, name: str = "comparison", data_dir: str | None = None
) -> dict[str, pd.DataFrame]:
    """Trains a comparison and returns its tables, without files.

    Args:
        config: as in a TOML file: `{"base": {...}, "study": [{"name": ..., "grid": {...}}]}`.
        name: stands in the tables as `experiment`.
        data_dir: where to look for data first.

    Returns:
        Tables by name, as in docs/tables.md, `summary` among them.

    Raises:
        ConfigError: whatever is wrong with the config.
        DataError: a data set cannot be found.

    >>> found = compare({"base": {"dataset": "moons", "hidden": [8], "epochs": 1, "seeds": 2},
    ...                  "study": [{"grid": {"optimizer": ["sgd", "adam"]}}]})
    >>> list(found["summary"]["label"])
    ['sgd', 'adam']
    """
    comparison = parse(name, config)
    plans = plan(comparison, load_datasets([comparison], data_dir), platform=jax.default_backend())
    found = train_comparison(comparison, plans).frames
    targets = {name: comparison.target}
    return {**found, "summary": analysis.summarise(found["replicas"], found["history"], targets)}
