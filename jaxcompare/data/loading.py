"""The data sets that comparisons name, each loaded once. Without JAX, so that missing data are reported before JAX starts."""

from __future__ import annotations

from collections.abc import Sequence

from jaxcompare import data as datasets
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.settings import Settings, keys_of

DATA_KEYS = keys_of("data.source")


def load_datasets(comparisons: Sequence[Comparison], data_dir: str | None = None) -> dict[tuple, datasets.Dataset]:
    """Load every data set that the comparisons name; returns them by their data keys. Raises DataError where one is missing."""
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
    """Return what decides the data set of a variant, before splitting and scaling."""
    return settings.dataset, *(getattr(settings, key) for key in DATA_KEYS)
