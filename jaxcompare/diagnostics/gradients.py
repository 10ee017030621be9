"""How large gradients, parameters and updates are, layer by layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import over_layers
from jaxcompare.types import Metrics, Observation, Params


def tree_norm(tree: Params) -> jax.Array:
    """The Euclidean norm over all leaves of a tree: []."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def gradient_flow(observation: Observation) -> Metrics:
    """Norms by layer, weights and biases together.

    Returns:
        Each [L], first layer to last: `gradient_norm`; `parameter_norm`; `update_ratio`, the norm of the next update over
        that of the parameters (about 1e-3 is healthy for most networks, after Karpathy's rule of thumb).
    """

    def norms(params: Params, gradients: Params, updates: Params) -> Metrics:
        norm = tree_norm(params)
        return {
            "gradient_norm": tree_norm(gradients),
            "parameter_norm": norm,
            "update_ratio": tree_norm(updates) / norm,
        }

    return over_layers(norms, observation.params, observation.gradients, observation.updates)


def underflow(expected: Params, found: Params) -> Metrics:
    """What a narrow type loses of the gradients to zero.

    Args:
        expected: gradients in full precision.
        found: those of the narrow type, of the same batch, after any scaling is undone.

    Returns:
        `gradient_underflow` [L]: of the entries that are not zero in full precision, the share that is zero in the narrow
        type; NaN where there are none.
    """

    def share(expected: Params, found: Params) -> Metrics:
        pairs = list(zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True))
        there = sum(jnp.sum(full != 0.0) for full, _ in pairs)
        lost = sum(jnp.sum((full != 0.0) & (narrow == 0.0)) for full, narrow in pairs)
        return {"gradient_underflow": jnp.where(there > 0, lost / there, jnp.nan)}

    return over_layers(share, expected, found)
