"""The named data sets: where they come from, how they are split and scaled, and their errors. NumPy only."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxcompare.data import digits, fashion_mnist, toys
from jaxcompare.data.base import DataError, Dataset, Examples, Splits
from jaxcompare.data.splits import scaling, split

__all__ = ["DATASETS", "DataError", "Dataset", "Examples", "Options", "Splits", "load", "scaling", "split"]


class Options(NamedTuple):
    """All that a data set may be asked for; each uses what concerns it."""

    data_dir: Path | None  # fashion_mnist: a folder to look in
    data_seed: int  # digits: the test split; moons, circles: every point
    samples: int  # moons, circles: in the training set
    test_samples: int  # moons, circles
    noise: float | None  # moons, circles: a standard deviation; None: the data set's own
    factor: float  # circles: the inner radius over the outer


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
    """Load a data set by its name; `Options` says which of the arguments concern which.

    Raises:
        DataError: there is no such data set, it cannot be found, or it cannot be made of these arguments.
    """
    if name not in DATASETS:
        closest = difflib.get_close_matches(name, DATASETS, 1)
        hint = f" (did you mean {closest[0]}?)" if closest else ""
        raise DataError(f"there is no data set {name!r}{hint}; there are {', '.join(DATASETS)}")
    folder = Path(data_dir) if data_dir else None
    return DATASETS[name](Options(folder, data_seed, samples, test_samples, noise, factor))
