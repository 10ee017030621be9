"""Comparisons from start to tables, without files. `pipeline` does the same with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import pandas as pd
from jax.sharding import Mesh

from jaxcompare import analysis
from jaxcompare.components import precision
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.confirmation import confirming
from jaxcompare.config.parse import asks_precision, parse
from jaxcompare.data.loading import load_datasets
from jaxcompare.engine import sweep
from jaxcompare.execution import tables
from jaxcompare.execution.trainer import Forgetful, Job, Parts, Shelf, Tick, Watch, prepare, train_job
from jaxcompare.planning import batches, fitting
from jaxcompare.planning.layout import Plan, check, plan

Planner = Callable[[Comparison], list[Plan]]


def train_comparisons(
    comparisons: Sequence[Comparison],
    plans: Mapping[str, Sequence[Plan]],
    *,
    planner: Planner | None = None,
    mesh: Mesh | None = None,
    parts: Parts | None = None,
    book: fitting.Book | None = None,
    tick: Callable[[Tick], None] = lambda tick: None,
    done: Callable[[Comparison, tables.Tables], None] = lambda comparison, found: None,
    watch: Watch | None = None,
    ready: Callable[[str, int, int], None] = lambda program, done, total: None,
    shelf: Shelf | None = None,
) -> dict[str, tables.Tables]:
    """Every table of each comparison that is measured: trains what is not in `parts`.

    Args:
        comparisons: checked and expanded.
        plans: of each one's programs, by its name.
        planner: where a study has `confirm`, the variants that it selects are trained again on fresh seeds, by plans of this;
            without one they are not.
        mesh: of `sweep.local_mesh`; None takes all local devices.
        parts: where measured tiles are kept.
        book: told of tiles that memory made smaller on the way.
        tick: told of each segment's training.
        done: told of each comparison's tables as soon as it is trained.
        watch: told of what each segment measured.
        ready: told of each program that is compiled.
        shelf: where compiled programs are kept.
    """
    kept, mesh = parts or Forgetful(), mesh or sweep.local_mesh()
    jobs = prepare([plan for one in comparisons for plan in plans[one.name]], mesh, kept, book, ready, shelf)
    found = {}
    for one in comparisons:
        measured = _train(one, [job for job in jobs if job.plan.program.comparison == one.name], kept, tick, watch)
        wanted = planner is not None and any(study.confirm for study in one.studies)
        second = confirmation(one, measured) if wanted else None
        if planner is not None and second is not None:
            again = _train(second, prepare(planner(second), mesh, kept, book, shelf=shelf), kept, tick, watch)
            frames = gather([measured.frames, again.frames])
            measured = tables.Tables(frames, measured.fields | again.fields)
        found[one.name] = measured
        done(one, measured)
    return found


def _train(
    comparison: Comparison, jobs: Sequence[Job], kept: Parts, tick: Callable[[Tick], None], watch: Watch | None
) -> tables.Tables:
    return tables.build(comparison, [measured for job in jobs for measured in train_job(job, kept, tick, watch)])


def confirmation(one: Comparison, measured: tables.Tables) -> Comparison | None:
    """The comparison that trains what `one` has selected again on fresh seeds; None where no study asks for it."""
    replicas, history = measured.frames["replicas"], measured.frames["history"]
    return confirming(one, analysis.selected(replicas, analysis.summarise(replicas, history)))


def gather(each: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of several comparisons, one below the other."""
    return {
        name: pd.concat([part for part in parts if not part.empty] or parts[:1], ignore_index=True)
        for name in each[0]
        if (parts := [tables[name] for tables in each])
    }


def compare(
    config: Mapping[str, Any],
    *,
    name: str = "comparison",
    data_dir: str | None = None,
    mesh: Mesh | None = None,
    memory_limit: int | None = None,
) -> dict[str, pd.DataFrame]:
    """Trains a comparison and returns its tables, without files.

    Replicas are spread over the local devices that JAX has. On CPU that is one unless it is told otherwise before it starts:
    `jax.config.update("jax_num_cpu_devices", cores)` makes it several times faster.

    Args:
        config: as in a TOML file: `{"base": {...}, "study": [{"name": ..., "grid": {...}}]}`.
        name: stands in the tables as `experiment`.
        data_dir: where to look for data first.
        mesh: of `sweep.local_mesh`; None takes all local devices, each with replicas of its own.
        memory_limit: bytes that may be used of each device; None: what is free.

    Returns:
        Tables by name, as in docs/tables.md: those that were measured, and those computed from them (`analysis.results`).

    Raises:
        ConfigError: whatever is wrong with the config.
        DataError: a data set cannot be found.

    >>> found = compare({"base": {"dataset": "moons", "hidden": [8], "epochs": 1, "seeds": 2},
    ...                  "study": [{"grid": {"optimizer": ["sgd", "adam"]}}]})
    >>> list(found["summary"]["label"])
    ['sgd', 'adam']
    """
    comparison = parse(name, config)
    mesh = mesh or sweep.local_mesh()
    if asks_precision(config):
        comparison = parse(name, config, precision=precision.fastest(mesh.devices.flat[0]))
    loaded = load_datasets([comparison], data_dir)
    comparison, _ = batches.resolve(comparison, loaded, mesh, limit=memory_limit)

    def planner(one: Comparison) -> list[Plan]:
        made = plan(one, loaded, platform=jax.default_backend())
        for each in made:
            check(each)
        return fitting.fit(made, mesh, limit=memory_limit)

    found = train_comparisons([comparison], {name: planner(comparison)}, planner=planner, mesh=mesh)[name].frames
    return {**found, **analysis.results(found, {name: comparison.target}, comparison.declared())}
