"""Two-class problems in the plane, drawn by scikit-learn's generators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxcompare.data.base import Array, DataError, Dataset, digest

MOONS_NOISE = 0.2  # standard deviation of the Gaussian noise, in the units of the plane
CIRCLES_NOISE = 0.1


def moons(*, samples: int, test_samples: int, noise: float | None, seed: int) -> Dataset:
    """Draw two interleaved half circles; noise None means `MOONS_NOISE`."""

    def draw(count: int, random_state: int) -> tuple[Array, Array]:
        from sklearn.datasets import make_moons  # takes a second to import

        return make_moons(count, noise=level, random_state=random_state)

    level = MOONS_NOISE if noise is None else noise
    source = f"scikit-learn's make_moons, noise {level:g}, seed {seed}"
    return _toy("moons", draw, samples, test_samples, level, seed, ("upper", "lower"), source)


def circles(*, samples: int, test_samples: int, noise: float | None, factor: float, seed: int) -> Dataset:
    """Draw a circle in a circle; noise None means `CIRCLES_NOISE`, factor is the inner radius over the outer radius."""
    if not 0 <= factor < 1:
        raise DataError(f"circles: factor, the inner radius over the outer, must be in [0, 1), not {factor:g}")

    def draw(count: int, random_state: int) -> tuple[Array, Array]:
        from sklearn.datasets import make_circles

        return make_circles(count, noise=level, factor=factor, random_state=random_state)

    level = CIRCLES_NOISE if noise is None else noise
    source = f"scikit-learn's make_circles, noise {level:g}, factor {factor:g}, seed {seed}"
    return _toy("circles", draw, samples, test_samples, level, seed, ("outer", "inner"), source)


def _toy(
    name: str,
    draw: Callable[[int, int], tuple[Array, Array]],
    samples: int,
    test_samples: int,
    noise: float,
    seed: int,
    class_names: tuple[str, ...],
    source: str,
) -> Dataset:
    if min(samples, test_samples) < 2:
        raise DataError(f"{name}: samples and test_samples must be at least 2, not {samples} and {test_samples}")
    if not noise >= 0:
        raise DataError(f"{name}: noise must be at least 0, not {noise:g}")
    if seed < 0:
        raise DataError(f"{name}: a data seed must be at least 0, not {seed}")
    # One seed for both would make the test set a near copy of the training set.
    train_seed, test_seed = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
    x_train, y_train = draw(samples, train_seed)
    x_test, y_test = draw(test_samples, test_seed)
    arrays = (x_train.astype("float32"), y_train.astype("int32"), x_test.astype("float32"), y_test.astype("int32"))
    return Dataset(
        name, *arrays, classes=2, class_names=class_names, input_max=1.0, source=source, digest=digest(*arrays)
    )
