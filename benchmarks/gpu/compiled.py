"""What XLA makes of a training step for an H200, on a machine without one: `python -m benchmarks.gpu.compiled`.

The command needs `jax[cuda13]` or `jax[cuda12]`, and no GPU: XLA compiles for a description of the device. Speed stays unknown,
and products are not tried out; but kernels, layouts and bytes can be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Figures of the vendor's data sheet and CUDA's deviceQuery, in the words of XLA's `GpuTargetConfigProto`.
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000
  l2_cache_size: 62914560
  clock_rate_ghz: 1.98
  device_memory_size: 150000000000
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 minor: 0 }
device_description_str: "NVIDIA H200"
"""


def summary(network: str, shape: Sequence[int], kind: str, optimizer: str, keep: Path | None = None) -> dict[str, Any]:
    """Compile one tile's training for an H200; return its memory, and loops, kernels and bytes as `hlo.summary` has them.

    Raises:
        RuntimeError: JAX has no plug-in for CUDA.
    """
    # Nothing is tried out, because there is nothing to try it on; and no device is searched for.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    os.environ["JAX_PLATFORMS"] = "cpu"
    from jax.experimental import topologies

    from benchmarks import ours
    from benchmarks.gpu import hlo, jobs

    devices = topologies.get_topology_desc(platform="cuda", target_config=H200, topology="1x1x1").devices
    text, memory = ours.compiled_for(jobs.one_tile(network, shape, kind, optimizer=optimizer), devices)
    if keep:
        keep.write_text(text)
    return {"replicas": shape[0] * shape[1], "memory": memory, "loops": hlo.summary(text)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.compiled", description=__doc__, allow_abbrev=False)
    parser.add_argument("--network", default="fashion_mnist", help="of benchmarks.workloads.NETWORKS")
    parser.add_argument("--shape", nargs=2, type=int, default=(10, 9), metavar=("SEEDS", "VARIANTS"))
    parser.add_argument(
        "--kind", default="tensorfloat32", help="of products: float32, tensorfloat32, bfloat16, float16"
    )
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where XLA's text goes")
    given = parser.parse_args(argv)
    found = summary(given.network, given.shape, given.kind, given.optimizer, given.keep)
    print(json.dumps(found, indent=1))
    step = found["loops"][0]
    words = f"{step['kernels']} kernels a step, {step['bytes'] / found['replicas'] / 1e6:.2f} MB a replica"
    print(words, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
