"""WORKLOADS: what is trained. Configs as a user would write them, on made-up data of the real shapes, so that neither
network nor downloads are needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.parse import parse
from jaxcompare.config.settings import Settings
from jaxcompare.data.base import Dataset, digest
from jaxcompare.data.loading import data_key

Grid = dict[str, list[Any]]


@dataclass(frozen=True)
class Shape:
    """What a made-up data set looks like."""

    train: int
    test: int
    features: int
    classes: int
    largest: int  # of uint8 features; 0: the features are float32


# fashion_mnist has a tenth of its 60,000 examples. What drawing an epoch's order costs grows with them, and so does the epoch;
# but a run of a second is a small part of a real epoch, in which a whole order would weigh more than it does in training.
SHAPES = {
    "fashion_mnist": Shape(6_000, 1_000, 784, 10, 255),
    "digits": Shape(1_437, 360, 64, 10, 16),
    "moons": Shape(2_000, 1_000, 2, 2, 0),
}


@dataclass(frozen=True)
class Workload:
    """One of the comparisons, at several numbers of replicas."""

    title: str
    base: dict[str, Any]
    sizes: dict[int, tuple[int, list[Grid]]]  # replicas -> seeds, grids

    def config(self, replicas: int, **base: Any) -> dict[str, Any]:
        """What a user would write for so many replicas; `base` beside or instead of the workload's own."""
        seeds, grids = self.sizes[replicas]
        shared = {**self.base, "batch_size": 128, "seeds": seeds, **base}
        return {"base": shared, "study": [{"name": "main", "grid": grids}]}

    def comparison(self, replicas: int, **base: Any) -> Comparison:
        """The config, checked and expanded."""
        return parse("bench", self.config(replicas, **base))

    def single(self, **base: Any) -> Comparison:
        """One replica of each kind: one seed, and one learning rate for each optimizer, activation and loss."""
        _, grids = self.sizes[min(self.sizes)]
        firsts = [
            {key: values[:1] if key == "learning_rate" else values for key, values in one.items()} for one in grids
        ]
        shared = {**self.base, "batch_size": 128, "seeds": 1, **base}
        return parse("bench", {"base": shared, "study": [{"name": "main", "grid": firsts}]})

    @property
    def settings(self) -> Settings:
        """What all replicas share; the rest is the first one's."""
        return self.comparison(min(self.sizes)).studies[0].variants[0].settings

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the network, inputs and classes included."""
        shape = SHAPES[self.settings.dataset]
        return (shape.features, *self.settings.hidden, shape.classes)


def _rates(low: float, high: float, count: int) -> list[float]:
    return [float(f"{rate:.3g}") for rate in np.geomspace(high, low, count)] if count > 1 else [high]


def _losses(rates: int) -> list[Grid]:
    grids = (("cross_entropy", 0.001, 0.01), ("mse", 0.01, 0.1))
    return [{"loss": [loss], "learning_rate": _rates(low, high, rates)} for loss, low, high in grids]


def _activations(rates: int) -> list[Grid]:
    return [{"activation": ["relu", "leaky_relu", "sigmoid"], "learning_rate": _rates(0.001, 0.01, rates)}]


def _optimizers(*rates: int) -> list[Grid]:
    grids = (("sgd", 0.01, 0.1), ("momentum", 0.001, 0.01), ("adamw", 0.0001, 0.001))
    return [
        {"optimizer": [optimizer], "learning_rate": _rates(low, high, count)}
        for (optimizer, low, high), count in zip(grids, rates, strict=True)
    ]


# Seeds and rates are split as in the comparisons themselves. The rates are mild, so that nothing diverges.
WORKLOADS: dict[str, Workload] = {
    "a_fashion": Workload(
        "A, Fashion-MNIST, two losses",
        {"dataset": "fashion_mnist", "hidden": [256, 128], "optimizer": "momentum", "epochs": 5},
        {2: (1, _losses(1))},
    ),
    "c_fashion": Workload(
        "C, Fashion-MNIST, three optimizers",
        {"dataset": "fashion_mnist", "hidden": [256, 128], "epochs": 5},
        {
            9: (1, _optimizers(3, 3, 3)),
            32: (2, _optimizers(5, 5, 6)),
            90: (10, _optimizers(3, 3, 3)),
            270: (10, _optimizers(9, 9, 9)),
        },
    ),
    "b_moons": Workload(
        "B, moons, three activations",
        {
            "dataset": "moons",
            "hidden": [64, 64, 64, 64],
            "optimizer": "momentum",
            "epochs": 100,
            "validation_fraction": 0.25,
            "train_subset": 500,
        },
        {3: (1, _activations(1)), 30: (10, _activations(1)), 150: (10, _activations(5)), 1500: (100, _activations(5))},
    ),
    "digits": Workload(
        "A, digits, two losses",
        {"dataset": "digits", "hidden": [256, 128], "optimizer": "momentum", "epochs": 50},
        {2: (1, _losses(1)), 20: (2, _losses(5)), 200: (20, _losses(5))},
    ),
}


def made_up(name: str) -> Dataset:
    """A data set of the real one's shapes and dtypes: each class is noise around a mean of its own."""
    shape, random = SHAPES[name], np.random.default_rng(0)
    means = random.random((shape.classes, shape.features), np.float32)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(count, dtype=np.int32) % shape.classes
        x = 0.5 * (means[y] + random.random((count, shape.features), np.float32))
        return (np.rint(x * shape.largest).astype(np.uint8) if shape.largest else x * 4 - 2), y

    arrays = (*draw(shape.train), *draw(shape.test))
    return Dataset(
        name,
        *arrays,
        classes=shape.classes,
        class_names=tuple(str(label) for label in range(shape.classes)),
        input_max=float(shape.largest or 1),
        source="made up",
        digest=digest(*arrays),
    )


def loaded(comparison: Comparison) -> dict[tuple, Dataset]:
    """The made-up data sets of a comparison, as `planning.plan` takes them."""
    keys = {data_key(variant.settings) for study in comparison.studies for variant in study.variants}
    return {key: made_up(key[0]) for key in keys}


def operations(widths: Sequence[int], batch: int) -> int:
    """Floating-point operations of the products in one step of one replica.

    Forward, gradients of the weights, and gradients of the inputs of every layer but the first, which nobody needs.

    >>> operations((2, 3, 4), batch=1)
    96
    """
    products = [inputs * outputs for inputs, outputs in itertools.pairwise(widths)]
    return 2 * batch * (3 * sum(products) - products[0])


SLOTS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}  # numbers that an optimizer keeps for each parameter


def traffic(widths: Sequence[int], optimizer: str) -> int:
    """The least bytes that one step of one replica moves: parameters and optimizer state, in float32, read and written once.

    Gradients and activations are taken to stay on the chip, and a batch to be shared. What fits into a GPU's second-level cache
    from one step to the next (60 MB of an H200: 21 replicas of 784-256-128-10 with AdamW) may move less.

    >>> traffic((2, 3, 4), optimizer="sgd")
    200
    """
    return 4 * 2 * parameters(widths) * (1 + SLOTS[optimizer])


def streamed(widths: Sequence[int], optimizer: str) -> int:
    """The bytes that one step of one replica moves where each pass is one: beside what `traffic` counts, weights are read
    forward, and backward but for the first layer's; gradients are written and read. No less where no pass is joined with
    another; half precision converts weights besides, and reads the converted ones.

    >>> streamed((2, 3, 4), optimizer="sgd") - traffic((2, 3, 4), optimizer="sgd")
    376
    """
    return traffic(widths, optimizer) + 4 * (4 * parameters(widths) - widths[0] * widths[1])


def parameters(widths: Sequence[int]) -> int:
    """How many numbers a network has.

    >>> parameters((784, 256, 128, 10))
    235146
    """
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))
