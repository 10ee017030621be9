"""What decides numbers beside the config: versions of packages, JAX's flags, our own sources, the user's modules."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import jax

from jaxcompare.config import custom
from jaxcompare.config.comparison import digest
from jaxcompare.config.settings import Settings

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
# The parts of the package that decide numbers; what the others do changes no bits. `places.py` chooses how many threads a CPU
# device has, by which XLA cuts long sums.
DECIDE_NUMBERS = (
    *("types.py", "config/", "components/", "data/", "engine/", "diagnostics/", "planning/"),
    "execution/places.py",
)
# JAX's flags that change which numbers are drawn, their types, or how XLA computes; a version of JAX may lack some.
FLAGS = (
    *("enable_x64", "explicit_x64_dtypes", "numpy_dtype_promotion", "default_matmul_precision", "allow_f16_reductions"),
    *("default_prng_impl", "enable_custom_prng", "threefry_partitionable", "random_seed_offset"),
    *("high_dynamic_range_gumbel", "threefry_gpu_kernel_lowering"),
    *("disable_most_optimizations", "optimization_level", "exec_time_optimization_effort", "disable_jit"),
    *("memory_fitting_effort", "memory_fitting_level", "compiler_enable_remat_pass", "remat3", "scan3"),
    *("softmax_custom_jvp", "use_direct_linearize", "custom_vjp3", "use_shardy_partitioner"),
)
# XLA's flags that change no number: how many devices a CPU is split into, and what is written for reading.
HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump_")


def flags() -> dict[str, str]:
    """Return the flags of JAX and XLA that change numbers, set by the environment or by the caller."""
    values = jax.config.values
    found = {name: str(values[f"jax_{name}"]) for name in FLAGS if f"jax_{name}" in values}
    given = sorted(flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(HARMLESS))
    return {**found, "XLA_FLAGS": " ".join(given)}


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers."""
    return {package: metadata.version(package) for package in PACKAGES}


@cache
def processor() -> str:
    """Return a name of the CPU's instruction sets, by which XLA chooses how to compute."""
    found = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found += sorted({line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))})
    return f"{platform.machine()} {digest(found)[:16]}"


def processor_of(device: jax.Device) -> str:
    """Return the processor that decides a device's rounding; empty where the device is not a CPU."""
    return processor() if device.platform == "cpu" else ""


def code_digest() -> str:
    """Return the sha256 of the sources that decide numbers: results never mix two states of the code."""
    root = Path(__file__).parent.parent
    sources = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).as_posix().startswith(DECIDE_NUMBERS)
    }
    return digest(sources)


def plugin_digests(every: Iterable[Settings]) -> dict[str, str]:
    """Return the sha256 of each module that custom functions come from: an edited function is another one.

    Modules of the user's that such a module imports count, too; installed modules that it imports do not. A missing module is
    an error later, when the function is used.
    """
    digests: dict[str, str] = {}
    # The arrays of a custom data set have a digest of their own.
    for module in {name.partition(":")[0] for kind, name in custom.functions(every) if kind != "dataset"}:
        file = custom.file_of(module)
        found = custom.sources(module) or ({} if file is None else {module: file.read_bytes()})
        digests |= {name: hashlib.sha256(source).hexdigest() for name, source in found.items()}
    return digests
