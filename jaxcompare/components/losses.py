"""Loss functions by name: `(logits [..., C], labels [..., C]) -> loss of each example [...]`, C classes.

Labels are distributions over the classes, one-hot or smoothed, as in Optax. The square losses come in two kinds:
on softmax probabilities (Brier 1950) and on raw logits (Hui and Belkin 2020). Each kind is the mean over the classes or half
their sum; this factor scales the gradient, and so the best learning rate. A new loss is a row in `LOSSES` and a name in
`config/names.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxcompare.config import registry

LossFunction = Callable[[jax.Array, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Compute the softmax cross-entropy.

    The gradient in the logits is softmax(logits) - labels. The implementation is `optax.softmax_cross_entropy`.

    Args:
        logits: [..., C].
        labels: [..., C] distributions over the classes.

    Returns:
        [...] the loss of each example, in nats.

    Example:
        >>> round(float(cross_entropy(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))), 4)
        0.6931
    """
    return optax.softmax_cross_entropy(logits, labels)


def mse(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Compute the mean over the classes of (softmax(logits) - labels)^2.

    The loss is Brier's score (1950) divided by C.

    Args:
        logits: [..., C].
        labels: [..., C] distributions over the classes.

    Returns:
        [...] the loss of each example.

    Example:
        >>> round(float(mse(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))), 4)
        0.25
    """
    return jnp.mean(jnp.square(jax.nn.softmax(logits) - labels), axis=-1)


def mse_half_sum(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Compute half the sum over the classes of (softmax(logits) - labels)^2.

    The loss is `mse` times C / 2.

    Args:
        logits: [..., C].
        labels: [..., C] distributions over the classes.

    Returns:
        [...] the loss of each example.

    Example:
        >>> round(float(mse_half_sum(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))), 4)
        0.25
    """
    return 0.5 * jnp.sum(jnp.square(jax.nn.softmax(logits) - labels), axis=-1)


def mse_logits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Compute the mean over the classes of (logits - labels)^2.

    Hui and Belkin (2020) train classifiers with this loss.

    Args:
        logits: [..., C].
        labels: [..., C] distributions over the classes.

    Returns:
        [...] the loss of each example.

    Example:
        >>> round(float(mse_logits(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))), 4)
        0.5
    """
    return jnp.mean(jnp.square(logits - labels), axis=-1)


def mse_logits_half_sum(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Compute half the sum over the classes of (logits - labels)^2.

    The loss is `mse_logits` times C / 2; its gradient in the logits is logits - labels.

    Args:
        logits: [..., C].
        labels: [..., C] distributions over the classes.

    Returns:
        [...] the loss of each example.

    Example:
        >>> round(float(mse_logits_half_sum(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))), 4)
        0.5
    """
    return 0.5 * jnp.sum(jnp.square(logits - labels), axis=-1)


LOSSES: dict[str, LossFunction] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "mse_half_sum": mse_half_sum,
    "mse_logits": mse_logits,
    "mse_logits_half_sum": mse_logits_half_sum,
}


def resolve(name: str | LossFunction) -> LossFunction:
    """Return the loss called `name`.

    Args:
        name: a key of `LOSSES`, or `"package.module:attribute"` for a custom loss, or the function itself.

    Returns:
        A function `(logits [..., C], labels [..., C]) -> loss [...]`.

    Raises:
        ValueError: the name is unknown, or what it names cannot be imported or called.

    Example:
        >>> resolve("mse") is mse
        True
    """
    return registry.resolve(name, LOSSES, "loss")


def smooth_labels(labels: jax.Array, classes: int, smoothing: jax.Array) -> jax.Array:
    """Mix one-hot labels with the uniform distribution (Szegedy et al. 2016).

    Args:
        labels: [...] int, the class of each example.
        classes: C, the number of classes.
        smoothing: [] in [0, 1), the share of the uniform distribution; 0 leaves the labels one-hot.

    Returns:
        [..., C] distributions over the classes.

    Example:
        >>> smooth_labels(jnp.array([1]), 2, jnp.array(0.5)).tolist()
        [[0.25, 0.75]]
    """
    return jax.nn.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes
