"""Counts in fixed ranges, so that those of batches, seeds and epochs add up: of activations and of gradients."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import layer_names
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
    return histograms([values], limits, bins)[0]


def histograms(each: Sequence[jax.Array], limits: jax.Array, bins: int) -> jax.Array:
    """`histogram` of each of several arrays of any shapes, [len(each), bins + 2] int32: counted in one pass over all."""
    low, high = limits
    values = jnp.concatenate([one.ravel() for one in each])
    position = jnp.floor((values - low) / (high - low) * bins)
    position = jnp.where(values == high, bins - 1, jnp.clip(position, -1, bins)) + 1
    # What is not finite goes to a bin past the end, which is cut off.
    width = bins + 3
    position = jnp.where(jnp.isfinite(values), position, bins + 2).astype(jnp.int32)
    first = jnp.concatenate([jnp.full(one.size, row * width, jnp.int32) for row, one in enumerate(each)])
    counts = jnp.zeros(len(each) * width, jnp.int32).at[first + position].add(1)
    return counts.reshape(len(each), width)[:, : bins + 2]


def layer_histograms(layers: dict[str, Layer], limits: Layer, bins: int) -> jax.Array:
    """Histograms of each hidden layer's pre-activations and activations: [H, 2, bins + 2] int32.

    Args:
        layers: hidden layers, first to last.
        limits: the range [2] of each kind.
        bins: how many.
    """
    kinds = zip(*(layers[name] for name in layer_names(layers)), strict=True)
    return jnp.stack([histograms(kind, limit, bins) for kind, limit in zip(kinds, limits, strict=True)], axis=1)


def gradient_histograms(observation: Observation, limits: jax.Array, bins: int) -> jax.Array:
    """Histograms of the gradients' sizes by layer, weights and biases together: [L, bins + 2] int32.

    Args:
        observation: of one batch.
        limits: [2], the range of log10 of an entry's absolute value; entries that are zero count as below it.
        bins: how many.
    """

    def size(name: str) -> jax.Array:
        entries = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(observation.gradients[name])])
        return jnp.where(entries == 0.0, limits[0] - 1.0, jnp.log10(jnp.abs(entries.astype(jnp.float32))))

    return histograms([size(name) for name in layer_names(observation.params)], limits, bins)
