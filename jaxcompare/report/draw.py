"""Every picture as PNG bytes: drawn here, spread over processes, or in a process of its own while training goes on."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import NamedTuple

import pandas as pd

from jaxcompare import plots
from jaxcompare.plots.boundaries import Fields
from jaxcompare.plots.style import for_page, vector
from jaxcompare.words import LANGUAGES, localised, speaking


class Asked(NamedTuple):
    """A picture in a language."""

    experiment: str
    name: str  # as it is called in English
    language: str = "en"


class Picture(NamedTuple):
    """A picture as PNG bytes, twice, and in whatever other formats are asked for."""

    full: bytes  # as its own file
    page: bytes  # as the page holds it
    others: tuple[tuple[str, bytes], ...] = ()  # in other formats: endings and files


def names_of(tables: Mapping[str, pd.DataFrame], fields: Fields) -> dict[str, list[str]]:
    """The pictures' file names by experiment."""
    experiments = tables["replicas"]["experiment"].unique()
    return {experiment: list(plots.pictures(experiment, dict(tables), fields)) for experiment in experiments}


def wanted_of(
    tables: Mapping[str, pd.DataFrame], fields: Fields, languages: Sequence[str] = tuple(LANGUAGES)
) -> list[Asked]:
    """Every picture, one language after the other."""
    names = names_of(tables, fields)
    return [
        Asked(experiment, name, language)
        for language in languages
        for experiment in names
        for name in names[experiment]
    ]


def draw(
    tables: Mapping[str, pd.DataFrame], fields: Fields, wanted: Sequence[Asked], formats: Sequence[str] = ("png",)
) -> dict[Asked, Picture]:
    """The pictures `wanted`, one after another."""
    experiments = {one.experiment for one in wanted}
    registries = {experiment: plots.pictures(experiment, dict(tables), fields) for experiment in experiments}
    found = {}
    for one in wanted:
        with speaking(LANGUAGES[one.language]):
            figure = registries[one.experiment][one.name]()
            full = plots.png(figure)
            others = tuple((kind, vector(figure, kind)) for kind in formats if kind != "png")
        found[one] = Picture(full, for_page(full), others)
    return found


def draw_all(
    tables: Mapping[str, pd.DataFrame],
    fields: Fields,
    workers: int = 1,
    drawn: Mapping[Asked, Picture] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
) -> dict[str, Picture]:
    """Every picture by its file name in its language, those `drawn` already as they are; the others by so many processes.

    Spawned, not forked: the caller may hold JAX's threads. A script that asks for workers needs the usual
    `if __name__ == "__main__":` guard.
    """
    every = wanted_of(tables, fields, languages)
    done = dict(drawn or {})
    wanted = [one for one in every if one not in done]
    workers = min(workers, len(wanted))
    if workers <= 1:
        done |= draw(tables, fields, wanted, formats)
    else:
        shares = [wanted[start::workers] for start in range(workers)]
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for part in pool.map(draw, [tables] * workers, [fields] * workers, shares, [formats] * workers):
                done |= part
    return {localised(one.name, one.language): done[one] for one in every}


class Background:
    """Draws in one patient process while the caller goes on training; a context manager."""

    def __init__(self, languages: Sequence[str] = tuple(LANGUAGES), formats: Sequence[str] = ("png",)) -> None:
        self.languages, self.formats = languages, formats
        self.pool: ProcessPoolExecutor | None = None
        self.futures: list[Future] = []

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=kind is None, cancel_futures=True)

    def start(self, tables: Mapping[str, pd.DataFrame], fields: Fields) -> None:
        """Begins with every picture of these tables, `summary` among them."""
        if self.pool is None:
            context = multiprocessing.get_context("spawn")
            # Training comes first: drawing takes what time it leaves.
            self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_patient)
        tables = {name: table for name, table in tables.items() if len(table)}
        wanted = wanted_of(tables, fields, self.languages)
        self.futures += [self.pool.submit(draw, tables, fields, [one], self.formats) for one in wanted]

    def collect(self) -> dict[Asked, Picture]:
        """What is drawn by now; what is not yet begun is given up, and left to whoever builds the report."""
        for future in self.futures:
            future.cancel()
        kept = [future for future in self.futures if not future.cancelled()]
        return {name: picture for future in kept for name, picture in future.result().items()}


def _patient() -> None:
    if hasattr(os, "nice"):
        os.nice(10)
