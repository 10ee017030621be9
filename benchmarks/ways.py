"""WAYS: how the same work is done. CEILINGS: what bounds it, and how. Each is prepared and run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.timing import Prepared, Unit


@dataclass(frozen=True)
class Way:
    """One way of training all replicas of a workload, or one measurement of the machine."""

    prepare: str  # "module:function" of this package -> Prepared; only the way's process imports the module
    colour: int = 0  # its place in the palette of the plots
    dash: str = "-"
    torch: bool = False  # needs PyTorch
    on: tuple[str, ...] = ("cpu", "gpu")  # kinds of machine
    environment: dict[str, str] = field(default_factory=dict)
    per_core: bool = False  # a process a core, each with one thread; their rates add up
    quantity: str = ""  # what a ceiling measures


WAYS: dict[str, Way] = {
    "ours": Way("ours:prepare", 0),
    "ours on CPU": Way("ours:prepare", 0, ":", on=("gpu",), environment={"JAX_PLATFORMS": "cpu"}),
    "torch dataloader": Way("torch_ways:dataloader", 6, ":", torch=True),
    "torch indexed": Way("torch_ways:indexed", 6, "--", torch=True),
    "torch vmap compiled": Way("torch_ways:vmap", 3, torch=True),
    "torch baddbmm compiled": Way("torch_ways:baddbmm", 1, torch=True),
    # Products this small gain little from two threads.
    "torch baddbmm, a process a core": Way(
        "torch_ways:baddbmm", 5, torch=True, on=("cpu",), per_core=True, environment={"OMP_NUM_THREADS": "1"}
    ),
}
PRODUCT, COPY = "operations a second", "bytes a second"
CEILINGS: dict[str, Way] = {  # the highest of one quantity counts
    "numpy product": Way("ways:numpy_product", on=("cpu",), quantity=PRODUCT),
    "jax product": Way("ways:jax_product", quantity=PRODUCT),
    "torch product": Way("torch_ways:product", torch=True, quantity=PRODUCT),
    "jax copy": Way("ways:jax_copy", on=("gpu",), quantity=COPY),
}
SIZE = {"cpu": 2048, "gpu": 8192, "cuda": 8192}  # of a square matrix: large enough for the full rate
COPIED = 2**30  # bytes


def repeated(call: Callable[[], Any], wait: Callable[[Any], Any], amount: float) -> Prepared:
    """Call again and again, and wait for the last result."""

    def run(steps: int) -> None:
        for _ in range(steps):
            result = call()
        wait(result)

    return Prepared([Unit(run)], amount)


def numpy_product() -> Prepared:
    """Operations of NumPy's product, on all cores."""
    x = np.random.default_rng(0).random((SIZE["cpu"], SIZE["cpu"]), np.float32)
    out = np.empty_like(x)
    return repeated(lambda: np.matmul(x, x, out=out), len, 2 * len(x) ** 3)


def jax_product(kind: str = "float32") -> Prepared:
    """Operations of JAX's product in `float32`, `tensorfloat32`, `bfloat16` or `float16`: on CPU with all cores."""
    import jax

    half = kind in ("bfloat16", "float16")
    size, dtype = SIZE[jax.default_backend()], jax.numpy.dtype(kind if half else "float32")
    x = jax.random.uniform(jax.random.key(0), (size, size), dtype)
    product = jax.jit(lambda x: jax.numpy.matmul(x, x, precision=None if half else kind))
    return repeated(lambda: product(x), jax.block_until_ready, 2 * size**3)


def jax_copy() -> Prepared:
    """Bytes that JAX reads and writes when it negates a large array."""
    import jax

    x = jax.numpy.ones(COPIED // 4, jax.numpy.float32)
    return repeated(lambda: -x, jax.block_until_ready, 2 * COPIED)
