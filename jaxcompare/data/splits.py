"""Taking validation examples off the training set, and scaling inputs by what the training set says."""

from __future__ import annotations

import numpy as np

from jaxcompare.data.base import Array, DataError, Dataset, Examples, Splits

_ROWS_AT_ONCE = 4096  # np.bincount widens its input to int64, eight times the size of the images


def generator(seed: int, purpose: int) -> np.random.Generator:
    """Make a random generator of its own for each purpose, so that no two draws of one seed share their numbers."""
    if seed < 0:
        raise DataError(f"a data seed must be at least 0, not {seed}")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,)))


def quotas(counts: Array, fraction: float) -> Array:
    """Share round(fraction * N) examples among classes in proportion to `counts`, by largest remainders.

    Args:
        counts: [C] int64, the examples of each class.
        fraction: of all examples, in [0, 1).

    Returns:
        [C] int64, the examples to take of each class; of equal remainders the lower class goes first.
    """
    total = int(counts.sum())
    taken = int(np.floor(fraction * total + 0.5))
    shares, remainders = np.divmod(counts * taken, max(total, 1))
    first = np.argsort(-remainders, kind="stable")[: taken - int(shares.sum())]
    shares[first] += 1
    return np.asarray(shares)


def stratified(labels: Array, *, classes: int, fraction: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Part examples in two, with every class in the same proportion on both sides.

    Args:
        labels: [N] integers in [0, classes).
        classes: how many classes there are.
        fraction: the share to take off, in [0, 1).
        random: draws which examples are taken, and the order of both sides.

    Returns:
        Indices (kept, taken) into `labels`, shuffled, so that any head of them is a random sample.

    Raises:
        DataError: the fraction is out of its range or keeps no example of some class.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"the fraction of examples to take off must be in [0, 1), not {fraction:g}")
    counts = np.bincount(labels, minlength=classes)
    takes = quotas(counts, fraction)
    emptied = [str(label) for label in np.flatnonzero(counts - takes <= 0)]
    if emptied:
        raise DataError(
            f"taking off {fraction:g} of {len(labels)} examples leaves none to train on of class {', '.join(emptied)}"
        )
    order = random.permutation(len(labels))
    of_class = [order[labels[order] == label] for label in range(classes)]
    is_taken = np.zeros(len(labels), bool)
    for members, take in zip(of_class, takes, strict=True):
        is_taken[members[:take]] = True
    return order[~is_taken[order]], order[is_taken[order]]


def split(dataset: Dataset, *, validation_fraction: float, seed: int) -> Splits:
    """Take validation examples off the training set, stratified by class; the test set stays as it is.

    Args:
        dataset: what `load` returned.
        validation_fraction: of the training set, in [0, 1); 0 makes an empty validation split.
        seed: decides which examples are taken, and the order of both splits.

    Raises:
        DataError: the fraction is out of its range or leaves a class without training examples.
    """
    kept, taken = stratified(
        dataset.y_train, classes=dataset.classes, fraction=validation_fraction, random=generator(seed, 0)
    )
    return Splits(
        train=Examples(dataset.x_train[kept], dataset.y_train[kept]),
        validation=Examples(dataset.x_train[taken], dataset.y_train[taken]),
        test=Examples(dataset.x_test, dataset.y_test),
    )


def scaling(x: Array, kind: str, input_max: float) -> tuple[Array, Array]:
    """Find scale and shift such that a network is to see `x * scale + shift`.

    Args:
        x: [N, D] inputs of the training split, and of no other.
        kind: "unit" divides by `input_max`; "standardised" gives mean 0 and standard deviation 1, over all pixels at
            once for images (uint8) and for each feature apart for others; "none" changes nothing.
        input_max: the largest value that an input can take.

    Returns:
        (scale, shift), float32, each [] or, for standardised features, [D].
    """
    if kind not in _SCALINGS:
        raise DataError(f"there is no input scaling {kind!r}; there are {', '.join(_SCALINGS)}")
    scale, shift = _SCALINGS[kind](x, input_max)
    return np.asarray(scale, np.float32), np.asarray(shift, np.float32)


def _unit(x: Array, input_max: float) -> tuple[Array, Array]:
    return np.asarray(1 / input_max), np.asarray(0.0)


def _standardised(x: Array, input_max: float) -> tuple[Array, Array]:
    if not len(x):
        raise DataError("inputs cannot be standardised by an empty training split")
    mean, deviation = _moments_of_pixels(x) if x.dtype == np.uint8 else _moments_of_features(x)
    deviation = np.where(deviation > 0, deviation, 1.0)  # a constant input is only centred
    return 1 / deviation, -mean / deviation


def _none(x: Array, input_max: float) -> tuple[Array, Array]:
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
    return x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
