"""Sizes of gradients, parameters and updates by layer, and underflow of gradients in half precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import over_layers
from jaxcompare.types import Metrics, Observation, Params


def tree_norm(tree: Params) -> jax.Array:
    """Compute the Euclidean norm over all leaves of a tree, however small or large its entries are.

    Args:
        tree: arrays of any shapes.

    Returns:
        [] the norm. Infinite where an entry is infinite, or the norm itself is too large for its type; NaN where an entry is.

    Example:
        >>> float(tree_norm({"kernel": jnp.array([3.0]), "bias": jnp.array([4.0])}))
        5.0
        >>> float(tree_norm(jnp.array([2.0**-90, 0.0]))) == 2.0**-90  # its square is below every float32
        True
    """
    unit, norm = scaled_norm(tree)
    return unit * norm


def scaled_norm(tree: Params) -> tuple[jax.Array, jax.Array]:
    """Compute the Euclidean norm of a tree as a power of two, and the norm in units of that power.

    Squares of entries below 1e-19 or above 1e19 leave the range of float32. Divided by a power of two near the largest entry,
    no square that matters does, and the bits of other norms stay as they are (Blue 1978, "A portable Fortran program to find
    the Euclidean norm of a vector").

    Args:
        tree: arrays of any shapes.

    Returns:
        The unit [] and the norm over the unit [].

    Example:
        >>> unit, norm = scaled_norm(jnp.array([3e20, 4e20]))
        >>> float(norm) < 2.0, round(float(unit) * float(norm) / 1e20, 5)
        (True, 5.0)
    """
    leaves = [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in jax.tree.leaves(tree)]
    unit = power_of_two(*leaves)
    return unit, jnp.sqrt(sum(jnp.sum(jnp.square(leaf * (1.0 / unit))) for leaf in leaves))


def power_of_two(*arrays: jax.Array) -> jax.Array:
    """Return the power of two [] nearest to the largest absolute value, such that the power and its inverse are finite."""
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(array), initial=0.0) for array in arrays]))
    limits = jnp.finfo(largest.dtype)
    largest = jnp.clip(largest, limits.smallest_normal, 1.0 / limits.smallest_normal)
    return jax.lax.reduce_precision(largest, exponent_bits=limits.nexp, mantissa_bits=0)


def gradient_flow(observation: Observation) -> Metrics:
    """Compute the norms of gradients, parameters and updates by layer, weights and biases together.

    Args:
        observation: parameters, gradients and updates by layer, on a batch.

    Returns:
        A dict of arrays [L], first layer to last:

        - `gradient_norm`, `parameter_norm`: Euclidean norms.
        - `update_ratio`: the norm of the next update over the norm of the parameters. About 1e-3 is healthy for most
          networks (Karpathy's rule of thumb).

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> layer = {"output": {"kernel": jnp.array([2.0])}}
        >>> update = jax.tree.map(lambda leaf: 0.1 * leaf, layer)
        >>> round(float(gradient_flow(Observation(layer, layer, update, {}))["update_ratio"][0]), 3)
        0.1
    """

    def norms(params: Params, gradients: Params, updates: Params) -> Metrics:
        norm = tree_norm(params)
        return {
            "gradient_norm": tree_norm(gradients),
            "parameter_norm": norm,
            "update_ratio": tree_norm(updates) / norm,
        }

    return over_layers(norms, observation.params, observation.gradients, observation.updates)


def underflow(full: Params, narrow: Params) -> Metrics:
    """Compute the share of gradient entries that a narrow type loses to zero, by layer.

    Args:
        full: gradients in full precision, by layer.
        narrow: gradients in the narrow type, of the same batch, after loss scaling is undone.

    Returns:
        A dict with `gradient_underflow` [L]: among the entries that are not zero in full precision, the share of zeros
        in the narrow type. NaN where all entries are zero in full precision, or an entry of the narrow type is not finite.

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> full = {"output": {"kernel": jnp.array([1.0, 1e-9])}}
        >>> narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), full)
        >>> underflow(full, narrow)["gradient_underflow"].tolist()
        [0.5]
    """

    def share(full: Params, narrow: Params) -> Metrics:
        pairs = list(zip(jax.tree.leaves(full), jax.tree.leaves(narrow), strict=True))
        nonzero = sum(jnp.sum(exact != 0.0) for exact, _ in pairs)
        lost = sum(jnp.sum((exact != 0.0) & (rounded == 0.0)) for exact, rounded in pairs)
        measured = (nonzero > 0) & jnp.all(jnp.stack([jnp.all(jnp.isfinite(rounded)) for _, rounded in pairs]))
        return {"gradient_underflow": jnp.where(measured, lost / nonzero, jnp.nan)}

    return over_layers(share, full, narrow)
