"""What is trained on: the named data sets, their splits and scaling, and their errors. NumPy only, no JAX.

May import `config`, `system` and `types`. A new data set is a function from `Options` to `Dataset`, an entry of `DATASETS`
and a name in `config.names`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxcompare.config.registry import nearest
from jaxcompare.data import digits, fashion_mnist, toys
from jaxcompare.data.base import DataError, Dataset, Splits
from jaxcompare.data.splits import scaling, split

__all__ = ["DATASETS", "DataError", "Dataset", "Options", "Splits", "load", "scaling", "split"]


class Options(NamedTuple):
    """The options of all data sets; each data set uses some of them."""

    data_dir: Path | None  # fashion_mnist: a folder to search first
    data_seed: int  # digits: decides the test split; moons, circles: decides every point
    samples: int  # moons, circles: size of the training set
    test_samples: int  # moons, circles: size of the test set
    noise: float | None  # moons, circles: standard deviation of the noise; None: the data set's default
    factor: float  # circles: the inner radius over the outer radius, in [0, 1)


DATASETS: dict[str, Callable[[Options], Dataset]] = {
    "fashion_mnist": lambda options: fashion_mnist.load(data_dir=options.data_dir),
    "digits": lambda options: digits.digits(seed=options.data_seed),
    "moons": lambda options: toys.moons(
        samples=options.samples, test_samples=options.test_samples, noise=options.noise, seed=options.data_seed
    ),
    "circles": lambda options: toys.circles(
        samples=options.samples,
        test_samples=options.test_samples,
        noise=options.noise,
        factor=options.factor,
        seed=options.data_seed,
    ),
}


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    data_seed: int,
    samples: int,
    test_samples: int,
    noise: float | None,
    factor: float,
) -> Dataset:
    """Load a data set by its name.

    Args:
        name: a key of `DATASETS`: "fashion_mnist", "digits", "moons" or "circles".
        data_dir: a folder with the files of fashion_mnist, searched before the usual places; other sets ignore it.
        data_seed: decides which digits are the test set, and every point of moons and circles; at least 0.
        samples: training examples of moons and circles, at least 2; the other sets have a fixed size.
        test_samples: test examples of moons and circles, at least 2.
        noise: standard deviation of the noise of moons and circles, in the units of the plane; None: 0.2 and 0.1.
        factor: the inner radius of circles over the outer radius, in [0, 1).

    Returns:
        The data set before splitting and scaling: inputs [N, D], uint8 for images and float32 for points; labels [N] int32.

    Raises:
        DataError: there is no data set of that name, its files are nowhere, or the arguments are out of range.

    Example:
        >>> moons = load("moons", data_seed=0, samples=300, test_samples=100, noise=None, factor=0.5)
        >>> moons.x_train.shape, moons.x_test.shape, moons.class_names
        ((300, 2), (100, 2), ('upper', 'lower'))
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; {nearest(name, DATASETS)}")
    folder = Path(data_dir) if data_dir else None
    return DATASETS[name](Options(folder, data_seed, samples, test_samples, noise, factor))
