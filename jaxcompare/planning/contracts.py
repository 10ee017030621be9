"""What the engine expects of custom losses, activations, optimizers and schedules, checked on shapes before any training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcompare.components import optimizers
from jaxcompare.config.errors import ConfigError, every
from jaxcompare.config.registry import is_plugin, reason
from jaxcompare.engine import train_step
from jaxcompare.planning.programs import Program
from jaxcompare.types import Hparams

# First arguments by which a schedule of steps is known; a schedule here gets the progress from 0 to 1.
STEP_COUNTS = ("count", "counts", "iteration", "step", "step_count", "step_num", "step_number", "steps")


def check_contracts(program: Program, recipe: train_step.Recipe, hparams: Hparams, params: Any) -> None:
    """Check each custom function of a program by itself, so that the error names the function.

    Args:
        program: with the functions' names.
        recipe: with the functions.
        hparams: of one of the program's variants.
        params: shapes of the network's parameters.

    Raises:
        ConfigError: a line for each function that raises, or that gives what the engine cannot use.
    """
    classes, units = program.material.classes, program.settings.hidden[0]
    kind = recipe.policy.compute or np.float32
    checks: list[tuple[str, str, Callable[[], str]]] = []
    for name, function in _custom(program.losses, recipe.losses):
        checks.append(("loss", name, partial(_loss_fault, function, hparams.loss_options, classes)))
    for name, function in _custom(program.activations, recipe.activations):
        checks.append(
            ("activation", name, partial(_activation_fault, function, hparams.activation_options, units, kind))
        )
    for name, function in _custom(program.schedules, recipe.schedules):
        checks.append(("schedule", name, partial(_schedule_fault, function, hparams.schedule_options)))
    for name, function in _custom([program.settings.optimizer], [recipe.optimizer]):
        checks.append(("optimizer", name, partial(_optimizer_fault, function, hparams, params)))

    def check(kind: str, name: str, fault: Callable[[], str]) -> None:
        where = f"{program.comparison}: study {program.study!r}: {kind} = {name!r}"
        try:
            found = fault()
        except (Exception, SystemExit) as error:  # custom code may raise anything
            raise ConfigError(f"{where}: {name} cannot be used: {reason(error)}") from error
        if found:
            raise ConfigError(f"{where} {found}")

    every(lambda one: check(*one), checks)


def _custom(names: Iterable[str], functions: Iterable[Callable]) -> list[tuple[str, Callable]]:
    return [(name, function) for name, function in zip(names, functions, strict=True) if is_plugin(name)]


def _loss_fault(function: Callable, options: dict[str, jax.Array], classes: int) -> str:
    """Say what a loss gives, where it is not one number for each example; else nothing."""
    examples = classes + 3  # another number than that of the classes, so that the axes are distinct
    logits = jax.ShapeDtypeStruct((examples, classes), np.float32)
    if missing := _missing(function, options, arguments=2):
        return missing
    (function,) = optimizers.bound([function], options)
    result = jax.eval_shape(function, logits, logits)
    if _is_number(result, (examples,)):
        return ""
    wanted = f"it must give a number for each example, [{examples}]"
    hints: dict[Any, str] = {
        (): "; leave out the mean over the batch",
        (examples, classes): "; take the mean or sum over the classes",
    }
    return (
        f"gives {_shown(result)} for {examples} examples of {classes} classes; {wanted}{hints.get(_shape(result), '')}"
    )


def _activation_fault(function: Callable, options: dict[str, jax.Array], units: int, kind: Any) -> str:
    """Say what an activation gives, where it is not the shape and type of its argument; else nothing."""
    given = jax.ShapeDtypeStruct((units + 3, units), kind)
    if missing := _missing(function, options):
        return missing
    (function,) = optimizers.bound([function], options)
    result = jax.eval_shape(function, given)
    if _shape(result) == given.shape and result.dtype == given.dtype:
        return ""
    return (
        f"gives {_shown(result)} for {_shown(given)}; it must be elementwise, with the shape and type of its argument"
    )


def _schedule_fault(function: Callable, options: dict[str, jax.Array]) -> str:
    """Say why a schedule is not a factor of the progress; else nothing."""
    if (
        optimizers.first_argument(function) in STEP_COUNTS
        or (getattr(function, "__module__", None) or "").partition(".")[0] == "optax"
    ):
        return (
            "expects a count of steps; it must be a function (progress, **options) -> factor of the progress from 0 to 1 "
            "(call a schedule of N steps with progress * N)"
        )
    if missing := _missing(function, options):
        return missing
    (function,) = optimizers.bound([function], options)
    progress = jax.ShapeDtypeStruct((), np.float32)
    results: list[Any] = []

    def call(progress: jax.Array) -> Any:
        results.append(function(progress))
        return None if callable(results[0]) else results[0]

    result = jax.eval_shape(call, progress)
    if callable(results[0]):
        return "gives a function for a progress; it must give a number, the factor of the learning rate"
    if _is_number(result, ()):
        return ""
    return f"gives {_shown(result)} for a progress []; it must give a number [], the factor of the learning rate"


def _optimizer_fault(factory: Callable, hparams: Hparams, params: Any) -> str:
    """Say why an optimizer cannot update parameters of these shapes; else nothing."""
    if missing := _missing(factory, hparams.optimizer_options):
        return missing
    faults: list[str] = []

    def update(params: Any, learning_rate: jax.Array) -> Any:
        made = factory(learning_rate, **hparams.optimizer_options)
        if not callable(getattr(made, "init", None)) or not callable(getattr(made, "update", None)):
            faults.append(
                f"gives {type(made).__name__} for a learning rate; it must give an optax.GradientTransformation"
            )
            return None
        state = made.init(params)
        asked = {"value": jnp.float32(0), "grad": params, "value_fn": _sum_of_squares}
        updates, after = optax.with_extra_args_support(made).update(params, state, params, **asked)
        read = optimizers.evaluation_params_of(factory, state)
        return state, updates, after, params if read is None else read(state, params)

    result = jax.eval_shape(update, params, hparams.learning_rate)
    if faults:
        return faults[0]
    before, updates, after, evaluated = result
    return (
        _difference("updates", "parameters", updates, params)
        or _difference("state", "state before", after, before)
        or _difference("evaluation_params", "parameters", evaluated, params)
    )


def _sum_of_squares(params: Any) -> jax.Array:
    """Compute a number from parameters, in place of the loss."""
    return jnp.sum(jnp.stack([jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)]))


def _missing(function: Callable, given: Iterable[str], arguments: int = 1) -> str:
    """Say which options have no default and no value; else nothing."""
    defaults = optimizers.defaults_of(function, arguments) or {}
    lacking = [key for key, default in defaults.items() if default is optimizers.NEEDED and key not in given]
    return f"needs its option {lacking[0]!r}, which has no default" if lacking else ""


def _difference(what: str, other: str, found: Any, wanted: Any) -> str:
    """Say where a tree of arrays differs from the wanted tree in structure, shape or type; else nothing."""
    structures: list[Any] = [jax.tree.structure(tree) for tree in (found, wanted)]
    if structures[0] != structures[1]:
        return f"gives {what} of another structure than the {other}; it must keep the structure"
    pairs = zip(jax.tree.leaves_with_path(found), jax.tree.leaves(wanted), strict=True)
    for (path, leaf), other_leaf in pairs:
        if (leaf.shape, leaf.dtype) != (other_leaf.shape, other_leaf.dtype):
            place = jax.tree_util.keystr(path, simple=True, separator=".")
            return f"gives {what} {_shown(leaf)} at {place!r}; it must be {_shown(other_leaf)}, as the {other}"
    return ""


def _is_number(result: Any, shape: tuple[int, ...]) -> bool:
    return _shape(result) == shape and np.issubdtype(result.dtype, np.inexact)


def _shape(result: Any) -> tuple[int, ...] | None:
    return getattr(result, "shape", None)


def _shown(result: Any) -> str:
    """Return an array's type and shape, `float32 [7, 4]`; of anything else its kind."""
    return f"{result.dtype} {list(result.shape)}" if hasattr(result, "dtype") else f"a {type(result).__name__}"
