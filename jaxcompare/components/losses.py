"""LOSSES: name -> `(logits [..., C], labels [..., C]) -> per-example loss [...]`.

`labels` are distributions over the classes, one-hot or smoothed, as in Optax. The square losses come in two kinds that
must not share a name: on softmax probabilities (Brier 1950) and on raw logits (Hui and Belkin 2020), each as the mean over
the classes or as half their sum; the reduction scales the gradient and so the best learning rate.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxcompare.config import registry

LossFunction = Callable[[jax.Array, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy in nats; its gradient in the logits is p - y."""
    return optax.softmax_cross_entropy(logits, labels)


def mse(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the classes of (softmax(logits) - labels)^2."""
    return jnp.mean(jnp.square(jax.nn.softmax(logits) - labels), axis=-1)


def mse_half_sum(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the sum over the classes of (softmax(logits) - labels)^2."""
    return 0.5 * jnp.sum(jnp.square(jax.nn.softmax(logits) - labels), axis=-1)


def mse_logits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the classes of (logits - labels)^2."""
    return jnp.mean(jnp.square(logits - labels), axis=-1)


def mse_logits_half_sum(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the sum over the classes of (logits - labels)^2."""
    return 0.5 * jnp.sum(jnp.square(logits - labels), axis=-1)


LOSSES: dict[str, LossFunction] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "mse_half_sum": mse_half_sum,
    "mse_logits": mse_logits,
    "mse_logits_half_sum": mse_logits_half_sum,
}


def resolve(name: str) -> LossFunction:
    """The loss called `name`, built in or `"package.module:attribute"`."""
    return registry.resolve(name, LOSSES, "loss")


def smooth_labels(labels: jax.Array, classes: int, smoothing: jax.Array) -> jax.Array:
    """One-hot labels mixed with the uniform distribution (Szegedy et al. 2016).

    Args:
        labels: [...] int, the class.
        classes: C.
        smoothing: [] in [0, 1), the share of the uniform distribution; 0 leaves the labels one-hot.

    Returns:
        [..., C].
    """
    return jax.nn.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes
