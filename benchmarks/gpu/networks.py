"""NETWORKS: what is trained, as comparisons of one program whose replicas make a tile of any shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.workloads import SHAPES, loaded
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.parse import parse
from jaxcompare.planning import layout
from jaxcompare.planning.programs import tiles_of

# One of each class of size that has a tile of its own (`assemble.TILE_REPLICAS`), and the one of comparison C; with as many
# epochs as the comparisons have, because the programs keep rows for them.
NETWORKS: dict[str, dict[str, Any]] = {
    "moons": {"dataset": "moons", "hidden": [64, 64, 64, 64], "epochs": 100},
    "digits": {"dataset": "digits", "hidden": [256, 128], "epochs": 50},
    "fashion_mnist": {"dataset": "fashion_mnist", "hidden": [256, 128]},
    "wide": {"dataset": "fashion_mnist", "hidden": [2048, 2048]},
}
LOWEST, STEP = 1e-4, 1.02  # learning rates: so mild and so close that all train alike


def comparison(network: str, seeds: int, variants: int, **base: Any) -> Comparison:
    """So many seeds and learning rates of one optimizer (adamw unless told): one program."""
    rates = [float(f"{LOWEST * STEP**power:.6g}") for power in range(variants)]
    shared = {"optimizer": "adamw", "batch_size": 128, "epochs": 5, "snapshots": 2, "seeds": seeds}
    return parse(
        "bench",
        {
            "base": {**shared, **NETWORKS[network], **base},
            "study": [{"name": "main", "grid": {"learning_rate": rates}}],
        },
    )


def plan_of(made: Comparison, shape: tuple[int, int] | None = None) -> layout.Plan:
    """The comparison's only program in tiles of that shape, or in one."""
    (plan,) = layout.plan(made, loaded(made), platform="gpu")
    shape = shape or (len(plan.program.seeds), len(plan.program.variants))
    return replace(plan, shape=shape, tiles=tuple(tiles_of(plan.program, shape)))


def widths(network: str) -> tuple[int, ...]:
    """Of the network, inputs and classes included.

    >>> widths("digits")
    (64, 256, 128, 10)
    """
    shape = SHAPES[NETWORKS[network]["dataset"]]
    return (shape.features, *NETWORKS[network]["hidden"], shape.classes)
