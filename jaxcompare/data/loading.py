"""The data sets that comparisons name, each loaded once. Without JAX, so that missing data are reported before JAX starts."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxcompare import data as datasets
from jaxcompare.config import names
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.errors import shown
from jaxcompare.config.registry import nearest, reason, resolve
from jaxcompare.config.settings import Settings, keys_of
from jaxcompare.data import custom, files

DATA_KEYS = keys_of("data.source")
Loaded = dict[tuple, datasets.Dataset]


def load_datasets(
    comparisons: Sequence[Comparison],
    data_dir: str | None = None,
    *,
    folder: Path | None = None,
    given: Mapping[str, Any] = {},
) -> Loaded:
    """Load every data set that the comparisons name.

    Args:
        comparisons: checked and expanded.
        data_dir: the folder that is searched first for fashion_mnist and for sets prepared by TFDS.
        folder: the folder of relative files; None: the current one.
        given: arrays by the names of their data sets, in a form of `data.custom.as_dataset`.

    Returns:
        The data sets by their data keys.

    Raises:
        DataError: a data set is missing, or is no data set.
    """
    return {**load_custom(comparisons, data_dir, folder=folder, given=given), **load_built_in(comparisons, data_dir)}


def load_built_in(comparisons: Sequence[Comparison], data_dir: str | None = None) -> Loaded:
    """Load the built-in data sets alone, as `load_datasets` does."""
    found = {}
    for key, settings in _named(comparisons, built_in=True).items():
        options = {name: getattr(settings, name) for name in DATA_KEYS if name != "data_options"}
        found[key] = datasets.load(settings.dataset, data_dir=data_dir, **options)
    return found


def load_custom(
    comparisons: Sequence[Comparison],
    data_dir: str | None = None,
    *,
    folder: Path | None = None,
    given: Mapping[str, Any] = {},
) -> Loaded:
    """Load the custom data sets alone, as `load_datasets` does."""
    found: Loaded = {}
    roots = (data_dir, os.environ.get("JAXCOMPARE_DATA_DIR"), os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets")
    place = files.Place(folder or Path.cwd(), tuple(Path(root).expanduser() for root in roots if root))
    for key, settings in _named(comparisons, built_in=False).items():
        name = settings.dataset
        try:
            value, source = _value(name, settings.data_options, place, given)
            found[key] = custom.as_dataset(name, value, seed=settings.data_seed, source=source)
        except datasets.DataError as error:
            raise datasets.DataError(f"dataset = {shown(name)}: {error}") from error
    return found


def _named(comparisons: Sequence[Comparison], *, built_in: bool) -> dict[tuple, Settings]:
    """Return settings that name each built-in, or each custom, data set, by its data key."""
    every = [variant.settings for one in comparisons for study in one.studies for variant in study.variants]
    return {data_key(settings): settings for settings in every if (settings.dataset in names.DATASETS) == built_in}


def _value(name: str, options: Mapping[str, Any], place: files.Place, given: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the arrays of a custom data set as its source gives them, and the source in words."""
    if name in given:
        return given[name], "arrays of the caller"
    source, _, rest = name.partition(":")
    if source in files.SOURCES:
        return files.SOURCES[source](rest.strip(), options, place), name
    function = resolve(name, {}, "dataset")
    taken: Mapping[str, inspect.Parameter] = {}
    with suppress(TypeError, ValueError):  # a function in C may have no signature
        taken = inspect.signature(function).parameters
    if taken and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        for option in options:
            if option not in taken:
                raise datasets.DataError(
                    f"data_options.{option} is no argument of the function; {nearest(option, taken)}"
                )
    try:
        return function(**options), f"the function {name}"
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        raise datasets.DataError(f"the function fails: {reason(error)}") from error


def data_key(settings: Settings) -> tuple:
    """Return what decides the data set of a variant, before splitting and scaling."""
    return settings.dataset, *(repr(getattr(settings, key)) for key in DATA_KEYS)
