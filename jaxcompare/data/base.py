"""What a data set is: arrays with their names and their source. Shapes: N examples of a split, D features."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxcompare.config.errors import InputError
from jaxcompare.types import Batch

Array = NDArray[Any]


class DataError(InputError):
    """Data that are missing, damaged or impossible to make from the given arguments."""


class Dataset(NamedTuple):
    """A data set as its source gives it: before validation examples are taken, and before scaling."""

    name: str
    # [N, D] uint8 (fashion_mnist: D = 784, digits: D = 64) or float32 (moons, circles: D = 2); custom sets: [N, ...]
    x_train: Array
    y_train: Array  # [N] int32 classes
    x_test: Array  # [N, D], the dtype of `x_train`
    y_test: Array  # [N] int32 classes
    classes: int  # number of classes; labels are in [0, classes)
    class_names: tuple[str, ...]  # one per class
    input_max: (
        float | None
    )  # the divisor that scales inputs to the unit interval; None: the training split's largest value
    source: str  # the origin, in words
    digest: str  # sha256 in hex over the arrays, see `digest`
    validation: tuple[Array, Array] | None = None  # x and y of the set's own validation split


class Splits(NamedTuple):
    """The splits of a data set, as NumPy arrays; no example is in two of them."""

    train: Batch  # x [N, D] and y [N]: for training
    validation: Batch  # for choosing; empty at a validation fraction of 0
    test: Batch  # for reporting


def digest(*arrays: Array) -> str:
    """Fingerprint arrays: sha256 in hex over the dtype, the shape and the bytes of each."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
