"""OPTIMIZERS and SCHEDULES: name -> factory.

An optimizer is a callable `(learning_rate, **options) -> optax.GradientTransformation`; the rate and every option may be
traced numbers, so the factory is called inside the step. Optax's aliases fit as they are. A schedule is a callable
`(progress, **options) -> factor`, where progress in [0, 1) is the share of the training that is done and the factor
multiplies the learning rate: the same schedule serves any length and any rate without another compilation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxcompare.config import registry

Number = float | jax.Array
OptimizerFactory = Callable[..., optax.GradientTransformation]
ScheduleFunction = Callable[..., Any]


def sgd(learning_rate: Number, *, weight_decay: Number = 0.0) -> optax.GradientTransformation:
    """Stochastic gradient descent; decay is coupled (L2)."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate))


def momentum(
    learning_rate: Number, *, momentum: Number = 0.9, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """SGD with heavy-ball momentum, velocity = momentum * velocity + gradient (Polyak 1964, in PyTorch's form)."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum))


def nesterov(
    learning_rate: Number, *, momentum: Number = 0.9, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """SGD with Nesterov's momentum (Sutskever et al. 2013)."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum, nesterov=True))


def adam(
    learning_rate: Number,
    *,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    epsilon: Number = 1e-8,
    weight_decay: Number = 0.0,
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015); decay is coupled (L2)."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, beta1, beta2, epsilon))


def adamw(
    learning_rate: Number,
    *,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    epsilon: Number = 1e-8,
    weight_decay: Number = 0.01,
) -> optax.GradientTransformation:
    """Adam with decoupled decay, scaled by the learning rate (Loshchilov and Hutter 2019)."""
    return optax.adamw(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay)


def rmsprop(
    learning_rate: Number, *, rms_decay: Number = 0.9, epsilon: Number = 1e-8, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """RMSProp (Hinton 2012), epsilon outside the root as in PyTorch; decay is coupled (L2)."""
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.rmsprop(learning_rate, rms_decay, epsilon, eps_in_sqrt=False),
    )


def lion(
    learning_rate: Number, *, beta1: Number = 0.9, beta2: Number = 0.99, weight_decay: Number = 1e-3
) -> optax.GradientTransformation:
    """Lion (Chen et al. 2023); decay is decoupled."""
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
    """The base rate throughout."""
    return jnp.ones_like(progress)


def cosine(progress: jax.Array, *, final_factor: Number = 0.0) -> jax.Array:
    """Half a cosine from 1 down to `final_factor` (Loshchilov and Hutter 2017)."""
    return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


def warmup_cosine(progress: jax.Array, *, warmup_fraction: Number = 0.1, final_factor: Number = 0.0) -> jax.Array:
    """Linear from 0 to 1 over the first `warmup_fraction`, then a cosine down to `final_factor`."""
    # The floor keeps a warm-up of no length from dividing zero by zero.
    rising = progress / jnp.maximum(warmup_fraction, 1e-6)
    falling = cosine((progress - warmup_fraction) / (1.0 - warmup_fraction), final_factor=final_factor)
    return jnp.where(progress < warmup_fraction, rising, falling)


def step(progress: jax.Array, *, step_interval: Number = 1 / 3, step_factor: Number = 0.1) -> jax.Array:
    """Multiplied by `step_factor` after each `step_interval` of the training."""
    # Without the margin, rounding in float32 would put a step that starts an interval into the one before.
    return jnp.asarray(step_factor) ** jnp.floor(progress / step_interval + 1e-5)


def linear(progress: jax.Array, *, final_factor: Number = 0.0) -> jax.Array:
    """A straight line from 1 down to `final_factor`."""
    return 1.0 + (final_factor - 1.0) * progress


SCHEDULES: dict[str, ScheduleFunction] = {
    "constant": constant,
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "step": step,
    "linear": linear,
}


def resolve_optimizer(name: str) -> OptimizerFactory:
    """The optimizer called `name`, built in or `"package.module:attribute"` (`"optax:adam"`, say)."""
    return registry.resolve(name, OPTIMIZERS, "optimizer")


def resolve_schedule(name: str) -> ScheduleFunction:
    """The schedule called `name`, built in or `"package.module:attribute"`."""
    return registry.resolve(name, SCHEDULES, "schedule")


def options_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The options that an optimizer or a schedule takes: its arguments after the first."""
    return tuple(inspect.signature(function).parameters)[1:]
