"""Histograms of activations and gradients, in fixed ranges: counts of batches, seeds and epochs can be added."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import layer_names
from jaxcompare.types import Layer, Observation


def histogram(values: jax.Array, limits: jax.Array, bins: int) -> jax.Array:
    """Count values in equal bins of a fixed range.

    Args:
        values: any shape; values that are not finite are not counted.
        limits: [2], the lower and upper end of the range.
        bins: the number of bins.

    Returns:
        [bins + 2] int32: the count below the range, the counts of the bins, the count above the range. Each bin includes
        its lower edge, to the rounding of the edge; the last bin includes its upper edge, too.

    Example:
        >>> histogram(jnp.array([-1.0, 0.0, 0.6, 1.0, 3.0, jnp.nan]), jnp.array([0.0, 1.0]), bins=2).tolist()
        [1, 1, 2, 1]
    """
    return histograms([values], limits, bins)[0]


def histograms(arrays: Sequence[jax.Array], limits: jax.Array, bins: int) -> jax.Array:
    """Compute the `histogram` of several arrays of any shapes in a single pass: [len(arrays), bins + 2] int32."""
    low, high = limits
    values = jnp.concatenate([array.ravel() for array in arrays])
    # The bin of a value just below the end may round up to one past the last.
    position = jnp.clip(jnp.floor((values - low) / (high - low) * bins), 0, bins - 1)
    position = jnp.where(values < low, -1, jnp.where(values > high, bins, position)) + 1
    # Values that are not finite go to a bin past the end, which is cut off.
    width = bins + 3
    position = jnp.where(jnp.isfinite(values), position, bins + 2).astype(jnp.int32)
    first = jnp.concatenate([jnp.full(array.size, row * width, jnp.int32) for row, array in enumerate(arrays)])
    counts = jnp.zeros(len(arrays) * width, jnp.int32).at[first + position].add(1)
    return counts.reshape(len(arrays), width)[:, : bins + 2]


def layer_histograms(layers: dict[str, Layer], limits: Layer, bins: int) -> jax.Array:
    """Compute histograms of each hidden layer's pre-activations and activations.

    Args:
        layers: the hidden layers by name; arrays [B, units].
        limits: the range [2] of pre-activations and the range of activations.
        bins: the number of bins.

    Returns:
        [H, 2, bins + 2] int32: pre-activations, then activations, counted as by `histogram`.

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> before = jnp.array([[-1.0, 2.0]])
        >>> limits = Layer(jnp.array([-2.0, 2.0]), jnp.array([0.0, 2.0]))
        >>> layer_histograms({"hidden_1": Layer(before, jax.nn.relu(before))}, limits, bins=2).tolist()
        [[[0, 1, 1, 0], [0, 1, 1, 0]]]
    """
    kinds = zip(*(layers[name] for name in layer_names(layers)), strict=True)
    return jnp.stack([histograms(kind, limit, bins) for kind, limit in zip(kinds, limits, strict=True)], axis=1)


def gradient_histograms(observation: Observation, limits: jax.Array, bins: int) -> jax.Array:
    """Compute histograms of the sizes of gradient entries by layer, weights and biases together.

    Args:
        observation: parameters and gradients by layer, on a batch.
        limits: [2], the range of log10 of an entry's absolute value.
        bins: the number of bins.

    Returns:
        [L, bins + 2] int32, counted as by `histogram`; entries that are zero count as below the range.

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> layer = {"output": {"kernel": jnp.array([0.0, 0.02, -5.0])}}
        >>> gradient_histograms(Observation(layer, layer, layer, {}), jnp.array([-2.0, 2.0]), bins=2).tolist()
        [[1, 1, 1, 0]]
    """

    def size(name: str) -> jax.Array:
        entries = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(observation.gradients[name])])
        return jnp.where(entries == 0.0, limits[0] - 1.0, jnp.log10(jnp.abs(entries.astype(jnp.float32))))

    return histograms([size(name) for name in layer_names(observation.params)], limits, bins)
