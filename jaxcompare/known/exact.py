"""Cases with exact values. A range allows for rounding, or is four standard errors where the case is random."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcompare import diagnostics
from jaxcompare.components import losses, models
from jaxcompare.engine import train_step
from jaxcompare.known.check import Check, near
from jaxcompare.types import Batch

NETWORKS = 4000  # random networks of `dead_at_birth`


def _at_once(compute: Callable[[], jax.Array]) -> float:
    """Run a computation as one program; outside a program JAX would compile each operation separately."""
    return float(jax.lax.map(lambda _: compute(), jnp.zeros(1))[0])


def fresh_loss() -> float:
    """Return the cross-entropy of ten classes before training, which is near ln 10.

    A network with small weights gives every class nearly the same probability. Weights of standard deviation 0.01 give logits
    of the order of 0.01. The loss exceeds ln 10 by the order of their square, far below the tolerance of 0.01.
    """
    model = models.mlp(hidden=(64, 64), classes=10, init="truncated_normal", init_scale=0.01)
    recipe, hparams = train_step.make_recipe(model), train_step.make_hparams(0.1)

    def loss() -> jax.Array:
        batch = Batch(jax.random.normal(jax.random.key(0), (500, 32)), jnp.arange(500) % 10)
        state = train_step.init_state(jax.random.key(1), recipe, hparams, batch.x)
        return train_step.make_train_step(recipe)(state, batch, hparams)[1]["loss"]

    return _at_once(loss)


def _logits() -> tuple[jax.Array, jax.Array]:
    return jax.random.normal(jax.random.key(0), (20, 7)) * 3, jax.nn.one_hot(jnp.arange(20) % 7, 7)


def logit_gradient() -> float:
    """Return the largest deviation of the gradient of cross-entropy in the logits from p - y: float32 rounding alone."""
    logits, labels = _logits()
    gradient = jax.grad(lambda z: jnp.sum(losses.LOSSES["cross_entropy"](z, labels)))(logits)
    return float(jnp.max(jnp.abs(gradient - (jax.nn.softmax(logits) - labels))))


def logit_hessian() -> float:
    """Return the largest deviation of the Hessian of cross-entropy in the logits from diag(p) - p p^T: rounding alone."""
    logits, labels = _logits()
    hessian = jax.vmap(jax.hessian(losses.LOSSES["cross_entropy"]))(logits, labels)
    p = jax.nn.softmax(logits)
    return float(jnp.max(jnp.abs(hessian - (jax.vmap(jnp.diag)(p) - p[:, :, None] * p[:, None, :]))))


def sigmoid_derivative() -> float:
    """Return the largest derivative of the sigmoid: 1/4, at 0."""
    return float(jnp.max(jax.vmap(jax.grad(jax.nn.sigmoid))(jnp.linspace(-8.0, 8.0, 1601))))


def square_loss_gradient() -> float:
    """Return the largest gradient of (sigmoid(z) - y)^2 / 2 in z for y = 0 or 1: a^2 (1 - a) is at most 4/27, at a = 2/3."""
    z = jnp.linspace(-8.0, 8.0, 16001)
    gradients = [jax.vmap(jax.grad(lambda z, y=y: (jax.nn.sigmoid(z) - y) ** 2 / 2))(z) for y in (0.0, 1.0)]
    return float(jnp.max(jnp.abs(jnp.stack(gradients))))


def sigmoid_shrinks_gradients() -> float:
    """Return the bias gradient of layer 1 over that of layer 8, for orthogonal sigmoid layers and one example.

    Orthogonal square weights keep the norm of a vector, so each of the seven steps multiplies the gradient by at most 1/4:
    the ratio is at most (1/4)^7. Pre-activations of the order of 0.5 to 1 have derivatives of 0.2 to 0.24, so the range
    goes down to 0.18^7.
    """
    model = models.mlp(hidden=(32,) * 8, classes=32, init="orthogonal")
    recipe, hparams = train_step.make_recipe(model, activation="sigmoid"), train_step.make_hparams(0.1)

    def ratio() -> jax.Array:
        batch = Batch(jax.random.normal(jax.random.key(0), (1, 32)), jnp.zeros(1, jnp.int32))
        state = train_step.init_state(jax.random.key(1), recipe, hparams, batch.x)
        gradients = train_step.observe(recipe, state, batch, hparams).gradients
        norms = [jnp.linalg.norm(gradients[name]["bias"]) for name in ("hidden_1", "hidden_8")]
        return norms[0] / norms[1]

    return _at_once(ratio)


def dead_at_birth() -> float:
    """Return the share of ReLU networks of width 2 and depth 10 whose last layer is zero for an input.

    With zero biases and symmetric weights the share is 1 - (1 - 2^-2)^10 = 0.9437; 4,000 networks have a standard error of
    0.0036.
    """
    model = models.mlp(hidden=(2,) * 10, classes=2)
    x = jnp.array([[0.7, -0.4]])

    def dead(key: jax.Array) -> jax.Array:
        _, layers = model.apply(model.init(key, x), x, jax.nn.relu)
        return jnp.all(layers["hidden_10"].activation == 0)

    return float(jnp.mean(jax.lax.map(dead, jax.random.split(jax.random.key(0), NETWORKS), batch_size=NETWORKS)))


def _descend(rate: float) -> float:
    """Return |x| after 200 steps of gradient descent on h x^2 / 2 with h = 4, from x = 1."""
    optimizer = optax.sgd(rate)

    def step(x: jax.Array, _: None) -> tuple[jax.Array, None]:
        updates, _ = optimizer.update(4.0 * x, optimizer.init(x))
        return optax.apply_updates(x, updates), None

    return float(jnp.abs(jax.lax.scan(step, jnp.ones(()), length=200)[0]))


def published_parameters() -> float:
    """Return the number of parameters of the CNN in Fashion-MNIST's repository: 832 + 51,264 + 3,212,288 + 10,250."""
    shapes = jax.eval_shape(models.cnn(hidden=(1024,), classes=10).init, jax.random.key(0), jnp.zeros((1, 784)))
    return float(sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)))


def adam_first_step() -> float:
    """Return the largest deviation of Adam's first update from minus the learning rate times the sign of the gradient.

    After one step the corrected moments are g and g^2, so the update is -rate * g / (|g| + epsilon) (Kingma and Ba 2015).
    """
    recipe = train_step.make_recipe(models.mlp(hidden=(8,), classes=3), optimizer="adam")
    hparams = train_step.make_hparams(0.01)

    def deviation() -> jax.Array:
        batch = Batch(jax.random.normal(jax.random.key(0), (64, 5)), jnp.arange(64) % 3)
        state = train_step.init_state(jax.random.key(1), recipe, hparams, batch.x)
        seen = train_step.observe(recipe, state, batch, hparams)
        pairs = zip(jax.tree.leaves(seen.gradients), jax.tree.leaves(seen.updates), strict=True)
        off = [jnp.max(jnp.where(jnp.abs(g) > 1e-4, jnp.abs(update + 0.01 * jnp.sign(g)), 0.0)) for g, update in pairs]
        return jnp.max(jnp.stack(off))

    return _at_once(deviation)


def half_dead() -> float:
    """Return the share of zeros among the ReLU activations of a He-initialised first layer: half, by symmetry about 0.

    2,000 inputs of 16 features and 512 units: the standard error is about 0.003.
    """
    model = models.mlp(hidden=(512,), classes=2)

    def share() -> jax.Array:
        x = jax.random.normal(jax.random.key(0), (2000, 16))
        _, layers = model.apply(model.init(jax.random.key(1), x), x, jax.nn.relu)
        return diagnostics.activation_statistics(layers, jnp.full(2, jnp.nan))["zero_fraction"][0]

    return _at_once(share)


EXACT: tuple[Check, ...] = (
    near("loss of a fresh network of ten classes", fresh_loss, math.log(10), 0.01, "ln 10"),
    near("gradient of cross-entropy less (p - y)", logit_gradient, 0.0, 1e-5, "exact"),
    near("Hessian of cross-entropy less (diag(p) - p p^T)", logit_hessian, 0.0, 1e-5, "exact"),
    near("largest derivative of the sigmoid", sigmoid_derivative, 0.25, 1e-6, "exact, 1/4"),
    near("largest gradient of sigmoid with square loss", square_loss_gradient, 4 / 27, 1e-6, "exact, 4/27"),
    Check(
        "first over last gradient of 8 sigmoid layers", sigmoid_shrinks_gradients, 0.18**7, 0.25**7, "exact, (1/4)^7"
    ),
    near("share of ReLU networks dead at birth, width 2, depth 10", dead_at_birth, 0.9437, 0.0146, "Lu et al. 2019"),
    near("gradient descent below 2 / h", lambda: _descend(0.49), 0.0, 0.02, "converges for rates below 2 / h = 0.5"),
    Check(
        "gradient descent above 2 / h", lambda: _descend(0.51), 1e3, math.inf, "diverges for rates above 2 / h = 0.5"
    ),
    near("Adam's first update less rate times sign", adam_first_step, 0.0, 2e-6, "Kingma and Ba 2015"),
    near("share of zero ReLU activations before training", half_dead, 0.5, 0.012, "symmetry"),
    near("parameters of the published CNN", published_parameters, 3_274_634, 0.0, "Xiao et al., benchmark/convnet.py"),
)
