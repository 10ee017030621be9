"""The 1,797 handwritten digits of 8 by 8 pixels that scikit-learn includes."""

from __future__ import annotations

import numpy as np

from jaxcompare.data.base import Dataset, digest
from jaxcompare.data.splits import generator, stratified

TEST_FRACTION = 0.2


def digits(*, seed: int) -> Dataset:
    """Load the digits, with a fifth of them as the test set, stratified by class."""
    from sklearn.datasets import load_digits  # takes a second to import

    x, y = load_digits(return_X_y=True)
    x, y = x.astype(np.uint8), y.astype(np.int32)  # the pixels are whole numbers from 0 to 16
    kept, taken = stratified(y, classes=10, fraction=TEST_FRACTION, random=generator(seed, 1))
    arrays = (x[kept], y[kept], x[taken], y[taken])
    return Dataset(
        "digits",
        *arrays,
        classes=10,
        class_names=tuple("0123456789"),
        input_max=16.0,
        source=f"scikit-learn's load_digits, {TEST_FRACTION:.0%} for testing, seed {seed}",
        digest=digest(*arrays),
    )
