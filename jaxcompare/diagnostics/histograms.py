"""Counts in fixed ranges, so that those of batches, seeds and epochs add up: of activations and of gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.gradients import layer_names
from jaxcompare.types import Layer, Observation


def histogram(values: jax.Array, limits: jax.Array, bins: int) -> jax.Array:
    """Counts in equal bins of a fixed range, so that the counts of batches, seeds and epochs add up.

    Args:
        values: any shape; what is not finite is not counted.
        limits: [2], the low and high end of the range.
        bins: how many.

    Returns:
        [bins + 2] int32: below the range, the bins (each closed below; the last one on both sides), above it.
    """
    low, high = limits
    position = jnp.floor((values - low) / (high - low) * bins)
    position = jnp.where(values == high, bins - 1, jnp.clip(position, -1, bins)) + 1
    # What is not finite goes to a bin past the end, which is cut off.
    position = jnp.where(jnp.isfinite(values), position, bins + 2).astype(jnp.int32)
    return jnp.zeros(bins + 3, jnp.int32).at[position.ravel()].add(1)[: bins + 2]


def layer_histograms(layers: dict[str, Layer], limits: Layer, bins: int) -> jax.Array:
    """Histograms of each hidden layer's pre-activations and activations: [H, 2, bins + 2] int32.

    Args:
        layers: hidden layers, first to last.
        limits: the range [2] of each kind.
        bins: how many.
    """
    return jnp.stack(
        [
            jnp.stack([histogram(values, limit, bins) for values, limit in zip(layers[name], limits, strict=True)])
            for name in layer_names(layers)
        ]
    )


def gradient_histograms(observation: Observation, limits: jax.Array, bins: int) -> jax.Array:
    """Histograms of the gradients' sizes by layer, weights and biases together: [L, bins + 2] int32.

    Args:
        observation: of one batch.
        limits: [2], the range of log10 of an entry's absolute value; entries that are zero count as below it.
        bins: how many.
    """

    def one(name: str) -> jax.Array:
        entries = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(observation.gradients[name])])
        size = jnp.where(entries == 0.0, limits[0] - 1.0, jnp.log10(jnp.abs(entries.astype(jnp.float32))))
        return histogram(size, limits, bins)

    return jnp.stack([one(name) for name in layer_names(observation.params)])
