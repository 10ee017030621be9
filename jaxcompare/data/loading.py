"""The data sets that comparisons name, loaded once each. Without JAX: what is missing is said before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from jaxcompare import data as datasets
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.settings import Settings, keys_of

DATA_KEYS = keys_of("data.source")


def load_datasets(comparisons: Sequence[Comparison], data_dir: str | None = None) -> dict[tuple, datasets.Dataset]:
    """Every data set that the comparisons name, by its data keys.

    Raises:
        DataError: one cannot be found or made.
    """
    found = {}
    for comparison in comparisons:
        for study in comparison.studies:
            for variant in study.variants:
                key = data_key(variant.settings)
                if key not in found:
                    options = {name: getattr(variant.settings, name) for name in DATA_KEYS}
                    found[key] = datasets.load(variant.settings.dataset, data_dir=data_dir, **options)
    return found


def data_key(settings: Settings) -> tuple:
    """What decides a data set, before it is scaled."""
    return settings.dataset, *(getattr(settings, key) for key in DATA_KEYS)
