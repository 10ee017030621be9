"""Sizes of gradients, parameters and updates by layer, and underflow of gradients in half precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import over_layers
from jaxcompare.types import Metrics, Observation, Params


def tree_norm(tree: Params) -> jax.Array:
    """Compute the Euclidean norm over all leaves of a tree.

    Args:
        tree: arrays of any shapes.

    Returns:
        [] the norm.

    Example:
        >>> float(tree_norm({"kernel": jnp.array([3.0]), "bias": jnp.array([4.0])}))
        5.0
    """
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


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
        in the narrow type; NaN where all entries are zero in full precision.

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
        return {"gradient_underflow": jnp.where(nonzero > 0, lost / nonzero, jnp.nan)}

    return over_layers(share, full, narrow)
