"""What a comparison's programs need before they are compiled: data, tiles, steps; and whether they can be trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcompare import data as datasets
from jaxcompare.config.experiment import Comparison
from jaxcompare.config.settings import ConfigError
from jaxcompare.data.loading import data_key
from jaxcompare.engine import sweep, train_step
from jaxcompare.planning import assemble, memory
from jaxcompare.planning.programs import Program, Tile, operations, programs_of, split_by, tile_shape, tiles_of
from jaxcompare.types import Batch

# What a step of a replica is reckoned to take on one CPU core: operations at this rate, and something besides. Measured on
# two cores (docs/performance.md); elsewhere a rough guide, and the proportion between programs is what progress needs.
CORE_OPERATIONS_A_SECOND = 65e9
STEP_SECONDS = 1.5e-4
# Where one seed of a program takes so many seconds on a CPU core, each activation has a program of its own: under vmap a choice
# between three is computed three times, and a tenth to a fifth of the time pays for two more compilations. A seed's, so that
# more seeds change nothing. Other kinds of device: not measured.
SECONDS_TO_SPLIT = {"cpu": 2.0}
STEPS_A_SEGMENT = 400  # of tiny epochs so many are one segment, so that they do not each cost a call


@dataclass(frozen=True)
class Plan:
    """One program with all that is known before it is compiled."""

    program: Program
    material: assemble.Material
    shape: tuple[int, int]
    tiles: tuple[Tile, ...]
    steps_per_epoch: int
    footprint: memory.Footprint | None = None  # once it is known to fit
    wider: Plan | None = None  # the plan of which this is the next smaller

    @property
    def replicas(self) -> int:
        """Of a tile."""
        return self.shape[0] * self.shape[1]

    @property
    def total_steps(self) -> int:
        """Of one replica."""
        return self.program.settings.epochs * self.steps_per_epoch

    @property
    def rows(self) -> int:
        """Epochs' ends that one segment can measure."""
        return max(1, min(self.program.settings.epochs, STEPS_A_SEGMENT // self.steps_per_epoch))


def plan(
    comparison: Comparison,
    loaded: Mapping[tuple, datasets.Dataset],
    *,
    platform: str,
    tile_replicas: int | None = None,
) -> list[Plan]:
    """A comparison's programs with their data and tiles.

    Raises:
        ConfigError: a batch larger than the training set.
    """
    plans: list[Plan] = []
    materials: dict[tuple, assemble.Material] = {}  # programs share theirs
    for program in programs_of(comparison):
        settings = program.settings
        key = tuple(getattr(settings, name) for name in assemble.MATERIAL)
        if key not in materials:
            try:
                materials[key] = assemble.material(loaded[data_key(settings)], settings)
            except datasets.DataError as error:
                fraction = f"validation_fraction = {settings.validation_fraction:g}"
                raise ConfigError(f"{comparison.name}: study {program.study!r}: {fraction}: {error}") from error
        material = materials[key]
        size = len(material.data.train.y)
        if settings.batch_size > size:
            raise ConfigError(
                f"{comparison.name}: study {program.study!r}: batch_size = {settings.batch_size} is more than the {size} "
                f"training examples of {settings.dataset}; it must be at most {size}"
            )
        limit = tile_replicas or assemble.tile_replicas(settings, material.features, material.classes, platform)
        made = partial(_cut, material=material, limit=limit, at_once=assemble.TILES_AT_ONCE.get(platform, 1))
        whole = made(program)
        a_seed = plan_seconds(whole) / len(program.seeds)
        if len(program.activations) > 1 and a_seed > SECONDS_TO_SPLIT.get(platform, math.inf):
            plans += [made(part) for part in split_by(program, "activation")]
        else:
            plans.append(whole)
    return plans


def _cut(program: Program, *, material: assemble.Material, limit: int, at_once: int) -> Plan:
    shape = tile_shape(len(program.variants), len(program.seeds), limit, at_once=at_once)
    steps_per_epoch = len(material.data.train.y) // program.settings.batch_size
    return Plan(program, material, shape, tuple(tiles_of(program, shape)), steps_per_epoch)


def lower(plan: Plan, *, data: int = 1) -> Plan | None:
    """The plan with half as large a tile; if that is one replica, with twice as many micro-batches; else None.

    Args:
        plan: what does not fit.
        data: devices that share a tile, and so each micro-batch.
    """
    program, shape = plan.program, memory.halve(plan.shape)
    if shape is None:
        shape, count = plan.shape, 2 * program.settings.micro_batches
        if program.settings.batch_size % (count * data):
            return None
        variants = tuple(
            replace(variant, settings=replace(variant.settings, micro_batches=count)) for variant in program.variants
        )
        program = replace(program, variants=variants)
    tiles = tuple(tiles_of(program, shape))
    return replace(plan, program=program, shape=shape, tiles=tiles, footprint=None, wider=plan)


def recut(tile: Tile, plan: Plan) -> list[Tile]:
    """A tile of a wider plan as tiles of this one."""
    own = {variant.variant_id: variant for variant in plan.program.variants}
    variants = tuple(own[variant.variant_id] for variant in tile.variants)
    return tiles_of(replace(plan.program, seeds=tile.seeds, variants=variants), plan.shape)


def widest_first(plan: Plan) -> list[Plan]:
    """The plans that led to this one, and this one."""
    return [*(widest_first(plan.wider) if plan.wider else []), plan]


def blueprint(plan: Plan, mesh: Mesh) -> sweep.Blueprint:
    """What a plan's tiles are compiled from, as many of them side by side as the mesh takes; on the host."""
    program, material = plan.program, plan.material
    tile = Tile(program.seeds[: plan.shape[0]], program.variants[: plan.shape[1]])
    return sweep.Blueprint(
        assemble.recipe(program, material.classes),
        mesh,
        material.data,
        assemble.group(program, [tile] * sweep.tiles_at_once(mesh), plan.shape, plan.total_steps),
        batch_size=program.settings.batch_size,
        rows=plan.rows,
        matmul_precision=program.settings.matmul_precision,
    )


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
        state = train_step.init_state(jax.random.key(0), recipe, hparams, batch.x)
        return state, train_step.make_train_step(recipe)(state, batch, hparams)[0]

    own = plan.program.own_functions
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


def replica_steps(plan: Plan) -> int:
    """How much training a plan is."""
    return len(plan.program.variants) * len(plan.program.seeds) * plan.total_steps


def step_seconds(plan: Plan) -> float:
    """About how long one step of one replica takes on one CPU core, measurements and all."""
    work = operations(plan.program.settings, plan.material.features, plan.material.classes)
    return 6 * work * plan.program.settings.batch_size / CORE_OPERATIONS_A_SECOND + STEP_SECONDS


def plan_seconds(plan: Plan) -> float:
    """About how long a plan's training takes on one CPU core."""
    return replica_steps(plan) * step_seconds(plan)
