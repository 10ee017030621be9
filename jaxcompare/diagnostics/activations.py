"""What the hidden layers put out on a batch: dead, zero and saturated units, moments, histograms."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.layers import over_layers
from jaxcompare.types import Layer, Metrics

SATURATION_MARGIN = 0.01  # of the activation's range, at either end


def activation_statistics(layers: dict[str, Layer], bounds: jax.Array) -> Metrics:
    """Shares and moments of each hidden layer's activations on one batch.

    Args:
        layers: hidden layers, first to last; arrays [B, units].
        bounds: [2], the activation's least and greatest value; NaN where it is not bounded.

    Returns:
        Each [H]: `dead_fraction`, units that are zero for every example; `zero_fraction`, activations that are zero;
        `saturated_fraction`, activations within 1% of the range's ends (NaN if unbounded); mean and standard deviation of
        activations and pre-activations.
    """
    low, high = bounds
    margin = SATURATION_MARGIN * (high - low)

    def one(layer: Layer) -> Metrics:
        zero = layer.activation == 0.0
        saturated = (layer.activation < low + margin) | (layer.activation > high - margin)
        return {
            "dead_fraction": jnp.mean(jnp.all(zero, axis=0)),
            "zero_fraction": jnp.mean(zero),
            "saturated_fraction": jnp.where(jnp.isfinite(margin), jnp.mean(saturated), jnp.nan),
            "activation_mean": jnp.mean(layer.activation),
            "activation_std": jnp.std(layer.activation),
            "pre_activation_mean": jnp.mean(layer.pre_activation),
            "pre_activation_std": jnp.std(layer.pre_activation),
        }

    return over_layers(one, layers)


def dead_units(layers: dict[str, Layer]) -> jax.Array:
    """Which units are zero for every example of the batch: [H, units of the widest layer] bool, False where none is."""
    widest = max(layer.activation.shape[-1] for layer in layers.values())

    def one(layer: Layer) -> jax.Array:
        dead = jnp.all(layer.activation == 0.0, axis=0)
        return jnp.pad(dead, (0, widest - dead.shape[0]))

    return over_layers(one, layers)
