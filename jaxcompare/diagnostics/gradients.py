"""How large gradients, parameters and updates are, layer by layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.types import Metrics, Observation, Params


def layer_names(params: Params) -> tuple[str, ...]:
    """The layers first to last, `output` at the end (a dict that has been through `jit` is sorted by key).

    >>> layer_names({"hidden_10": 0, "hidden_2": 0, "output": 0})
    ('hidden_2', 'hidden_10', 'output')
    >>> layer_names({"hidden_1": 0, "conv_1": 0, "conv_2": 0, "output": 0})
    ('conv_1', 'conv_2', 'hidden_1', 'output')
    """

    def position(name: str) -> tuple[bool, str, int]:
        kind, _, digits = name.rpartition("_")  # convolutions come before dense layers, as their names do
        return name == "output", kind, int(digits) if digits.isdigit() else 0

    return tuple(sorted(params, key=position))


def tree_norm(tree: Params) -> jax.Array:
    """The Euclidean norm over all leaves of a tree: []."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def gradient_flow(observation: Observation) -> Metrics:
    """Norms by layer, weights and biases together.

    Returns:
        Each [L], first layer to last: `gradient_norm`; `parameter_norm`; `update_ratio`, the norm of the next update over
        that of the parameters (about 1e-3 is healthy for most networks, after Karpathy's rule of thumb).
    """
    names = layer_names(observation.params)

    def norms(tree: Params) -> jax.Array:
        return jnp.stack([tree_norm(tree[name]) for name in names])

    parameter_norm = norms(observation.params)
    return {
        "gradient_norm": norms(observation.gradients),
        "parameter_norm": parameter_norm,
        "update_ratio": norms(observation.updates) / parameter_norm,
    }


def underflow(expected: Params, found: Params) -> Metrics:
    """What a narrow type loses of the gradients to zero.

    Args:
        expected: gradients in full precision.
        found: those of the narrow type, of the same batch, after any scaling is undone.

    Returns:
        `gradient_underflow` [L]: of the entries that are not zero in full precision, the share that is zero in the narrow
        type; NaN where there are none.
    """

    def share(name: str) -> jax.Array:
        pairs = list(zip(jax.tree.leaves(expected[name]), jax.tree.leaves(found[name]), strict=True))
        there = sum(jnp.sum(full != 0.0) for full, _ in pairs)
        lost = sum(jnp.sum((full != 0.0) & (narrow == 0.0)) for full, narrow in pairs)
        return jnp.where(there > 0, lost / there, jnp.nan)

    return {"gradient_underflow": jnp.stack([share(name) for name in layer_names(expected)])}
