"""SHAPES, NETWORKS and WORKLOADS (workloads.toml), as comparisons that a user could write, on made-up data."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.parse import parse
from jaxcompare.data.base import Dataset, digest
from jaxcompare.data.loading import data_key

_FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class Shape(NamedTuple):
    """The shape of a made-up data set."""

    train: int
    test: int
    features: int
    classes: int
    largest: int  # of uint8 features; 0: the features are float32


class Workload(NamedTuple):
    """One of the comparisons, at several numbers of replicas."""

    title: str
    network: str
    base: dict[str, Any]
    factor: str
    ranges: dict[str, tuple[float, float]]  # of learning rates, for each value of the factor
    sizes: dict[int, list[int]]  # replicas -> seeds, and the rates of each value

    def comparison(self, replicas: int, **base: Any) -> Comparison:
        """Return the comparison with this number of replicas; `base` adds to the workload's own."""
        seeds, *counts = self.sizes[replicas]
        grids = [
            {self.factor: [value], "learning_rate": [float(f"{rate:.3g}") for rate in np.geomspace(high, low, count)]}
            for (value, (low, high)), count in zip(self.ranges.items(), counts, strict=True)
        ]
        return _comparison(self.network, seeds, grids, **self.base, **base)


SHAPES = {name: Shape(*numbers) for name, numbers in _FILE["shapes"].items()}
NETWORKS: dict[str, dict[str, Any]] = _FILE["networks"]
WORKLOADS = {
    name: Workload(**{**one, "sizes": {int(size): each for size, each in one["sizes"].items()}})
    for name, one in _FILE["workloads"].items()
}


def _comparison(network: str, seeds: int, grid: Any, **base: Any) -> Comparison:
    shared = {"batch_size": 128, "seeds": seeds, **NETWORKS[network], **base}
    return parse("bench", {"base": shared, "study": [{"name": "main", "grid": grid}]})


def grid_of(network: str, seeds: int, variants: int, **base: Any) -> Comparison:
    """Return the comparison of learning rates of one optimizer (default: AdamW), all so mild that they train alike."""
    rates = [float(f"{1e-4 * 1.02**power:.6g}") for power in range(variants)]
    return _comparison(network, seeds, {"learning_rate": rates}, **{"optimizer": "adamw", "snapshots": 2, **base})


def widths_of(network: str) -> tuple[int, ...]:
    """Return a network's widths, inputs and classes included.

    >>> widths_of("digits")
    (64, 256, 128, 10)
    """
    shape = SHAPES[NETWORKS[network]["dataset"]]
    return (shape.features, *NETWORKS[network]["hidden"], shape.classes)


def made_up(name: str) -> Dataset:
    """Return a data set with the real shapes and dtypes: each class is noise around a mean of its own."""
    shape, random = SHAPES[name], np.random.default_rng(0)
    means = random.random((shape.classes, shape.features), np.float32)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(count, dtype=np.int32) % shape.classes
        x = 0.5 * (means[y] + random.random((count, shape.features), np.float32))
        return (np.rint(x * shape.largest).astype(np.uint8) if shape.largest else x * 4 - 2), y

    arrays = (*draw(shape.train), *draw(shape.test))
    labels, largest = tuple(map(str, range(shape.classes))), float(shape.largest or 1)
    known = {"classes": shape.classes, "class_names": labels, "input_max": largest, "source": "made up"}
    return Dataset(name, *arrays, **known, digest=digest(*arrays))  # type: ignore[arg-type]


def loaded(comparison: Comparison) -> dict[tuple, Dataset]:
    """Return the made-up data sets of a comparison, by the key of their settings."""
    keys = {data_key(variant.settings) for study in comparison.studies for variant in study.variants}
    return {key: made_up(key[0]) for key in keys}


SLOTS = {"sgd": 0, "momentum": 1, "adamw": 2}  # numbers that an optimizer keeps for each parameter


def costs(widths: Sequence[int], optimizer: str, batch: int = 128) -> dict[str, int]:
    """Return what one step of one replica takes, by arithmetic, from the network's widths.

    - operations: of the products forward, for the weights' gradients, and for the inputs' gradients except the first layer's.
    - traffic: the least bytes that move: parameters and optimizer state, in float32, read and written once. Gradients and
      activations stay on the chip, and the batch is shared. Less may move where a GPU's second-level cache keeps them from one
      step to the next (60 MB of an H200: 21 replicas of 784-256-128-10 with AdamW).
    - streamed: the bytes where no pass is joined with another. Weights are also read forward, and backward except the first
      layer's; gradients are written and read. Half precision also converts weights, and reads the converted ones.

    >>> costs((2, 3, 4), "sgd", batch=1)
    {'operations': 96, 'traffic': 200, 'streamed': 576}
    """
    products = [inputs * outputs for inputs, outputs in itertools.pairwise(widths)]
    traffic = 4 * 2 * parameters(widths) * (1 + SLOTS[optimizer])
    streamed = traffic + 4 * (4 * parameters(widths) - products[0])
    return {"operations": 2 * batch * (3 * sum(products) - products[0]), "traffic": traffic, "streamed": streamed}


def parameters(widths: Sequence[int]) -> int:
    """Count a network's parameters.

    >>> parameters((784, 256, 128, 10))
    235146
    """
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))
