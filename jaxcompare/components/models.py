"""Networks as a pair of pure functions. Flax stays inside this module."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxcompare.components.activations import ActivationFunction
from jaxcompare.config.registry import nearest
from jaxcompare.types import Layer, Params

Initializer = Callable[..., jax.Array]


Apply = Callable[[Params, jax.Array, ActivationFunction], tuple[jax.Array, dict[str, Layer]]]


class Model(NamedTuple):
    """A network, for one replica."""

    init: Callable[[jax.Array, jax.Array], Params]  # (key, x [B, ...]) -> params
    apply: Apply
    classes: int
    remat: bool = False  # whether apply computes anew, for the gradient, what it does not keep
    apply_for_gradient: Apply | None = (
        None  # the same for `jax.grad`, where that is better done otherwise; see `product`
    )


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`x @ kernel` for x [..., D] and a kernel [D, H], whose gradient is made in the kernel's own order. Reverse mode only.

    JAX makes the gradient as [H, D] and transposes it, which costs one network nothing. But variants of a seed share x: their
    products are one wide one with kernels [D, V, H], as XLA lays them out with the optimizer's state, the gradient comes as
    [V, H, D], and on a GPU the update then takes three passes over them instead of one: of 784-256-128-10 with AdamW a step
    moves 13.3 MB a replica, and 10.9 MB with this; in bfloat16 12.6 and 9.8, in float16 14.7 and 10.3 (docs/performance.md).
    """
    return x @ kernel


def _product_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _product_backward(kept: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    examples = tuple(range(x.ndim - 1))
    return cotangent @ kernel.T, jax.lax.dot_general(x, cotangent, ((examples, examples), ((), ())))


product.defvjp(_product_forward, _product_backward)


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


class _Network(nn.Module):
    """What every network has: dense layers `hidden_1` .. and `output`, and how its weights begin."""

    hidden: tuple[int, ...]
    classes: int
    init_name: str
    init_scale: float
    bias_init: str
    remat: bool = False
    multiply: Callable[[jax.Array, jax.Array], jax.Array] | None = None  # None: as JAX does

    def initializers(self, fan_in: int) -> dict[str, Any]:
        return {
            "kernel_init": INITIALIZERS[self.init_name](fan_in, self.init_scale),
            "bias_init": BIAS_INITIALIZERS[self.bias_init](fan_in),
        }

    def dense(self, x: jax.Array, width: int, name: str) -> jax.Array:
        multiply = self.multiply
        dot = None if multiply is None else lambda x, kernel, *_, **__: multiply(x, kernel)
        return nn.Dense(width, name=name, dot_general=dot, **self.initializers(x.shape[-1]))(x)

    def dense_layers(self, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
        x = x.reshape(x.shape[0], -1)
        names = [f"hidden_{number}" for number in range(1, len(self.hidden) + 1)]
        layers: dict[str, Layer] = {}

        def run(module: _Network, x: jax.Array, begin: int, end: int) -> list[Layer]:
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


class _Perceptron(_Network):
    @nn.compact
    def __call__(self, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
        return self.dense_layers(x, activation)


class _Convolutional(_Network):
    channels: tuple[int, ...] = (32, 64)
    kernel_size: int = 5

    @nn.compact
    def __call__(self, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
        x = _as_images(x)
        layers = {}
        for number, channels in enumerate(self.channels, start=1):
            pre_activation = self.convolution(x, channels, f"conv_{number}")
            x = activation(pre_activation)
            layers[f"conv_{number}"] = Layer(*(values.reshape(-1, channels) for values in (pre_activation, x)))
            x = _max_pool(x)
        logits, dense = self.dense_layers(x, activation)
        return logits, layers | dense

    def convolution(self, x: jax.Array, channels: int, name: str) -> jax.Array:
        size = (self.kernel_size, self.kernel_size)
        begin = self.initializers(self.kernel_size**2 * x.shape[-1])
        convolve = partial(_convolve, self.multiply or jnp.matmul)
        return nn.Conv(channels, size, name=name, conv_general_dilated=convolve, **begin)(x)


def _as_images(x: jax.Array) -> jax.Array:
    """Images [B, height, width, channels]: as they are, or grey [B, height, width], or grey, square and flat [B, D].

    Raises:
        ValueError: flat, and not square.
    """
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise ValueError(f"{x.shape[1]} features are no square image")
        x = x.reshape(-1, side, side)
    return x[..., None] if x.ndim == 3 else x


def _convolve(multiply: Callable, x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, **_: Any) -> jax.Array:
    """A convolution with stride 1 that keeps the size ("same"), as one product of patches and kernel.

    Replicas have kernels of their own: XLA makes a grouped convolution of a vmapped one, which takes three times as long on CPU
    (published network, two replicas, batch 128: 1.7 s a step against 0.6 s) as the batched product that this becomes.
    """
    size, height, width = kernel.shape[0], x.shape[1], x.shape[2]
    before = (size - 1) // 2
    padded = jnp.pad(x, ((0, 0), (before, size - 1 - before), (before, size - 1 - before), (0, 0)))
    patches = [padded[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return multiply(jnp.concatenate(patches, axis=-1), kernel.reshape(-1, kernel.shape[-1]))


def _max_pool(x: jax.Array) -> jax.Array:
    """The largest of each 2 by 2 pixels [B, height // 2, width // 2, channels]; an odd last row or column is left out."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = x[:, : 2 * height, : 2 * width]
    return x.reshape(x.shape[0], height, 2, width, 2, x.shape[3]).max(axis=(2, 4))


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
    return _model(_Perceptron(tuple(hidden), classes, *_begin(init, init_scale, bias_init), remat))


@lru_cache(maxsize=256)
def cnn(
    *,
    hidden: tuple[int, ...],
    classes: int,
    channels: tuple[int, ...] = (32, 64),
    kernel_size: int = 5,
    init: str = "he_normal",
    init_scale: float = 0.05,
    bias_init: str = "zeros",
    remat: bool = False,
) -> Model:
    """A small convolutional network: `conv_1` .. `conv_n`, each with 2x2 max pooling behind its activation, then dense layers.

    Convolutions have stride 1 and keep the size ("same" padding). With the defaults and `hidden=(1024,)` it is the network of
    Fashion-MNIST's repository (benchmark/convnet.py) without its dropout. A convolution's `Layer` is [B * pixels, channels]:
    its units are its filters, dead where they are zero at every pixel of every image.

    Args:
        hidden: width of each dense layer after the last pooling.
        classes: C, the number of logits.
        channels: filters of each convolution, first to last.
        kernel_size: pixels, of a side.
        init: a key of `INITIALIZERS`, for the kernels.
        init_scale: the deviation for `truncated_normal`.
        bias_init: a key of `BIAS_INITIALIZERS`.
        remat: as for `mlp`, of the dense layers.

    Returns:
        A Model whose `apply(params, x, activation)` takes images [B, height, width, channels], grey ones [B, height, width],
        or square grey ones that are flat [B, D]; ValueError for others.

    Raises:
        ValueError: an unknown initializer.
    """
    begin = _begin(init, init_scale, bias_init)
    shape = {"channels": tuple(channels), "kernel_size": kernel_size}
    return _model(_Convolutional(tuple(hidden), classes, *begin, remat, **shape))  # type: ignore[arg-type]


def _begin(init: str, init_scale: float, bias_init: str) -> tuple[str, float, str]:
    for name, known in ((init, INITIALIZERS), (bias_init, BIAS_INITIALIZERS)):
        if name not in known:
            raise ValueError(f"no initializer {name!r}; {nearest(name, known)}")
    return init, init_scale, bias_init


def _model(module: _Network) -> Model:
    plain = module.clone(remat=False)  # initial weights are the same with it and without

    def initialize(key: jax.Array, x: jax.Array) -> Params:
        return plain.init(key, x, jax.nn.relu)["params"]

    def apply_of(module: _Network) -> Apply:
        def apply(params: Params, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
            return module.apply({"params": params}, x, activation)  # type: ignore[return-value]

        return apply

    return Model(initialize, apply_of(module), module.classes, module.remat, apply_of(module.clone(multiply=product)))


MODELS: dict[str, Callable[..., Model]] = {"mlp": mlp, "cnn": cnn}
