"""Comparisons from start to tables, without files; `pipeline` does the same with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import pandas as pd
from jax.sharding import Mesh

from jaxcompare import analysis
from jaxcompare.config import custom
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.confirmation import confirming
from jaxcompare.config.errors import ConfigError, shown
from jaxcompare.config.given import is_given, named
from jaxcompare.config.names import DATASETS
from jaxcompare.config.parse import parse
from jaxcompare.data.loading import load_datasets
from jaxcompare.execution.places import local_places
from jaxcompare.execution.prepare import Planner, prepare, settle_precision
from jaxcompare.execution.program_cache import ProgramCache
from jaxcompare.execution.remote import RemoteTraining
from jaxcompare.execution.tables import Tables, build, gather
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.execution.training import SILENT, Callbacks, LocalTraining, Resources, Training
from jaxcompare.execution.workers import Workers
from jaxcompare.planning.programs import Program
from jaxcompare.system.memory import give_back_freed_memory


def train_comparisons(
    comparisons: Sequence[Comparison],
    programs: Mapping[str, Sequence[Program]],
    planner: Planner,
    resources: Resources,
    callbacks: Callbacks = SILENT,
) -> dict[str, Tables]:
    """Train what is not kept, and return every table of each comparison that is measured.

    Args:
        comparisons: checked and expanded.
        programs: of each comparison, by its name.
        planner: gives the programs that train the variants which a study with `confirm` selects, on fresh seeds.
        resources: places and caches.
        callbacks: hear of the run while it goes on.
    """
    tables = {}
    with _training(resources, callbacks) as training:
        for order, comparison in enumerate(comparisons):
            training.add(programs[comparison.name], order)
        for order, comparison in enumerate(comparisons):
            measured = build(comparison, training.measured(programs[comparison.name]))
            second = confirmation(comparison, measured)
            if second is not None:
                fresh = planner(second)
                training.tell(callbacks.confirming, comparison, fresh)
                training.add(fresh, order)
                again = build(second, training.measured(fresh))
                measured = Tables(gather([measured.frames, again.frames]), measured.fields | again.fields)
            tables[comparison.name] = measured
            callbacks.finished(comparison, measured)
    return tables


def _training(resources: Resources, callbacks: Callbacks) -> Training:
    if resources.workers is None:
        return LocalTraining(resources, callbacks)
    return RemoteTraining(resources, resources.workers, callbacks)


def confirmation(comparison: Comparison, measured: Tables) -> Comparison | None:
    """Return the comparison that trains the selected variants again on fresh seeds; None where no study asks for it."""
    if not any(study.confirm for study in comparison.studies):
        return None
    replicas, history = measured.frames["replicas"], measured.frames["history"]
    return confirming(comparison, analysis.selected(replicas, analysis.summarise(replicas, history)))


def compare(
    config: Mapping[str, Any],
    *,
    name: str = "comparison",
    data: Mapping[str, Any] = {},
    data_dir: str | None = None,
    places: Sequence[Mesh] | None = None,
    executor: Executor | None = None,
    memory_limit: int | None = None,
    programs: ProgramCache | None = None,
) -> dict[str, pd.DataFrame]:
    """Train a comparison and return its tables, without files.

    Args:
        config: as in a TOML file: `{"base": {...}, "study": [{"name": ..., "grid": {...}}]}`. A function may take a name's
            place: `"optimizer": ["adam", optax.adabelief]`.
        name: the value of `experiment` in the tables.
        data: arrays by the names that `dataset` has in the config: (x, y), or a table of splits (docs/your_own.md).
        data_dir: the folder that is searched first for data.
        places: of `local_places`, each trains its own tiles; None: one a CPU core, or one a GPU.
        executor: trains the tiles in other processes instead; `ProcessPoolExecutor` should have the context "spawn".
        memory_limit: bytes that may be used of each device; None: what is free.
        programs: compiled programs that several calls share; None: this call compiles its own.

    Returns:
        Tables by name, as in docs/tables.md: those that were measured, and those computed from them (`analysis.results`).

    Raises:
        ConfigError: a fault in the config, with the field, the value and the nearest valid one.
        DataError: a data set cannot be found, or its arrays are no data set.

    Example:
        >>> tables = compare({"base": {"dataset": "moons", "hidden": [8], "epochs": 1, "seeds": 2},
        ...                   "study": [{"grid": {"optimizer": ["sgd", "adam"]}}]})
        >>> list(tables["summary"]["label"])
        ['sgd', 'adam']
    """
    with named(config) as config:
        return _compare(config, name, data, data_dir, places or local_places(), executor, memory_limit, programs)


def _compare(
    config: Mapping[str, Any],
    name: str,
    data: Mapping[str, Any],
    data_dir: str | None,
    places: Sequence[Mesh],
    executor: Executor | None,
    memory_limit: int | None,
    programs: ProgramCache | None,
) -> dict[str, pd.DataFrame]:
    """Train a comparison whose functions all have names."""
    given = {"dataset": _names_of(data)}
    comparison = parse(name, config, given=given)
    (comparison,), _ = settle_precision([comparison], {name: config}, lambda: places[0].devices.flat[0], given)
    if executor is not None:
        _check_sendable(comparison)
    sizes = TileSizes(places, limit=memory_limit)
    (comparison,), plans, planner, _ = prepare([comparison], load_datasets([comparison], data_dir, given=data), sizes)
    workers = None if executor is None else Workers(executor, "the executor")
    # No name here holds the resources: this call's own programs go when training ends.
    frames = train_comparisons(
        [comparison], plans, planner, Resources(places, sizes, programs or ProgramCache(), TileCache(), workers)
    )[name].frames
    if programs is None:
        give_back_freed_memory()
    return {**frames, **analysis.results(frames, {name: comparison.target}, comparison.declared())}


def _names_of(data: Mapping[str, Any]) -> list[str]:
    """Return the names of a caller's data sets; raise ConfigError for one that means something else."""
    for name in data:
        if not isinstance(name, str) or not name.strip() or name in DATASETS or ":" in name:
            used = "is a built-in data set" if name in DATASETS else "is not a name without a colon"
            raise ConfigError(f"data: {shown(name)} {used}; choose another name, 'mine' for example")
    return list(data)


def _check_sendable(comparison: Comparison) -> None:
    """Raise ConfigError for functions that other processes cannot find by their names."""
    settings = [variant.settings for study in comparison.studies for variant in study.variants]
    for kind, name in custom.functions(settings):
        if is_given(name):
            raise ConfigError(
                f"{comparison.name}: {kind} = {name!r} has no name by which an executor's processes can import it; define it "
                "with def at the top of a module"
            )
