"""Initial weights by name, whose bits do not depend on how a program is compiled.

Variants of a seed share their initial weights across programs, and comparisons are paired by the shared weights. The
initializers of JAX and Flax round differently when they are compiled differently: `erf_inv` is a polynomial, `uniform` a
multiplication and an addition, and a compiler may contract a multiplication and an addition to a fused multiply-add.
(With JAX 0.10.2 on CPU, weights of a jitted init without optimizations differ from an eager init's by up to 1.2e-7.)

Each weight here is computed from 32 random bits in three steps, and each step has a single possible result:

1. Integer arithmetic and table look-ups give a magnitude. They are exact.
2. A multiplication by a constant scales the magnitude. IEEE 754 prescribes the rounding.
3. The random sign bit is set by an integer operation. The multiplication is then followed by no addition, in any program.

The distributions are Flax's. `orthogonal` has a QR decomposition behind the exact numbers: on CPU, LAPACK decomposes each
matrix in the same way in every program. On a GPU, a decomposition of several matrices at once may round differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Initializer = Callable[..., jax.Array]  # (key, shape, dtype) -> weights

UNIFORM_BITS = 23  # of a uniform magnitude: with the bit that makes it odd, as many as a float32 holds
# Of a normal magnitude: 2^15 quantiles, with their signs 2^16 values, are 128 KiB of a program in float32. Neighbours are at
# most 0.0003 deviations from each other within two deviations, and 200,000 weights have each value three times on average.
NORMAL_BITS = 15


def _with_sign(magnitude: jax.Array, bits: jax.Array) -> jax.Array:
    """Negate the magnitudes whose random bits begin with a 1, by an integer operation (see the module's step 3)."""
    width = 8 * magnitude.dtype.itemsize
    unsigned = jnp.dtype(f"uint{width}")
    sign = (bits >> 31).astype(unsigned) << (width - 1)
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(magnitude, unsigned) | sign, magnitude.dtype)


def _low(bits: jax.Array, count: int) -> jax.Array:
    return (bits & (2**count - 1)).astype(jnp.int32)


def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, bound: float) -> jax.Array:
    """Draw odd multiples of bound / 2^24, uniform and symmetric within [-bound, bound]."""
    bits = jax.random.bits(key, shape, jnp.uint32)
    odd = 2 * _low(bits, UNIFORM_BITS) + 1
    return _with_sign(odd.astype(dtype) * jnp.asarray(bound / 2 ** (UNIFORM_BITS + 1), dtype), bits)


def normal(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, deviation: float, cut: float = math.inf
) -> jax.Array:
    """Draw from a table of a normal distribution's quantiles, symmetric and without a zero.

    Args:
        key: a typed key.
        shape: of the weights.
        dtype: float32 or float64.
        deviation: the standard deviation of the weights, after the cut.
        cut: where the distribution ends on both sides, in standard deviations of the distribution without the cut.
    """
    bits = jax.random.bits(key, shape, jnp.uint32)
    table = jnp.asarray(_quantiles(cut), dtype)
    magnitude = table.at[_low(bits, NORMAL_BITS)].get(mode="promise_in_bounds")
    return _with_sign(magnitude * jnp.asarray(deviation, dtype), bits)


@lru_cache
def _quantiles(cut: float) -> np.ndarray:
    """Compute the magnitudes at the midpoints of equally likely intervals, [2^NORMAL_BITS] float64, with variance 1."""
    distribution, count = NormalDist(), 2**NORMAL_BITS
    half = distribution.cdf(cut) - 0.5  # the probability of a magnitude below the cut, with a positive sign
    table = np.array([distribution.inv_cdf(0.5 + half * (i + 0.5) / count) for i in range(count)])
    return table / math.sqrt(np.mean(table**2))


CUT = 2.0  # deviations at which Flax truncates
_OF_CUT = math.sqrt(1 - 2 * CUT * NormalDist().pdf(CUT) / (2 * NormalDist().cdf(CUT) - 1))  # the deviation left: 0.8796


def orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Draw a matrix [inputs, outputs] with orthonormal columns, or rows if there are fewer (Saxe et al. 2014).

    The signs of R make the distribution uniform (Mezzadri 2007). A convolution's kernel is a matrix [.. * inputs, outputs].
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = jnp.linalg.qr(normal(key, (max(rows, columns), min(rows, columns)), dtype, deviation=1.0))
    q = jnp.where(jnp.diagonal(r) < 0, -q, q)
    return (q if rows >= columns else q.T).reshape(shape)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return a kernel's inputs and outputs for each unit: the last two axes, times the pixels of a convolution."""
    pixels = math.prod(shape[:-2])
    return pixels * shape[-2], pixels * shape[-1]


def _scaled(draw: Callable[..., jax.Array], gain: float, average: bool = False) -> Initializer:
    """Return an initializer of variance gain / inputs, or with `average`, of gain / the mean of inputs and outputs."""

    def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        inputs, outputs = _fans(shape)
        return draw(key, shape, dtype, math.sqrt(gain / ((inputs + outputs) / 2 if average else inputs)))

    return initialize


def _truncated(key: jax.Array, shape: tuple[int, ...], dtype: Any, deviation: float) -> jax.Array:
    return normal(key, shape, dtype, deviation=deviation, cut=CUT)


def _uniform_of(key: jax.Array, shape: tuple[int, ...], dtype: Any, deviation: float) -> jax.Array:
    return uniform(key, shape, dtype, bound=math.sqrt(3) * deviation)


def _torch(fan_in: int, scale: float = 1.0) -> Initializer:
    return partial(uniform, bound=fan_in**-0.5)


# name -> (fan_in, scale) -> initializer of a kernel [.., inputs, outputs]. `scale` is the deviation of truncated_normal
# before the cut. He et al. 2015, LeCun et al. 1998, Glorot and Bengio 2010; the gains are those of flax.linen.initializers.
INITIALIZERS: dict[str, Callable[[int, float], Initializer]] = {
    "he_normal": lambda fan_in, scale: _scaled(_truncated, 2.0),
    "he_uniform": lambda fan_in, scale: _scaled(_uniform_of, 2.0),
    "lecun_normal": lambda fan_in, scale: _scaled(_truncated, 1.0),
    "lecun_uniform": lambda fan_in, scale: _scaled(_uniform_of, 1.0),
    "glorot_normal": lambda fan_in, scale: _scaled(_truncated, 1.0, average=True),
    "glorot_uniform": lambda fan_in, scale: _scaled(_uniform_of, 1.0, average=True),
    "truncated_normal": lambda fan_in, scale: partial(normal, deviation=scale * _OF_CUT, cut=CUT),
    "orthogonal": lambda fan_in, scale: orthogonal,
    "torch": _torch,  # uniform within 1 / sqrt(fan_in), as torch.nn.Linear does
}

BIAS_INITIALIZERS: dict[str, Callable[[int], Initializer]] = {
    "zeros": lambda fan_in: jax.nn.initializers.zeros,
    "torch": _torch,
}
