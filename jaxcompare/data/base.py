"""What a data set is: arrays with their names and where they came from. It needs nothing of ours but the base of errors.

Shapes: N examples of a split, D features.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxcompare.config.errors import InputError

Array = NDArray[Any]


class DataError(InputError):
    """Data that are missing, damaged or impossible to make; the message is for the user."""


class Dataset(NamedTuple):
    """A data set as its source gives it, before any validation examples are taken off and before any scaling."""

    name: str
    x_train: Array  # [N, D] uint8 (fashion_mnist: D = 784, digits: D = 64) or float32 (moons, circles: D = 2)
    y_train: Array  # [N] int32
    x_test: Array  # [N, D]
    y_test: Array  # [N] int32
    classes: int
    class_names: tuple[str, ...]
    input_max: float  # what scaling to the unit interval divides by
    source: str  # where it came from, in words
    digest: str  # sha256 in hex over the four arrays, see `digest`


class Examples(NamedTuple):
    """The examples of one split."""

    x: Array  # [N, D]
    y: Array  # [N] int32


class Splits(NamedTuple):
    """What is trained on, what is chosen by and what is reported; no example is in two of them."""

    train: Examples
    validation: Examples  # empty at a validation fraction of 0
    test: Examples


def digest(*arrays: Array) -> str:
    """Fingerprint arrays: sha256 in hex over the dtype, the shape and the bytes of each."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
