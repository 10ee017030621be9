"""Networks by name, each a pair of pure functions, `init` and `apply`. Flax is used inside this module alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxcompare.components.activations import ActivationFunction
from jaxcompare.components.initializers import BIAS_INITIALIZERS, INITIALIZERS
from jaxcompare.config.registry import nearest
from jaxcompare.types import Layer, Params

Apply = Callable[[Params, jax.Array, ActivationFunction], tuple[jax.Array, dict[str, Layer]]]


class Model(NamedTuple):
    """A network, for a single replica.

    `apply` returns the logits [B, C] and the `Layer` of each hidden layer, whose arrays have their units on the last axis.
    Layers are called `conv_1`, `conv_2` .., `hidden_1`, `hidden_2` .. and `output`: `diagnostics.layer_names` reads their
    order from these names.

    A custom network with a hidden layer of eight units:

    >>> def init(key, x):
    ...     first, last = jax.random.split(key)
    ...     hidden = {"kernel": jax.random.normal(first, (x.shape[-1], 8))}
    ...     return {"hidden_1": hidden, "output": {"kernel": jax.random.normal(last, (8, 3))}}
    >>> def apply(params, x, activation):
    ...     layer = Layer(x @ params["hidden_1"]["kernel"], activation(x @ params["hidden_1"]["kernel"]))
    ...     return layer.activation @ params["output"]["kernel"], {"hidden_1": layer}
    >>> network = Model(init, apply, classes=3)
    >>> x = jnp.ones((4, 2))
    >>> network.apply(network.init(jax.random.key(0), x), x, jnp.tanh)[0].shape
    (4, 3)
    """

    init: Callable[[jax.Array, jax.Array], Params]  # (key, x [B, ...]) -> params
    apply: Apply  # (params, x [B, ...], activation) -> (logits [B, C], hidden layers)
    classes: int  # C
    remat: bool = False  # whether the gradient recomputes activations that `apply` does not keep
    apply_for_gradient: Apply | None = None  # used by `jax.grad` in place of `apply`, on a GPU; see `product`


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `x @ kernel` with a gradient in the kernel's own axis order. Reverse mode only.

    JAX computes the gradient as [H, D] and transposes it, which costs a single network nothing. Variants of a seed share x,
    however: XLA merges their products into a wide product, with kernels and optimizer state laid out as [D, V, H].
    The gradient then comes as [V, H, D], and on a GPU the update takes three passes over the weights instead of one.
    A step of 784-256-128-10 with AdamW moves 13.3 MB a replica with JAX's gradient and 10.9 MB with this gradient.
    The figures are 12.6 and 9.8 MB in bfloat16, 14.7 and 10.3 MB in float16 (docs/performance.md).

    Args:
        x: [..., D].
        kernel: [D, H].

    Returns:
        [..., H].

    Example:
        >>> product(jnp.ones((2, 3)), jnp.ones((3, 4))).shape
        (2, 4)
    """
    return x @ kernel


def _product_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _product_backward(kept: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    examples = tuple(range(x.ndim - 1))
    return cotangent @ kernel.T, jax.lax.dot_general(x, cotangent, ((examples, examples), ((), ())))


product.defvjp(_product_forward, _product_backward)


class _Network(nn.Module):
    """The parts that all networks share: dense layers `hidden_1` .. and `output`, and initial weights."""

    hidden: tuple[int, ...]
    classes: int
    init_name: str
    init_scale: float
    bias_init: str
    remat: bool = False
    multiply: Callable[[jax.Array, jax.Array], jax.Array] | None = None  # None: JAX's own

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
            passed = []
            for name, width in zip(names[begin:end], self.hidden[begin:end], strict=True):
                pre_activation = module.dense(x, width, name)
                x = activation(pre_activation)
                passed.append(Layer(pre_activation, x))
            return passed

        # For the gradient, remat keeps each block's input, and recomputes the layers of a block. Blocks of the root of the
        # number of layers need the least memory: the inputs of all blocks and the layers of a single block.
        block = math.isqrt(len(self.hidden) - 1) + 1 if self.remat else len(self.hidden)
        for begin in range(0, len(self.hidden), block):
            part = partial(run, begin=begin, end=begin + block)
            passed = (nn.remat(part) if self.remat else part)(self, x)
            layers |= zip(names[begin:], passed, strict=False)
            x = passed[-1].activation
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
    """Return images as [B, height, width, channels].

    Args:
        x: images in that shape, grey images [B, height, width], or grey, square and flat images [B, D].

    Raises:
        ValueError: D is not the square of a whole number.
    """
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise ValueError(f"{x.shape[1]} features are no square image")
        x = x.reshape(-1, side, side)
    return x[..., None] if x.ndim == 3 else x


def _convolve(multiply: Callable, x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, **_: Any) -> jax.Array:
    """Compute a convolution of stride 1 and "same" padding as a single product of patches and kernel.

    Each replica has its own kernels. XLA turns a vmapped convolution into a grouped convolution, which is slow on CPU.
    A step of the published network (two replicas, batch 128) takes 1.7 s with it and 0.6 s with the batched product.
    """
    size, height, width = kernel.shape[0], x.shape[1], x.shape[2]
    before = (size - 1) // 2
    padded = jnp.pad(x, ((0, 0), (before, size - 1 - before), (before, size - 1 - before), (0, 0)))
    patches = [padded[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return multiply(jnp.concatenate(patches, axis=-1), kernel.reshape(-1, kernel.shape[-1]))


def _max_pool(x: jax.Array) -> jax.Array:
    """Return the maximum of each 2 by 2 pixels [B, height // 2, width // 2, channels]; drop an odd last row or column."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = x[:, : 2 * height, : 2 * width]
    return x.reshape(x.shape[0], height, 2, width, 2, x.shape[3]).max(axis=(2, 4))


def mlp(
    *,
    hidden: tuple[int, ...],
    classes: int,
    init: str = "he_normal",
    init_scale: float = 0.05,
    bias_init: str = "zeros",
    remat: bool = False,
) -> Model:
    """Build a multilayer perceptron: dense layers `hidden_1` .. `hidden_n` and `output`.

    Args:
        hidden: the width of each hidden layer, first to last.
        classes: C, the number of logits.
        init: the initializer of the kernels, a key of `INITIALIZERS`.
        init_scale: the standard deviation of `truncated_normal`; other initializers ignore it.
        bias_init: the initializer of the biases, a key of `BIAS_INITIALIZERS`.
        remat: whether the gradient recomputes activations (`jax.checkpoint`). Each block of hidden layers keeps its input
            alone; a block has as many layers as there are blocks. On CPU the saving needs `engine.sweep.compiler_options`.

    Returns:
        A Model whose `apply(params, x [B, ...], activation)` returns logits [B, C] and each hidden layer's `Layer`.

    Raises:
        ValueError: an unknown initializer.

    Example:
        >>> model = mlp(hidden=(16, 8), classes=3)
        >>> x = jnp.ones((4, 5))
        >>> params = model.init(jax.random.key(0), x)
        >>> logits, layers = model.apply(params, x, jax.nn.relu)
        >>> logits.shape, {name: layer.activation.shape for name, layer in layers.items()}
        ((4, 3), {'hidden_1': (4, 16), 'hidden_2': (4, 8)})
    """
    return _model(_Perceptron(tuple(hidden), classes, *_begin(init, init_scale, bias_init), remat))


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
    """Build a small convolutional network: `conv_1` .. `conv_n`, then dense layers.

    Convolutions have stride 1 and "same" padding, and 2x2 max pooling follows each activation. The defaults and
    `hidden=(1024,)` give the network of Fashion-MNIST's repository (benchmark/convnet.py) without its dropout.
    A convolution's `Layer` is [B * pixels, channels]. Its units are its filters: a filter is dead if it is zero at every
    pixel of every image.

    Args:
        hidden: the width of each dense layer after the last pooling, first to last.
        classes: C, the number of logits.
        channels: the number of filters of each convolution, first to last.
        kernel_size: the side of the square kernels, in pixels.
        init: the initializer of the kernels, a key of `INITIALIZERS`.
        init_scale: the standard deviation of `truncated_normal`; other initializers ignore it.
        bias_init: the initializer of the biases, a key of `BIAS_INITIALIZERS`.
        remat: whether the gradient recomputes the activations of the dense layers, as for `mlp`.

    Returns:
        A Model whose `apply(params, x, activation)` returns logits [B, C] and each hidden layer's `Layer`. Images x are
        [B, height, width, channels]; grey images [B, height, width], or flat [B, D] where D is a square.
        `apply` and `init` raise ValueError for flat images that are not square.

    Raises:
        ValueError: an unknown initializer.

    Example:
        >>> model = cnn(hidden=(16,), classes=10, channels=(4,), kernel_size=3)
        >>> images = jnp.ones((2, 8, 8))
        >>> logits, layers = model.apply(model.init(jax.random.key(0), images), images, jax.nn.relu)
        >>> logits.shape, layers["conv_1"].activation.shape
        ((2, 10), (128, 4))
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
    plain = module.clone(remat=False)  # initial weights do not depend on remat

    def initialize(key: jax.Array, x: jax.Array) -> Params:
        return plain.init(key, x, jax.nn.relu)["params"]

    def apply_of(module: _Network) -> Apply:
        def apply(params: Params, x: jax.Array, activation: ActivationFunction) -> tuple[jax.Array, dict[str, Layer]]:
            return module.apply({"params": params}, x, activation)  # type: ignore[return-value]

        return apply

    return Model(initialize, apply_of(module), module.classes, module.remat, apply_of(module.clone(multiply=product)))


MODELS: dict[str, Callable[..., Model]] = {"mlp": mlp, "cnn": cnn}
