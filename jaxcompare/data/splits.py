"""Validation examples, taken from the training set, and the scaling of inputs, computed from the training split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxcompare.config.registry import nearest
from jaxcompare.data.base import Array, DataError, Dataset, Splits
from jaxcompare.types import Batch

_ROWS_AT_ONCE = 4096  # np.bincount widens its input to int64, eight times the size of the images


def generator(seed: int, purpose: int) -> np.random.Generator:
    """Return the random generator of a seed for one purpose; generators of different purposes share no numbers."""
    if seed < 0:
        raise DataError(f"a data seed must be at least 0, not {seed}")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,)))


def quotas(counts: Array, fraction: float) -> Array:
    """Divide round(fraction * N) examples among classes in proportion to `counts`, by largest remainders.

    Args:
        counts: [C] int64, the number of examples of each class.
        fraction: the share of all examples, in [0, 1).

    Returns:
        [C] int64, the number of examples to take of each class; among equal remainders the lower class goes first.
    """
    total = int(counts.sum())
    taken = int(np.floor(fraction * total + 0.5))
    shares, remainders = np.divmod(counts * taken, max(total, 1))
    first = np.argsort(-remainders, kind="stable")[: taken - int(shares.sum())]
    shares[first] += 1
    return np.asarray(shares)


def stratified(labels: Array, *, classes: int, fraction: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Divide examples in two, with every class in the same proportion on both sides.

    Args:
        labels: [N] integers in [0, classes).
        classes: number of classes.
        fraction: the share to take, in [0, 1).
        random: draws which examples are taken, and the order of both sides.

    Returns:
        Indices (kept, taken) into `labels`, shuffled: the first n of either are a random sample.

    Raises:
        DataError: the fraction is out of range or keeps no example of some class.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"the fraction of examples to take must be in [0, 1), not {fraction:g}")
    counts = np.bincount(labels, minlength=classes)
    takes = quotas(counts, fraction)
    emptied = [str(label) for label in np.flatnonzero(counts - takes <= 0)]
    if emptied:
        raise DataError(
            f"taking {fraction:g} of {len(labels)} examples leaves none to train on of class {', '.join(emptied)}"
        )
    order = random.permutation(len(labels))
    of_class = [order[labels[order] == label] for label in range(classes)]
    is_taken = np.zeros(len(labels), bool)
    for members, take in zip(of_class, takes, strict=True):
        is_taken[members[:take]] = True
    return order[~is_taken[order]], order[is_taken[order]]


def split(dataset: Dataset, *, validation_fraction: float, seed: int) -> Splits:
    """Take validation examples from the training set, stratified by class; the test set is unchanged.

    A data set with a validation split of its own keeps it at any fraction.

    Args:
        dataset: the data set, as `load` returns it.
        validation_fraction: the share of the training set to take, in [0, 1); 0 makes an empty validation split.
        seed: decides which examples are taken, and the order of both splits; at least 0.

    Returns:
        The three splits, unscaled: each with x [N, D] and y [N] int32. Train and validation are shuffled.

    Raises:
        DataError: the fraction is out of range or leaves a class without training examples.

    Example:
        >>> from jaxcompare import data
        >>> moons = data.load("moons", data_seed=0, samples=300, test_samples=100, noise=None, factor=0.5)
        >>> [len(part.y) for part in data.split(moons, validation_fraction=0.2, seed=0)]
        [240, 60, 100]
    """
    fraction = validation_fraction if dataset.validation is None else 0.0
    kept, taken = stratified(dataset.y_train, classes=dataset.classes, fraction=fraction, random=generator(seed, 0))
    validation = dataset.validation or (dataset.x_train[taken], dataset.y_train[taken])
    return Splits(
        train=_on_host(dataset.x_train[kept], dataset.y_train[kept]),
        validation=_on_host(*validation),
        test=_on_host(dataset.x_test, dataset.y_test),
    )


def _on_host(x: Any, y: Any) -> Batch:
    """Pair NumPy arrays; the types of `Batch` are JAX's, since most batches are on a device."""
    return Batch(x, y)


def scaling(x: ArrayLike, kind: str, input_max: float | None) -> tuple[Array, Array]:
    """Compute the scale and the shift of inputs; a network sees `x * scale + shift`.

    Args:
        x: [N, D] inputs of the training split alone: other splits must not influence the scaling.
        kind: "unit" divides by `input_max`. "standardised" gives mean 0 and standard deviation 1: over all pixels together
            for images (uint8), for each feature separately otherwise. "none" changes nothing.
        input_max: the largest value that an input can take; None: the largest magnitude in x.

    Returns:
        (scale, shift), both float32: scalars [], or [D] for standardised features.

    Raises:
        DataError: there is no scaling of that kind, or an empty split cannot be standardised.

    Example:
        >>> scale, shift = scaling(np.array([[0.0, 10.0], [2.0, 30.0]]), "standardised", 1.0)
        >>> scale.tolist(), shift.tolist()
        ([1.0, 0.10000000149011612], [-1.0, -2.0])
    """
    if kind not in _SCALINGS:
        raise DataError(f"there is no input scaling {kind!r}; {nearest(kind, _SCALINGS)}")
    scale, shift = _SCALINGS[kind](np.asarray(x), input_max)
    return np.asarray(scale, np.float32), np.asarray(shift, np.float32)


def _unit(x: Array, input_max: float | None) -> tuple[Array, Array]:
    largest = float(np.abs(x).max(initial=0.0)) if input_max is None else input_max
    return np.asarray(1 / (largest or 1.0)), np.asarray(0.0)


def _standardised(x: Array, input_max: float | None) -> tuple[Array, Array]:
    if not len(x):
        raise DataError("an empty training split cannot standardise inputs")
    mean, deviation = _moments_of_pixels(x) if x.dtype == np.uint8 else _moments_of_features(x)
    deviation = np.where(deviation > 0, deviation, 1.0)  # a constant input is only centred
    return 1 / deviation, -mean / deviation


def _none(x: Array, input_max: float | None) -> tuple[Array, Array]:
    return np.asarray(1.0), np.asarray(0.0)


_SCALINGS = {"unit": _unit, "standardised": _standardised, "none": _none}


def _moments_of_pixels(x: Array) -> tuple[Array, Array]:
    counts = np.zeros(256, np.int64)
    for start in range(0, len(x), _ROWS_AT_ONCE):
        counts += np.bincount(x[start : start + _ROWS_AT_ONCE].ravel(), minlength=256)
    values = np.arange(256)
    mean = counts @ values / counts.sum()
    return mean, np.sqrt(counts @ (values - mean) ** 2 / counts.sum())


def _moments_of_features(x: Array) -> tuple[Array, Array]:
    deviation = x.std(0, dtype=np.float64)
    # The mean of equal numbers may be rounded: their deviation is then above zero.
    return x.mean(0, dtype=np.float64), np.where(x.max(0) > x.min(0), deviation, 0.0)
