"""Optimizers and learning rate schedules by name.

An optimizer is a callable `(learning_rate, **options) -> optax.GradientTransformation`. The rate and every option may be
traced numbers: the factory is called inside the step. Optax's aliases fit this signature.

A schedule is a callable `(progress, **options) -> factor`. Progress in [0, 1) is the share of the training that is done,
and the factor multiplies the learning rate. One compiled schedule therefore serves every length and every rate.

A new optimizer or schedule is a row in its registry, and a name with its default options in `config/names.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from jaxcompare.config import registry

Number = float | jax.Array
OptimizerFactory = Callable[..., optax.GradientTransformation]
ScheduleFunction = Callable[..., Any]


def sgd(learning_rate: Number, *, weight_decay: Number = 0.0) -> optax.GradientTransformation:
    """Build stochastic gradient descent.

    The update is -learning_rate * gradient.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        weight_decay: the factor of the parameters that is added to the gradient (L2).

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = sgd(0.1)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.2
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate))


def momentum(
    learning_rate: Number, *, momentum: Number = 0.9, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """Build SGD with heavy-ball momentum (Polyak 1964).

    PyTorch's form: velocity = momentum * velocity + gradient, and the update is -learning_rate * velocity.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        momentum: the factor by which the velocity decays in each step.
        weight_decay: the factor of the parameters that is added to the gradient (L2).

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = momentum(0.1, momentum=0.9)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.2
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum))


def nesterov(
    learning_rate: Number, *, momentum: Number = 0.9, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """Build SGD with Nesterov's momentum (Sutskever et al. 2013).

    The update is -learning_rate * (gradient + momentum * velocity), with the new velocity of `momentum`.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        momentum: the factor by which the velocity decays in each step.
        weight_decay: the factor of the parameters that is added to the gradient (L2).

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = nesterov(0.1, momentum=0.9)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.38
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum, nesterov=True))


def adam(
    learning_rate: Number,
    *,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    epsilon: Number = 1e-8,
    weight_decay: Number = 0.0,
) -> optax.GradientTransformation:
    """Build Adam (Kingma and Ba 2015).

    The implementation is `optax.adam`; both means are corrected for their start at zero.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        beta1: the decay of the mean of the gradients.
        beta2: the decay of the mean of their squares.
        epsilon: added to the root of the mean square; keeps the division finite.
        weight_decay: the factor of the parameters that is added to the gradient (L2).

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = adam(0.1)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.1
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, beta1, beta2, epsilon))


def adamw(
    learning_rate: Number,
    *,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    epsilon: Number = 1e-8,
    weight_decay: Number = 0.01,
) -> optax.GradientTransformation:
    """Build AdamW, Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    The implementation is `optax.adamw`; the decay is scaled by the learning rate.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        beta1: the decay of the mean of the gradients.
        beta2: the decay of the mean of their squares.
        epsilon: added to the root of the mean square; keeps the division finite.
        weight_decay: the factor by which parameters shrink in each step, times the learning rate.

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = adamw(0.1, weight_decay=0.01)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.101
    """
    return optax.adamw(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay)


def rmsprop(
    learning_rate: Number, *, rms_decay: Number = 0.9, epsilon: Number = 1e-8, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """Build RMSProp (Hinton 2012).

    The implementation is `optax.rmsprop`, with epsilon outside the root as in PyTorch.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        rms_decay: the decay of the mean of the squared gradients.
        epsilon: added to the root of the mean square; keeps the division finite.
        weight_decay: the factor of the parameters that is added to the gradient (L2).

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = rmsprop(0.1, rms_decay=0.75)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.2
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.rmsprop(learning_rate, rms_decay, epsilon, eps_in_sqrt=False),
    )


def lion(
    learning_rate: Number, *, beta1: Number = 0.9, beta2: Number = 0.99, weight_decay: Number = 1e-3
) -> optax.GradientTransformation:
    """Build Lion (Chen et al. 2023).

    The implementation is `optax.lion`: the update is the sign of a mean of gradients.

    Args:
        learning_rate: the step size; an update is minus this times the direction.
        beta1: the weight of the old mean where the sign is taken.
        beta2: the decay of the mean of the gradients.
        weight_decay: the factor by which parameters shrink in each step, times the learning rate.

    Returns:
        The Optax transformation; its update is added to the parameters.

    Example:
        >>> optimizer = lion(0.1, weight_decay=0.0)
        >>> update, _ = optimizer.update(jnp.array(2.0), optimizer.init(jnp.array(1.0)), jnp.array(1.0))
        >>> round(float(update), 3)
        -0.1
    """
    return optax.lion(learning_rate, beta1, beta2, weight_decay=weight_decay)


OPTIMIZERS: dict[str, OptimizerFactory] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "lion": lion,
}


def constant(progress: jax.Array) -> jax.Array:
    """Keep the base rate throughout.

    Args:
        progress: [...] in [0, 1), the share of the training that is done.

    Returns:
        [...] the factor of the learning rate.

    Example:
        >>> [round(float(constant(jnp.array(progress))), 3) for progress in (0.0, 0.5, 0.75)]
        [1.0, 1.0, 1.0]
    """
    return jnp.ones_like(progress)


def cosine(progress: jax.Array, *, final_factor: Number = 0.0) -> jax.Array:
    """Follow half a cosine from 1 down to `final_factor` (Loshchilov and Hutter 2017).

    Args:
        progress: [...] in [0, 1), the share of the training that is done.
        final_factor: the factor at the end.

    Returns:
        [...] the factor of the learning rate.

    Example:
        >>> [round(float(cosine(jnp.array(progress))), 3) for progress in (0.0, 0.5, 0.75)]
        [1.0, 0.5, 0.146]
    """
    return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


def warmup_cosine(progress: jax.Array, *, warmup_fraction: Number = 0.1, final_factor: Number = 0.0) -> jax.Array:
    """Rise linearly from 0 to 1, then follow a cosine down to `final_factor`.

    Args:
        progress: [...] in [0, 1), the share of the training that is done.
        warmup_fraction: the share of the training in which the rate rises.
        final_factor: the factor at the end.

    Returns:
        [...] the factor of the learning rate.

    Example:
        >>> [round(float(warmup_cosine(jnp.array(progress), warmup_fraction=0.5)), 3) for progress in (0.0, 0.5, 0.75)]
        [0.0, 1.0, 0.5]
    """
    # The lower limit avoids 0 / 0 for a warm-up of length zero.
    rising = progress / jnp.maximum(warmup_fraction, 1e-6)
    falling = cosine((progress - warmup_fraction) / (1.0 - warmup_fraction), final_factor=final_factor)
    return jnp.where(progress < warmup_fraction, rising, falling)


def step(progress: jax.Array, *, step_interval: Number = 1 / 3, step_factor: Number = 0.1) -> jax.Array:
    """Multiply the rate by `step_factor` after each `step_interval` of the training.

    Args:
        progress: [...] in [0, 1), the share of the training that is done.
        step_interval: the share of the training between two drops.
        step_factor: the factor of each drop.

    Returns:
        [...] the factor of the learning rate.

    Example:
        >>> [round(float(step(jnp.array(progress))), 3) for progress in (0.0, 0.5, 0.75)]
        [1.0, 0.1, 0.01]
    """
    # The margin counters rounding in float32, which could put the first step of an interval into the previous interval: half
    # a unit each for the interval and two divisions on CPU, and two units for a division on GPUs.
    margin = 4 * jnp.finfo(jnp.result_type(progress, 0.0)).eps
    return jnp.asarray(step_factor) ** jnp.floor(progress / step_interval * (1 + margin))


def linear(progress: jax.Array, *, final_factor: Number = 0.0) -> jax.Array:
    """Fall along a straight line from 1 down to `final_factor`.

    Args:
        progress: [...] in [0, 1), the share of the training that is done.
        final_factor: the factor at the end.

    Returns:
        [...] the factor of the learning rate.

    Example:
        >>> [round(float(linear(jnp.array(progress))), 3) for progress in (0.0, 0.5, 0.75)]
        [1.0, 0.5, 0.25]
    """
    return 1.0 + (final_factor - 1.0) * progress


SCHEDULES: dict[str, ScheduleFunction] = {
    "constant": constant,
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "step": step,
    "linear": linear,
}


def resolve_optimizer(name: str | OptimizerFactory) -> OptimizerFactory:
    """Return the optimizer called `name`.

    Args:
        name: a key of `OPTIMIZERS`, or `"package.module:attribute"` for a custom optimizer, or the function itself.

    Returns:
        A factory `(learning_rate, **options) -> optax.GradientTransformation`.

    Raises:
        ValueError: the name is unknown, or what it names cannot be imported or called.

    Example:
        >>> resolve_optimizer("optax:adam") is optax.adam
        True
    """
    return registry.resolve(name, OPTIMIZERS, "optimizer")


def resolve_schedule(name: str | ScheduleFunction) -> ScheduleFunction:
    """Return the schedule called `name`.

    Args:
        name: a key of `SCHEDULES`, or `"package.module:attribute"` for a custom schedule, or the function itself.

    Returns:
        A function `(progress, **options) -> factor`.

    Raises:
        ValueError: the name is unknown, or what it names cannot be imported or called.

    Example:
        >>> resolve_schedule("cosine") is cosine
        True
    """
    return registry.resolve(name, SCHEDULES, "schedule")


def evaluation_params_of(factory: OptimizerFactory, opt_state: Any) -> Callable[[Any, Any], Any] | None:
    """Return the function (opt_state, params) -> params of an optimizer that is evaluated at other parameters; else None.

    Args:
        factory: the optimizer; its attribute `evaluation_params` is the function, through `functools.partial` too.
        opt_state: its state; that of Optax's schedule-free optimizers says enough.
    """
    while isinstance(factory, functools.partial) and not hasattr(factory, "evaluation_params"):
        factory = factory.func
    if isinstance(opt_state, optax.contrib.ScheduleFreeState):
        return getattr(factory, "evaluation_params", optax.contrib.schedule_free_eval_params)
    return getattr(factory, "evaluation_params", None)


def options_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the options of an optimizer or a schedule: its arguments after the first.

    >>> options_of(momentum)
    ('momentum', 'weight_decay')
    """
    named = [one for one in _parameters(function)[1:] if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return tuple(one.name for one in named)


NEEDED = inspect.Parameter.empty  # in place of the default that an option lacks


def defaults_of(function: Callable[..., Any], arguments: int = 1) -> dict[str, Any] | None:
    """Return a function's options with their defaults, or None where the function takes options of any name.

    Args:
        function: an optimizer, schedule, loss or activation.
        arguments: the number of arguments before the options.

    Example:
        >>> defaults_of(momentum)
        {'momentum': 0.9, 'weight_decay': 0.0}
    """
    if takes_any_option(function):
        return None
    named = _parameters(function)[arguments:]
    return {one.name: one.default for one in named if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def bound(functions: Sequence[Callable[..., Any]], options: Mapping[str, Any]) -> list[Callable[..., Any]]:
    """Return functions with the options that each has; functions stay as they are where there are no options."""

    def bind(function: Callable[..., Any]) -> Callable[..., Any]:
        known = options if takes_any_option(function) else options_of(function)
        given = {name: value for name, value in options.items() if name in known}
        return functools.partial(function, **given) if given else function

    return [bind(function) for function in functions] if options else list(functions)


def takes_any_option(function: Callable[..., Any]) -> bool:
    """Return whether a function takes options of any name, `**options`, or does not say which options it takes.

    >>> takes_any_option(momentum), takes_any_option(lambda rate, **options: optax.sgd(rate))
    (False, True)
    """
    parameters = _parameters(function)
    return not parameters or any(one.kind is one.VAR_KEYWORD for one in parameters)


def first_argument(function: Callable[..., Any]) -> str:
    """Return the name of a function's first argument, empty where the function does not say.

    >>> first_argument(cosine)
    'progress'
    """
    return next((one.name for one in _parameters(function)), "")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # written in C, say
        return []
