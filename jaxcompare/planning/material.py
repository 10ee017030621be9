"""Data on the host, ready for the devices: split, with their scaling and the examples that are evaluated and probed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from jaxcompare import data as datasets
from jaxcompare.config.errors import brief
from jaxcompare.config.settings import Settings
from jaxcompare.engine import segment
from jaxcompare.types import Batch

FIELD_POINTS = 64  # width and height of a decision field, in points
FIELD_MARGIN = 0.1  # around the training points, as a share of their extent


class Warned(NamedTuple):
    """What a reader must know of a data set: a key of the catalogue of words with its values."""

    key: str
    values: dict[str, Any]


class Material(NamedTuple):
    """A data set as the programs take it, on the host."""

    data: segment.Data  # NumPy leaves
    classes: int
    features: int
    chance: float  # the share of the test set's largest class
    digest: str
    source: str
    class_names: tuple[str, ...]
    warnings: tuple[Warned, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example: (features,), or (height, width, channels) and the like of images."""
        return self.data.train.x.shape[1:]

    @property
    def bytes(self) -> int:
        """Size of the data set on a device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.data))


def make_material(dataset: datasets.Dataset, settings: Settings) -> Material:
    """Split a data set, compute its scaling, and pick the examples that are evaluated and probed.

    Args:
        dataset: as its source gives it.
        settings: only the keys in `programs.MATERIAL` matter.

    Raises:
        DataError: the split leaves no training examples.
    """
    splits = datasets.split(dataset, validation_fraction=settings.validation_fraction, seed=settings.data_seed)

    def head(count: int) -> Batch:
        """Return a random sample: a split's examples are in drawn order."""
        return Batch(splits.train.x[:count], splits.train.y[:count])

    factor, shift = datasets.scaling(splits.train.x, settings.input_scaling, dataset.input_max)
    features = int(np.prod(splits.train.x.shape[1:]))
    data = segment.Data(
        Batch(*splits.train),
        head(settings.train_subset),
        Batch(*splits.validation),
        Batch(*splits.test),
        head(settings.probe_size),
        cast(Any, (np.asarray(factor, np.float32), np.asarray(shift, np.float32))),
        cast(Any, field_grid(splits.train.x)) if splits.train.x.shape[1:] == (2,) and dataset.classes == 2 else None,
    )
    chance = float(np.bincount(splits.test.y).max() / len(splits.test.y))
    found = (
        *_missing_classes(splits, dataset.class_names),
        *_constant_features(splits.train.x, settings.input_scaling),
    )
    return Material(
        data, dataset.classes, features, chance, dataset.digest, dataset.source, dataset.class_names, warnings=found
    )


def _missing_classes(splits: datasets.Splits, class_names: Sequence[str]) -> list[Warned]:
    """Return a warning for each split with examples that lacks a class."""
    found = []
    for split, examples in splits._asdict().items():
        missing = sorted(set(range(len(class_names))) - set(np.unique(examples.y).tolist()))
        if missing and len(examples.y):
            names = brief(", ".join(class_names[label] for label in missing))
            found.append(Warned("data.missing_class", {"split": split, "count": len(missing), "names": names}))
    return found


def _constant_features(x: Any, input_scaling: str) -> list[Warned]:
    """Return a warning where standardisation meets features that are equal in all training examples."""
    if input_scaling != "standardised" or x.dtype == np.uint8:  # pixels share one scale
        return []
    flat = x.reshape(len(x), -1)
    constant = np.flatnonzero(flat.max(0) == flat.min(0))
    values = {"count": len(constant), "of": flat.shape[1], "places": brief(", ".join(map(str, constant[:50])))}
    return [Warned("data.constant_features", values)] if len(constant) else []


def field_axes(points: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of the decision field, each [FIELD_POINTS], around points [N, 2]."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = FIELD_MARGIN * (high - low)
    x, y = (np.linspace(low[i] - margin[i], high[i] + margin[i], FIELD_POINTS, dtype=np.float32) for i in (0, 1))
    return x, y


def field_grid(points: Any) -> np.ndarray:
    """Return the points of the decision field [FIELD_POINTS^2, 2], the second feature varying slowest."""
    x, y = field_axes(points)
    return np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=-1)
