"""From a program's settings to what the engine takes: recipes, hyperparameters, arrays of tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcompare.components import models, optimizers, precision
from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import nearest, reason
from jaxcompare.config.settings import OPTION_TABLES, OPTIONS, Settings
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning import contracts, options
from jaxcompare.planning.programs import Program, Tile
from jaxcompare.types import Batch, Hparams

# The factor of the learning rate, from the batch size over the reference batch size.
LEARNING_RATE_RULES: dict[str, Callable[[float], float]] = {
    "fixed": lambda ratio: 1.0,
    "linear": lambda ratio: ratio,
    "square_root": lambda ratio: ratio**0.5,
}


def make_recipe(program: Program) -> train_step.Recipe:
    """Return a program's static choices.

    Raises:
        ConfigError: a custom function is missing, or does not take the options that the config gives.
    """
    settings = program.settings
    model = models.MODELS[settings.model](
        hidden=settings.hidden,
        classes=program.material.classes,
        init=settings.init,
        init_scale=settings.init_scale,
        bias_init=settings.bias_init,
        **{key: getattr(settings, key) for key in names.MODELS[settings.model]},
        remat=settings.remat,
    )
    if program.platform == "cpu":
        # There the gradient is as fast as JAX makes it: with the other one 0.94 to 1.02 times (docs/performance.md).
        model = model._replace(apply_for_gradient=None)
    try:
        recipe = train_step.make_recipe(
            model,
            optimizer=settings.optimizer,
            loss=program.losses,
            activation=program.activations,
            schedule=program.schedules,
            clip=program.clip,
            policy=policy(settings),
            micro_batches=settings.micro_batches,
        )
    except ValueError as error:
        raise ConfigError(f"{program.comparison}: study {program.study!r}: {error}") from error
    if settings.optimizer not in names.OPTIMIZERS:
        _check_options("optimizer", settings.optimizer, recipe.optimizer, program.optimizer_options)
    if program.schedules[0] not in names.SCHEDULES:
        _check_options("schedule", program.schedules[0], recipe.schedules[0], program.schedule_options)
    return _with_static_options(recipe, settings)


def _with_static_options(recipe: train_step.Recipe, settings: Settings) -> train_step.Recipe:
    """Return a recipe whose custom functions have the options that are part of the compiled program.

    A program has a single custom loss, activation or schedule, and no other of its kind beside it.
    """

    def bind(kind: str, functions: tuple) -> tuple:
        static = options.static(settings, kind)
        return tuple(partial(function, **static) for function in functions) if static else functions

    return recipe._replace(
        optimizer=bind("optimizer", (recipe.optimizer,))[0],
        losses=bind("loss", recipe.losses),
        activations=bind("activation", recipe.activations),
        schedules=bind("schedule", recipe.schedules),
    )


def _check_options(kind: str, name: str, function: Any, given: Sequence[str]) -> None:
    taken = optimizers.options_of(function)
    for option in given:
        if option not in taken and not optimizers.takes_any_option(function):
            raise ConfigError(f"{kind} {name!r} has no option {option!r}; {nearest(option, taken)}")


def policy(settings: Settings) -> precision.Policy:
    """Return a variant's precision, with its loss scaling where the precision has one."""
    numbers = [getattr(settings, key) for key in names.LOSS_SCALING]
    return precision.resolve(settings.precision, None if None in numbers else precision.LossScaling(*numbers))


def learning_rate(settings: Settings) -> float:
    """Return the learning rate at the variant's batch size.

    The rate is fixed, in proportion to the batch size (Goyal et al. 2017), or to its square root (Krizhevsky 2014).
    """
    ratio = settings.batch_size / settings.reference_batch_size
    return settings.learning_rate * LEARNING_RATE_RULES[settings.learning_rate_rule](ratio)


def make_hparams(program: Program, settings: Settings) -> Hparams:
    """Return one variant's traced choices, for its program."""

    def number(key: str, kind: str) -> float:
        value = getattr(settings, OPTION_TABLES[kind]).get(key, getattr(settings, key, None))
        if value is not None:
            return value
        # Another variant of the program has this option, this variant's schedule does not: any number will do.
        return next(float(members[key]) for members in OPTIONS["schedule"][0].values() if key in members)

    return train_step.make_hparams(
        learning_rate(settings),
        clip_norm=settings.clip_norm,
        label_smoothing=settings.label_smoothing,
        total_steps=program.total_steps,
        activation=program.activations.index(settings.activation),
        loss=program.losses.index(settings.loss),
        schedule=program.schedules.index(settings.schedule),
        schedule_options={key: number(key, "schedule") for key in program.schedule_options},
        optimizer_options={key: number(key, "optimizer") for key in program.optimizer_options},
        loss_options={key: number(key, "loss") for key in program.loss_options},
        activation_options={key: number(key, "activation") for key in program.activation_options},
    )


def tile_arrays(tile: Tile) -> sweep.Replicas:
    """Return the arrays of a tile, padded to its program's shape by repeating the last seed and variant."""
    program = tile.program
    height, width = program.shape

    def pad(items: Sequence, length: int) -> list:
        return [*items, *[items[-1]] * (length - len(items))]

    def stack(each: Sequence[Any]) -> Any:
        # On the host: a stack on the device would be one more small program to compile for every shape.
        return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *each)

    every = [variant.settings for variant in pad(tile.variants, width)]
    return sweep.Replicas(
        np.asarray(pad(tile.seeds, height), np.int32),
        stack([make_hparams(program, settings) for settings in every]),
        stack([segment.activation_ranges(settings.activation) for settings in every]),
    )


def lowered(program: Program, place: Mesh) -> tuple[Any, Any]:
    """Trace and lower a program's `init` and `train` for a place; nothing is put on the devices."""
    material, settings = program.material, program.settings
    return sweep.lowered(
        make_recipe(program),
        place,
        material.data,
        tile_arrays(program.tiles[0]),
        batch_size=settings.batch_size,
        rows=program.rows,
        matmul_precision=settings.matmul_precision,
    )


def check_custom_functions(program: Program) -> None:
    """Trace the custom functions of a program and a step with them, so that their errors come before any training.

    Raises:
        ConfigError: a custom function is missing, cannot be called as the built-in ones are, or gives the wrong shape.
    """
    recipe, functions = make_recipe(program), program.custom_functions
    if not functions:
        return
    settings = program.settings
    hparams = make_hparams(program, settings)
    shapes: Any = (
        jax.ShapeDtypeStruct((settings.batch_size, *program.material.shape), np.float32),
        jax.ShapeDtypeStruct((settings.batch_size,), np.int32),
    )
    # Without custom functions: their errors are found one by one.
    plain = recipe._replace(optimizer=optimizers.sgd, schedules=(optimizers.constant,))
    first = hparams._replace(optimizer_options={})
    start = jax.eval_shape(lambda x: train_step.init_state(jax.random.key(0), plain, first, x), shapes[0])
    contracts.check_contracts(program, recipe, hparams, start.params)

    def one_step(batch: Batch) -> Any:
        state = train_step.init_state(jax.random.key(0), recipe, hparams, batch.x)
        return state, train_step.make_train_step(recipe)(state, batch, hparams)[0]

    try:
        before, after = jax.eval_shape(one_step, Batch(*shapes))
    except (Exception, SystemExit) as error:  # custom code may raise anything
        raise ConfigError(f"{program.name}: {', '.join(functions)} cannot be used: {reason(error)}") from error
    if jax.tree.map(lambda leaf: leaf.shape, before) != jax.tree.map(lambda leaf: leaf.shape, after):
        raise ConfigError(f"{program.name}: {', '.join(functions)} changes the shape of the training state")
