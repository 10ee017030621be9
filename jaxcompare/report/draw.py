"""Every picture as PNG bytes, drawn here or spread over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import pandas as pd

from jaxcompare import plots
from jaxcompare.plots.boundaries import Fields


def names_of(tables: dict[str, pd.DataFrame], fields: Fields) -> dict[str, list[str]]:
    """The pictures' file names by experiment."""
    experiments = tables["replicas"]["experiment"].unique()
    return {experiment: list(plots.pictures(experiment, tables, fields)) for experiment in experiments}


def draw(tables: dict[str, pd.DataFrame], fields: Fields, wanted: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """The pictures `wanted` (experiment, file name), one after another."""
    registries = {experiment: plots.pictures(experiment, tables, fields) for experiment in {one for one, _ in wanted}}
    return {name: plots.png(registries[experiment][name]()) for experiment, name in wanted}


def draw_all(tables: dict[str, pd.DataFrame], fields: Fields, workers: int = 1) -> dict[str, bytes]:
    """Every picture; with more than one worker they are shared out over spawned processes.

    Spawned, not forked: the caller may hold JAX's threads. A script that asks for workers needs the usual
    `if __name__ == "__main__":` guard.
    """
    wanted = [(experiment, name) for experiment, names in names_of(tables, fields).items() for name in names]
    workers = min(workers, len(wanted))
    if workers <= 1:
        return draw(tables, fields, wanted)
    shares = [wanted[start::workers] for start in range(workers)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        parts = list(pool.map(draw, [tables] * workers, [fields] * workers, shares))
    drawn = {name: data for part in parts for name, data in part.items()}
    return {name: drawn[name] for _, name in wanted}
