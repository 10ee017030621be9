"""Activation functions by name, with their bounds and the ranges of their histograms.

An activation is elementwise: it takes an array of any shape and returns one of the same shape.
A new activation is a row in `ACTIVATIONS` and in `HISTOGRAM_RANGES`, and a name in `config/names.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp

from jaxcompare.config import registry

ActivationFunction = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, ActivationFunction] = {
    "relu": jax.nn.relu,
    "leaky_relu": partial(jax.nn.leaky_relu, negative_slope=0.01),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "mish": jax.nn.mish,
}

# Lower and upper bound of each bounded activation: a unit near a bound is saturated.
BOUNDS: dict[str, tuple[float, float]] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}

# Activations that are zero over a whole range of inputs: only their units can be dead.
CAN_BE_ZERO = ("relu",)

# Range of each activation's histogram; values outside are counted below or above it. All layers, seeds and epochs share
# an activation's range, which lets counts be added without keeping the values.
HISTOGRAM_RANGES: dict[str, tuple[float, float]] = {
    "relu": (0.0, 6.0),
    "leaky_relu": (-0.5, 5.5),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "gelu": (-0.5, 5.5),
    "silu": (-0.5, 5.5),
    "elu": (-1.0, 5.0),
    "mish": (-0.5, 5.5),
}
PRE_ACTIVATION_RANGE = (-6.0, 6.0)
GRADIENT_RANGE = (-10.0, 2.0)  # of log10 of the absolute gradient entries
DEFAULT_RANGE = (-6.0, 6.0)  # for custom activations


def resolve(name: str | ActivationFunction) -> ActivationFunction:
    """Return the activation called `name`.

    Args:
        name: a key of `ACTIVATIONS`, or `"package.module:attribute"` for a custom activation, or the function itself.

    Returns:
        An elementwise function of one array.

    Raises:
        ValueError: the name is unknown, or what it names cannot be imported or called.

    Example:
        >>> resolve("relu")(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
        >>> resolve("jax.numpy:sin") is jnp.sin
        True
    """
    return registry.resolve(name, ACTIVATIONS, "activation")


def select(index: jax.Array, functions: Sequence[Callable[..., jax.Array]], *arguments: jax.Array) -> jax.Array:
    """Compute `functions[index](*arguments)` for a traced index, as one fused expression.

    Under `vmap` a `lax.switch` computes every branch and copies each result into place.
    Nested selects compute the same values, and XLA fuses them. A single function is called directly.

    Args:
        index: [] int32, the position of the function in `functions`.
        functions: functions of one signature and one result shape.
        *arguments: the arguments of each function.

    Returns:
        The result of the selected function.

    Example:
        >>> select(jnp.array(1), [jnp.sin, jnp.square], jnp.array([2.0, 3.0])).tolist()
        [4.0, 9.0]
    """
    result = functions[0](*arguments)
    for position, function in enumerate(functions[1:], start=1):
        result = jnp.where(index == position, function(*arguments), result)
    return result
