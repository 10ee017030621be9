"""Sources of a data set, tried in order until a source gives the expected arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxcompare.data.base import Array, DataError, digest


class AbsentError(DataError):
    """A place that is empty, as opposed to a place whose data are damaged."""


class Arrays(NamedTuple):
    """The arrays of a data set of images."""

    x_train: Array  # [N, D] uint8
    y_train: Array  # [N]
    x_test: Array  # [N, D] uint8
    y_test: Array  # [N]


class Pinned(NamedTuple):
    """The digests that identify the true data."""

    payloads: Mapping[str, str]  # {IDX file: sha256 in hex of its uncompressed content}
    arrays: str  # `digest` of the arrays in canonical order


class Source(NamedTuple):
    """A place and how to read it. `read` raises `AbsentError` or another DataError, whose message is the reason."""

    place: str
    read: Callable[[], Arrays]


class Attempt(NamedTuple):
    """A source that gave nothing."""

    place: str
    reason: str
    refused: bool  # the place held data, and they were wrong


class Found(NamedTuple):
    """The true arrays, their place, and the places tried before."""

    arrays: Arrays
    place: str
    attempts: tuple[Attempt, ...]


def canonical(arrays: Arrays) -> Arrays:
    """Sort examples into the order that is the same for every source, with labels as int32.

    Sources differ in their order (TFDS shuffles), and a validation split must not depend on the source. Examples are
    sorted by a hash of each, so the first n are as good as a random sample.
    """
    return Arrays(*_by_hash(arrays.x_train, arrays.y_train), *_by_hash(arrays.x_test, arrays.y_test))


def _by_hash(x: Array, y: Array) -> tuple[Array, Array]:
    if len(x) != len(y):
        raise DataError(f"{len(x)} images but {len(y)} labels")
    examples = zip(x, y.astype(np.uint8), strict=True)
    hashes = [hashlib.sha256(row.tobytes() + label.tobytes()).digest() for row, label in examples]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return x[order], y[order].astype(np.int32)


def verify(arrays: Arrays, expected: str) -> Arrays:
    """Return the arrays if they have the expected digest, else raise DataError."""
    actual = digest(*arrays)
    if actual != expected:
        raise DataError(f"other data than expected: their digest is {actual[:12]}... instead of {expected[:12]}...")
    return arrays


def find(sources: Iterable[Source]) -> Found | tuple[Attempt, ...]:
    """Return the arrays of the first source that gives verified arrays, or else all attempts with their reasons."""
    attempts: list[Attempt] = []
    for source in sources:
        try:
            return Found(source.read(), source.place, tuple(attempts))
        except (DataError, OSError) as error:  # OSError: a folder without permission, a full disk
            attempts.append(Attempt(source.place, str(error), not isinstance(error, AbsentError)))
    return tuple(attempts)
