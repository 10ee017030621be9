"""Statistics of the hidden layers' activations on a batch: dead, zero and saturated units, moments."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcompare.diagnostics.gradients import power_of_two
from jaxcompare.diagnostics.layers import over_layers
from jaxcompare.types import Layer, Metrics

SATURATION_MARGIN = 0.01  # of the activation's range, at each bound


def activation_statistics(layers: dict[str, Layer], bounds: jax.Array) -> Metrics:
    """Compute shares and moments of each hidden layer's activations on a batch.

    Args:
        layers: the hidden layers by name; arrays [B, units].
        bounds: [2], the activation's lower and upper bound; NaN or infinite where it is not bounded.

    Returns:
        A dict of arrays [H]:

        - `dead_fraction`: the share of units that are zero for every example.
        - `zero_fraction`: the share of activations that are zero.
        - `saturated_fraction`: the share of activations within 1% of the range from a bound; NaN if unbounded.
        - `activation_mean`, `activation_std`, `pre_activation_mean`, `pre_activation_std`: over examples and units.

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> before = jnp.array([[-1.0, 2.0], [-2.0, -1.0]])  # two examples, two units
        >>> layers = {"hidden_1": Layer(before, jax.nn.relu(before))}
        >>> statistics = activation_statistics(layers, jnp.array([0.0, jnp.inf]))
        >>> statistics["dead_fraction"].tolist(), statistics["zero_fraction"].tolist()
        ([0.5], [0.75])
    """
    low, high = bounds
    margin = SATURATION_MARGIN * (high - low)

    def statistics(layer: Layer) -> Metrics:
        zero = layer.activation == 0.0
        saturated = (layer.activation < low + margin) | (layer.activation > high - margin)
        return {
            "dead_fraction": jnp.mean(jnp.all(zero, axis=0)),
            "zero_fraction": jnp.mean(zero),
            "saturated_fraction": jnp.where(jnp.isfinite(margin), jnp.mean(saturated), jnp.nan),
            "activation_mean": jnp.mean(layer.activation),
            "activation_std": _deviation(layer.activation),
            "pre_activation_mean": jnp.mean(layer.pre_activation),
            "pre_activation_std": _deviation(layer.pre_activation),
        }

    return over_layers(statistics, layers)


def _deviation(values: jax.Array) -> jax.Array:
    """Return the standard deviation, also of values whose squares leave the range of their type."""
    unit = power_of_two(values)
    return unit * jnp.std(values * (1.0 / unit))


def dead_units(layers: dict[str, Layer]) -> jax.Array:
    """Find the units that are zero for every example of a batch.

    Args:
        layers: the hidden layers by name; arrays [B, units].

    Returns:
        [H, units of the widest layer] bool; False where a narrower layer has no unit.

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> before = jnp.array([[-1.0, 2.0], [-2.0, -1.0]])
        >>> dead_units({"hidden_1": Layer(before, jax.nn.relu(before))}).tolist()
        [[True, False]]
    """
    widest = max(layer.activation.shape[-1] for layer in layers.values())

    def dead_and_padded(layer: Layer) -> jax.Array:
        dead = jnp.all(layer.activation == 0.0, axis=0)
        return jnp.pad(dead, (0, widest - dead.shape[0]))

    return over_layers(dead_and_padded, layers)
