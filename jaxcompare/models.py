"""Networks as a pair of pure functions. Flax stays inside this module."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxcompare.activations import ActivationFunction
from jaxcompare.registry import nearest
from jaxcompare.types import Layer, Params

Initializer = Callable[..., jax.Array]


class Model(NamedTuple):
    """A network, for one replica."""

    init: Callable[[jax.Array, jax.Array], Params]  # (key, x [B, ...]) -> params
    apply: Callable[[Params, jax.Array, ActivationFunction], tuple[jax.Array, dict[str, Layer]]]
    classes: int
    remat: bool = False  # whether apply computes anew, for the gradient, what it does not keep


def _uniform(bound: float) -> Initializer:
    def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialize


def _torch(fan_in: int, scale: float) -> Initializer:
    return _uniform(fan_in**-0.5)


# name -> (fan_in, scale) -> initializer of a kernel [inputs, outputs]. `scale` is the deviation of truncated_normal.
INITIALIZERS: dict[str, Callable[[int, float], Initializer]] = {
    "he_normal": lambda fan_in, scale: nn.initializers.he_normal(),
    "he_uniform": lambda fan_in, scale: nn.initializers.he_uniform(),
    "lecun_normal": lambda fan_in, scale: nn.initializers.lecun_normal(),
    "lecun_uniform": lambda fan_in, scale: nn.initializers.lecun_uniform(),
    "glorot_normal": lambda fan_in, scale: nn.initializers.glorot_normal(),
    "glorot_uniform": lambda fan_in, scale: nn.initializers.glorot_uniform(),
    "truncated_normal": lambda fan_in, scale: nn.initializers.truncated_normal(scale),
    "orthogonal": lambda fan_in, scale: nn.initializers.orthogonal(),
    "torch": _torch,  # uniform within 1 / sqrt(fan_in), as torch.nn.Linear does
}

BIAS_INITIALIZERS: dict[str, Callable[[int], Initializer]] = {
    "zeros": lambda fan_in: nn.initializers.zeros,
    "torch": lambda fan_in: _uniform(fan_in**-0.5),
}


class _Perceptron(nn.Module):
    hidden: tuple[int, ...]
    classes: int
    init_name: str
    init_scale: float
    bias_init: str
    remat: bool = False

    def dense(self, x: jax.Array, width: int, name: str) -> jax.Array:
        fan_in = x.shape[-1]
        kernel_init = INITIALIZERS[self.init_name](fan_in, self.init_scale)
        bias_init = BIAS_INITIALIZERS[self.bias_init](fan_in)
        return nn.Dense(width, name=name, kernel_init=kernel_init, bias_init=bias_init)(x)

    @nn.compact
    def __call__(self, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
        x = x.reshape(x.shape[0], -1)
        names = [f"hidden_{number}" for number in range(1, len(self.hidden) + 1)]
        layers: dict[str, Layer] = {}

        def run(module: _Perceptron, x: jax.Array, begin: int, end: int) -> list[Layer]:
            found = []
            for name, width in zip(names[begin:end], self.hidden[begin:end], strict=True):
                pre_activation = module.dense(x, width, name)
                x = activation(pre_activation)
                found.append(Layer(pre_activation, x))
            return found

        # Of so many layers at a time only the input is kept for the gradient: that and one block's own layers are least.
        block = math.isqrt(len(self.hidden) - 1) + 1 if self.remat else len(self.hidden)
        for begin in range(0, len(self.hidden), block):
            part = partial(run, begin=begin, end=begin + block)
            found = (nn.remat(part) if self.remat else part)(self, x)
            layers |= zip(names[begin:], found, strict=False)
            x = found[-1].activation
        return self.dense(x, self.classes, "output"), layers


@lru_cache(maxsize=256)  # equal networks are one object, so that what is compiled for them is found again
def mlp(
    *,
    hidden: tuple[int, ...],
    classes: int,
    init: str = "he_normal",
    init_scale: float = 0.05,
    bias_init: str = "zeros",
    remat: bool = False,
) -> Model:
    """A multilayer perceptron: dense layers `hidden_1` .. `hidden_n` and `output`.

    Args:
        hidden: width of each hidden layer, first to last.
        classes: C, the number of logits.
        init: a key of `INITIALIZERS`, for the kernels.
        init_scale: the deviation for `truncated_normal`.
        bias_init: a key of `BIAS_INITIALIZERS`.
        remat: keeps, for the gradient, the input alone of each block of hidden layers (as many as there are blocks), and
            computes their activations anew (`jax.checkpoint`). On CPU it needs `sweep.compiler_options`.

    Returns:
        A Model whose `apply(params, x [B, ...], activation)` gives logits [B, C] and each hidden layer's `Layer`.

    Raises:
        ValueError: an unknown initializer.
    """
    for name, known in ((init, INITIALIZERS), (bias_init, BIAS_INITIALIZERS)):
        if name not in known:
            raise ValueError(f"no initializer {name!r}; {nearest(name, known)}")
    module = _Perceptron(tuple(hidden), classes, init, init_scale, bias_init)
    applied = module.clone(remat=remat)  # initial weights are the same with it and without

    def initialize(key: jax.Array, x: jax.Array) -> Params:
        return module.init(key, x, jax.nn.relu)["params"]

    def apply(params: Params, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
        return applied.apply({"params": params}, x, activation)  # type: ignore[return-value]

    return Model(initialize, apply, classes, remat)


MODELS: dict[str, Callable[..., Model]] = {"mlp": mlp}
