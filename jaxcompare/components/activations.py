"""ACTIVATIONS: name -> function, elementwise, any shape; and what is known of their ranges."""

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

# The ends of the bounded ones' ranges: a unit near an end is saturated.
BOUNDS: dict[str, tuple[float, float]] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}

# Those that are zero over a whole range of inputs, so that a unit can be dead.
CAN_BE_ZERO = ("relu",)

# Where histograms of the activations have their bins; what falls outside is counted apart. One range an activation
# for all layers, seeds and epochs, so that counts add up without being kept.
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
GRADIENT_RANGE = (-10.0, 2.0)  # of log10 of a gradient's absolute entries
DEFAULT_RANGE = (-6.0, 6.0)  # for a user's own


def resolve(name: str) -> ActivationFunction:
    """The activation called `name`, built in or `"package.module:attribute"`."""
    return registry.resolve(name, ACTIVATIONS, "activation")


def select(index: jax.Array, functions: Sequence[Callable[..., jax.Array]], *arguments: jax.Array) -> jax.Array:
    """`functions[index](*arguments)` for a traced index, as one fused expression.

    Under vmap a `lax.switch` computes every branch and copies each into place; nested selects compute the same and fuse.
    A single function is called as it is.

    Args:
        index: [] int32.
        functions: all of one signature and result shape.
        *arguments: passed to each.
    """
    result = functions[0](*arguments)
    for position, function in enumerate(functions[1:], start=1):
        result = jnp.where(index == position, function(*arguments), result)
    return result
