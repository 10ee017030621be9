"""Pictures as PNG bytes: drawn here, spread over processes, or in a background process while training continues.

A picture that cannot be drawn is a Failure in its place and stops no other picture. What a lost process did not draw, for want
of memory say, is drawn here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from jaxcompare import analysis, plots
from jaxcompare.plots.animation import Animation, gif
from jaxcompare.plots.boundaries import Fields
from jaxcompare.plots.charts import draw as draw_panel
from jaxcompare.plots.fonts import REPLACEMENT, replaced
from jaxcompare.plots.plot import Plot
from jaxcompare.plots.style import png_and_page, vector
from jaxcompare.report.failures import Failure, failure
from jaxcompare.report.records import labels_of, titles_of
from jaxcompare.system.processes import Processes
from jaxcompare.words import ENGLISH, LANGUAGES, Words, localised, speaking

SHARE = 4  # pictures that the background draws at a time
MOST_LETTERS = 20  # named in a message
Told = Mapping[str, Mapping[str, Any]]  # the experiments' records
NOTHING: Told = {}
_LOG = logging.getLogger(__name__)


class Asked(NamedTuple):
    """A picture in a language."""

    experiment: str
    name: str  # by the rule of `config.files`, in English
    language: str = "en"


class AskedChart(NamedTuple):
    """A chart of an answer, its texts in a language already."""

    name: str
    language: str
    panel: Any


class Picture(NamedTuple):
    """A picture as PNG bytes, twice, and in the other formats asked for; an animation as GIF."""

    full: bytes  # as its own file
    page: bytes  # as the page holds it
    others: tuple[tuple[str, bytes], ...] = ()  # in other formats: endings and files


Drawn = Picture | Failure
Call = Callable[[], dict[Any, Drawn]]


def names_of(
    tables: Mapping[str, pd.DataFrame], fields: Fields, patterns: Mapping[str, Mapping[str, str]] | None = None
) -> dict[Asked, tuple[str, Plot]]:
    """Return every picture in English with its file name, by `patterns` of each experiment, and its Plot."""
    found: dict[Asked, tuple[str, Plot]] = {}
    every = analysis.comparisons(tables["replicas"])
    for experiment in tables["replicas"]["experiment"].unique():
        by_rule = plots.pictures(experiment, dict(tables), fields, every)
        taken = {name for name, _ in found.values()}
        for name, plot in plots.by_file(by_rule.values(), (patterns or {}).get(experiment), taken).items():
            rule = next(rule for rule, one in by_rule.items() if one is plot)
            found[Asked(experiment, rule)] = (name, plot)
    return found


def by_experiment(names: Mapping[Asked, tuple[str, Plot]]) -> dict[str, dict[str, Plot]]:
    """Return the pictures of each experiment by file name."""
    found: dict[str, dict[str, Plot]] = {}
    for one, (name, plot) in names.items():
        found.setdefault(one.experiment, {})[name] = plot
    return found


def wanted_of(names: Iterable[Asked], languages: Sequence[str] = tuple(LANGUAGES)) -> list[Asked]:
    """Return every picture of `names_of`, one language after the other."""
    return [one._replace(language=language) for language in languages for one in names]


def words_of(tables: Mapping[str, pd.DataFrame], languages: Iterable[str], told: Told = NOTHING) -> dict[str, Words]:
    """Return the words of some languages, with the titles of `told` and different texts for different levels."""
    numbers = analysis.spelled(tables["replicas"])
    return {
        language: replace(
            LANGUAGES[language], numbers=numbers, titles=titles_of(told, language), labels=labels_of(told)
        )
        for language in languages
    }


def _say_replaced(tables: Mapping[str, pd.DataFrame], words: Iterable[Words]) -> None:
    """Log the letters that pictures cannot show."""
    replicas = tables["replicas"]
    levels = {str(level) for name in replicas.select_dtypes(exclude="number") for level in replicas[name].unique()}
    if letters := replaced(
        [*levels, *(text for each in words for text in (*each.titles.values(), *each.labels.values()))]
    ):
        shown = " ".join(letters[:MOST_LETTERS]) + (" ..." if len(letters) > MOST_LETTERS else "")
        _LOG.warning("pictures show %r in place of letters that no font here has: %s", REPLACEMENT, shown)


def draw(
    tables: Mapping[str, pd.DataFrame],
    fields: Fields,
    wanted: Sequence[Asked],
    formats: Sequence[str] = ("png",),
    told: Told = NOTHING,
) -> dict[Asked, Drawn]:
    """Draw the pictures `wanted`, one after another."""
    experiments = {one.experiment for one in wanted}
    every = analysis.comparisons(tables["replicas"])
    registries = {experiment: plots.pictures(experiment, dict(tables), fields, every) for experiment in experiments}
    words = words_of(tables, {one.language for one in wanted}, told)
    return {
        one: _picture(
            registries[one.experiment][one.name].draw, localised(one.name, one.language), words[one.language], formats
        )
        for one in wanted
    }


def draw_charts(wanted: Sequence[AskedChart], formats: Sequence[str] = ("png",)) -> dict[AskedChart, Drawn]:
    """Draw the charts `wanted`, one after another."""
    return {one: _picture(partial(draw_panel, one.panel), one.name, LANGUAGES[one.language], formats) for one in wanted}


def _picture(
    make: Callable[[], Figure | Animation], name: str, words: Words, formats: Sequence[str] = ("png",)
) -> Drawn:
    """Return what `make` draws, or why it fails."""
    try:
        with speaking(words):
            made = make()
            if isinstance(made, Animation):
                moving = gif(made)
                return Picture(moving, moving)
            others = tuple((kind, vector(made, kind)) for kind in formats if kind != "png")
            return Picture(*png_and_page(made), others)
    except Exception as error:
        return failure(name, error)


def draw_all(
    tables: Mapping[str, pd.DataFrame],
    fields: Fields,
    workers: int = 1,
    drawn: Mapping[Asked, Drawn] | None = None,
    languages: Sequence[str] = tuple(LANGUAGES),
    formats: Sequence[str] = ("png",),
    names: Mapping[Asked, tuple[str, Plot]] | None = None,
    charts: Sequence[AskedChart] = (),
    told: Told = NOTHING,
) -> dict[str, Drawn]:
    """Draw every picture and chart that is not in `drawn`; return all by file name in their language.

    `names` are `names_of`, where the caller has them. `told` are the experiments' `records`, for their titles.
    """
    _say_replaced(tables, words_of(tables, languages, told).values())
    names = names_of(tables, fields) if names is None else names
    every = wanted_of(names, languages)
    done: dict[Any, Drawn] = dict(drawn or {})
    wanted = [one for one in every if one not in done]
    workers = max(1, min(workers, len(wanted) + len(charts)))
    shares = [share for start in range(workers) if (share := wanted[start::workers])]
    panels = [few for start in range(workers) if (few := charts[start::workers])]
    calls: list[Call] = [partial(draw, tables, fields, share, formats, told) for share in shares]
    calls += [partial(draw_charts, few, formats) for few in panels]
    for result in _spread(calls, workers) if workers > 1 else (call() for call in calls):
        done |= result
    found = {}
    for one in every:
        name = localised(names[one._replace(language=ENGLISH.language)][0], one.language)
        picture = done[one]
        found[name] = picture._replace(name=name) if isinstance(picture, Failure) else picture
    return found | {one.name: picture for one, picture in done.items() if isinstance(one, AskedChart)}


def _spread(calls: Sequence[Call], workers: int) -> list[dict[Any, Drawn]]:
    """Return the results of calls in worker processes; a call whose process is lost is repeated here."""
    found: list[dict[Any, Drawn]] = []
    lost: list[Call] = []
    with Processes(workers) as processes:
        for call, future in [(call, processes.submit(call)) for call in calls]:
            try:
                found.append(future.result())
            except Exception as error:
                lost.append(call)
                reason = failure("", error).error
    if lost:
        _LOG.warning("a process that draws was lost (%s); its pictures are drawn without it", reason)
    return found + [call() for call in lost]


class Background:
    """One process of low priority that draws while the caller goes on training; a context manager."""

    def __init__(self, languages: Sequence[str] = tuple(LANGUAGES), formats: Sequence[str] = ("png",)) -> None:
        self.languages, self.formats = languages, formats
        self.processes: Processes | None = None
        self.futures: list[Future] = []

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *raised: Any) -> None:
        if self.processes is not None:
            self.processes.__exit__(*raised)

    def start(self, tables: Mapping[str, pd.DataFrame], fields: Fields, told: Told = NOTHING) -> None:
        """Start to draw every picture of these tables, `summary` among them. A fault here is left to the report."""
        tables = {name: table for name, table in tables.items() if len(table)}
        try:
            wanted = wanted_of(names_of(tables, fields), self.languages)
            # Training comes first: drawing takes the time that training leaves.
            self.processes = self.processes or Processes(1, niceness=10)
        except Exception:
            _LOG.debug("nothing is drawn in the background", exc_info=True)
            return
        shares = [wanted[start : start + SHARE] for start in range(0, len(wanted), SHARE)]
        self.futures += [self.processes.submit(draw, tables, fields, share, self.formats, told) for share in shares]

    def collect(self) -> dict[Asked, Drawn]:
        """Return the pictures drawn so far; those not yet begun, or lost, are left to the caller that builds the report."""
        if self.processes is not None:
            self.processes.finish_begun()
        found: dict[Asked, Drawn] = {}
        for future in self.futures:
            with contextlib.suppress(Exception):  # not begun, or the process is lost: the report draws the pictures
                found |= future.result()
        return found
