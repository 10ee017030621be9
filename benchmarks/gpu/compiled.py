"""What XLA makes of a training step for an H200, on a machine without one: `python -m benchmarks.gpu.compiled`.

The command needs `jax[cuda13]` or `jax[cuda12]`, and no GPU: XLA compiles for a description of the device. Speed stays unknown,
and products are not tried out; but kernels, layouts and bytes can be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcompare.system.command import command, tell
from jaxcompare.system.strict_json import to_json

H200 = Path(__file__).with_name("h200.txtpb")


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

    devices = topologies.get_topology_desc(platform="cuda", target_config=H200.read_text(), topology="1x1x1").devices
    text, memory = ours.compiled_for(jobs.one_tile(network, shape, kind, optimizer=optimizer), devices)
    if keep:
        keep.write_text(text)
    return {"replicas": shape[0] * shape[1], "memory": memory, "loops": hlo.summary(text)}


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu.compiled", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--network", default="fashion_mnist", help="of benchmarks.workloads.NETWORKS")
    add("--shape", nargs=2, type=int, default=(10, 9), metavar=("SEEDS", "VARIANTS"))
    add("--kind", default="tensorfloat32", help="of products: float32, tensorfloat32, bfloat16, float16")
    add("--optimizer", default="adamw")
    add("--keep", type=Path, metavar="FILE", help="where XLA's text goes")
    known = summary(**vars(parser.parse_args(argv)))
    tell(to_json(known, indent=1))
    step = known["loops"][0]
    moved = step["bytes"] / known["replicas"] / 1e6
    tell(f"{step['kernels']} kernels a step, {moved:.2f} MB a replica", "stderr")
    return 0


if __name__ == "__main__":
    sys.exit(main())
