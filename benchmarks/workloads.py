"""WORKLOADS and NETWORKS: what is trained, as configs that a user could write.

The data are made up and have the real shapes: neither network nor downloads are needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.parse import parse
from jaxcompare.config.settings import Settings
from jaxcompare.data.base import Dataset, digest
from jaxcompare.data.loading import data_key

Grid = dict[str, list[Any]]


class Shape(NamedTuple):
    """The shape of a made-up data set."""

    train: int
    test: int
    features: int
    classes: int
    largest: int  # of uint8 features; 0: the features are float32


# fashion_mnist has a tenth of its 60,000 examples. The cost of drawing an epoch's order grows with the examples, and so does
# the epoch. A run of a second is a small part of a real epoch, in which a whole order would weigh more than in training.
SHAPES = {
    "fashion_mnist": Shape(6_000, 1_000, 784, 10, 255),
    "digits": Shape(1_437, 360, 64, 10, 16),
    "moons": Shape(2_000, 1_000, 2, 2, 0),
}
# One network of each class of size that has a tile shape of its own, and that of comparison C. They have as many epochs as the
# comparisons, because programs keep rows for them.
NETWORKS: dict[str, dict[str, Any]] = {
    "moons": {"dataset": "moons", "hidden": [64, 64, 64, 64], "epochs": 100},
    "digits": {"dataset": "digits", "hidden": [256, 128], "epochs": 50},
    "fashion_mnist": {"dataset": "fashion_mnist", "hidden": [256, 128], "epochs": 5},
    "wide": {"dataset": "fashion_mnist", "hidden": [2048, 2048], "epochs": 5},
}
MOMENTUM = {"optimizer": "momentum"}


class Workload(NamedTuple):
    """One of the comparisons, at several numbers of replicas."""

    title: str
    network: str
    base: dict[str, Any]
    sizes: dict[int, tuple[int, list[Grid]]]  # replicas -> seeds, grids

    def comparison(self, replicas: int, **base: Any) -> Comparison:
        """Return the comparison with this number of replicas; `base` adds to the workload's own."""
        seeds, grids = self.sizes[replicas]
        return _comparison(self.network, seeds, grids, **self.base, **base)

    @property
    def settings(self) -> Settings:
        """The settings of the first replica; all replicas share the data and the network."""
        return self.comparison(min(self.sizes)).studies[0].variants[0].settings


def _comparison(network: str, seeds: int, grid: list[Grid] | Grid, **base: Any) -> Comparison:
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


def _rates(low: float, high: float, count: int) -> list[float]:
    return [float(f"{rate:.3g}") for rate in np.geomspace(high, low, count)] if count > 1 else [high]


def _grids(key: str, ranges: dict[str, tuple[float, float]], counts: Sequence[int]) -> list[Grid]:
    each = zip(ranges.items(), counts, strict=True)
    return [{key: [name], "learning_rate": _rates(low, high, count)} for (name, (low, high)), count in each]


def _losses(rates: int) -> list[Grid]:
    return _grids("loss", {"cross_entropy": (0.001, 0.01), "mse": (0.01, 0.1)}, [rates, rates])


def _activations(rates: int) -> list[Grid]:
    return [{"activation": ["relu", "leaky_relu", "sigmoid"], "learning_rate": _rates(0.001, 0.01, rates)}]


def _optimizers(*rates: int) -> list[Grid]:
    return _grids("optimizer", {"sgd": (0.01, 0.1), "momentum": (0.001, 0.01), "adamw": (0.0001, 0.001)}, rates)


# Seeds and rates are split as in the comparisons. The rates are mild, so that nothing diverges.
_C = {9: (1, _optimizers(3, 3, 3)), 32: (2, _optimizers(5, 5, 6)), 90: (10, _optimizers(3, 3, 3))}
_B = {replicas: (seeds, _activations(rates)) for replicas, seeds, rates in ((3, 1, 1), (30, 10, 1), (150, 10, 5))}
WORKLOADS: dict[str, Workload] = {
    "a_fashion": Workload("A, Fashion-MNIST, two losses", "fashion_mnist", MOMENTUM, {2: (1, _losses(1))}),
    "c_fashion": Workload(
        "C, Fashion-MNIST, three optimizers", "fashion_mnist", {}, {**_C, 270: (10, _optimizers(9, 9, 9))}
    ),
    "b_moons": Workload(
        "B, moons, three activations",
        "moons",
        {**MOMENTUM, "validation_fraction": 0.25, "train_subset": 500},
        {**_B, 1500: (100, _activations(5))},
    ),
    "digits": Workload(
        "A, digits, two losses", "digits", MOMENTUM, {2: (1, _losses(1)), 20: (2, _losses(5)), 200: (20, _losses(5))}
    ),
}


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
