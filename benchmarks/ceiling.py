"""What the machine could do: the rate of a large float32 product by several libraries, and of copying on a GPU."""

from __future__ import annotations

import numpy as np

from benchmarks.measured import Prepared, Unit

SIZE = {"cpu": 2048, "gpu": 8192, "cuda": 8192}  # of a square matrix: large enough for the full rate
COPIED = 2**30  # bytes


def numpy_product() -> Prepared:
    """Operations of NumPy's product, on all cores."""
    size = SIZE["cpu"]
    x = np.random.default_rng(0).random((size, size), np.float32)
    out = np.empty_like(x)

    def run(steps: int) -> None:
        for _ in range(steps):
            np.matmul(x, x, out=out)

    return Prepared([Unit(run)], 2 * size**3)


def jax_product(kind: str | None = None) -> Prepared:
    """Operations of JAX's product: on CPU with all cores on one device.

    Args:
        kind: `float32`, `tensorfloat32`, `bfloat16` or `float16`; None: float32 as JAX multiplies it unless told.
    """
    import jax
    import jax.numpy as jnp

    size, half = SIZE[jax.default_backend()], kind in ("bfloat16", "float16")
    x = jax.random.uniform(jax.random.key(0), (size, size), jnp.dtype(kind) if half else jnp.float32)

    def run(steps: int) -> None:
        for _ in range(steps):
            product = jnp.matmul(x, x, precision=None if half else kind)
        product.block_until_ready()

    return Prepared([Unit(run)], 2 * size**3)


def torch_product() -> Prepared:
    """Operations of PyTorch's product, on all cores."""
    import torch

    from benchmarks.torch_parts import start, synchronize

    device = start()
    size = SIZE[device.type]
    x = torch.rand(size, size, device=device)
    out = torch.empty_like(x)

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.mm(x, x, out=out)
        synchronize(device)

    return Prepared([Unit(run)], 2 * size**3)


def jax_copy() -> Prepared:
    """Bytes read and written by JAX when it negates a large array."""
    import jax
    import jax.numpy as jnp

    x = jnp.ones(COPIED // 4, jnp.float32)

    def run(steps: int) -> None:
        y = x
        for _ in range(steps):
            y = -y
        jax.block_until_ready(y)

    return Prepared([Unit(run)], 2 * COPIED)
