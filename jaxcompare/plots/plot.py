"""A picture of a report as data: what the picture shows, and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxcompare.analysis import Comparison
from jaxcompare.config.comparison import spell
from jaxcompare.config.files import file_name, free, is_free
from jaxcompare.plots.animation import Animation


class Plot(NamedTuple):
    """A picture that can be drawn."""

    kind: str  # of `config.files.FILES`
    comparison: Comparison
    draw: Callable[[], Figure | Animation]
    cell: tuple[tuple[str, object], ...] = ()  # factors and their levels, where the picture shows one cell
    rate: float | None = None  # the learning rate, where the picture shows one rate

    def file(self, patterns: Mapping[str, str] | None = None, *, exact: bool = False) -> str:
        """Return the picture's file name, as `file_of` does; where `exact`, its numbers have all their digits."""
        write = repr if exact else spell
        level = "-".join(write(value) if isinstance(value, float) else spell(value) for _, value in self.cell)
        return file_of(self.kind, self.comparison, patterns, level=level, rate=write(self.rate))


def file_of(kind: str, comparison: Comparison, patterns: Mapping[str, str] | None = None, **more: str) -> str:
    """Return the name of a comparison's file: by the pattern in `patterns`, else by the rule; empty where it is left out."""
    values = {"comparison": comparison.experiment, "study": comparison.study, "dataset": comparison.dataset, **more}
    return file_name(kind, values, patterns)


def by_file(
    plots: Iterable[Plot], patterns: Mapping[str, str] | None = None, taken: Collection[str] = ()
) -> dict[str, Plot]:
    """Return the pictures by file name; no name is in `taken`.

    A second picture of the same name takes the rule's name, or all digits of numbers, or a digest of what the picture shows.
    """
    found: dict[str, Plot] = {}
    for plot in plots:
        names = (plot.file(patterns), plot.file(), plot.file(exact=True))
        if names[0]:
            shown = repr((plot.comparison.experiment, plot.comparison.study, plot.cell, plot.rate))
            marked = free(names[-1], {names[-1]}, shown)
            found[next((name for name in names if is_free(name, [*found, *taken])), marked)] = plot
    return found
