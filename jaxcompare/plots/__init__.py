"""Pictures of a comparison. Tables in, Figure out; nothing is read or written.

The factors compared and the tables that exist decide which pictures there are. `MAIN` lists the rules for main studies;
`studies` has the rules for the studies beside them. File names follow the rule of `config.files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import boundaries, panels
from jaxcompare.plots.activations import activation_distributions, dead_heatmap, dying_cells
from jaxcompare.plots.animation import decision_animation, epochs_shown
from jaxcompare.plots.boundaries import Fields, decision_boundary, decision_gallery
from jaxcompare.plots.curves import learning_curves
from jaxcompare.plots.few import few
from jaxcompare.plots.heatmaps import gradient_norms, rate_map
from jaxcompare.plots.optimizers import optimizer_at_rate, rates_of_optimizer
from jaxcompare.plots.panels import Tables
from jaxcompare.plots.plot import Plot, by_file, file_of
from jaxcompare.plots.studies import study_plots
from jaxcompare.plots.style import png
from jaxcompare.plots.units import dead_units, shown_rates

__all__ = ["Plot", "Tables", "by_file", "file_of", "pictures", "png"]


def _measured(tables: Tables, name: str, comparison: Comparison) -> bool:
    """Return whether a table has rows of a comparison's runs."""
    ids = analysis.rows_of(tables["replicas"], comparison)["replica_id"]
    return name in tables and bool(tables[name]["replica_id"].isin(ids).any())


def _learning(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield the learning curves at the best rates."""
    yield Plot("results", one, partial(learning_curves, tables, one))


def _optimizers(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield a picture for each optimizer and rate and one for each optimizer, where both vary."""
    summary = analysis.rows_of(tables["summary"], one)
    if one.factor != "optimizer" or summary["learning_rate"].nunique() < 2:
        return
    for name, rows in summary.groupby(one.factor, sort=False):
        rates = sorted(rows["learning_rate"].unique(), reverse=True)
        for rate in rates:
            shown, noted = few(tables, rows[rows["learning_rate"] == rate], one.apart)
            draw = noted(partial(optimizer_at_rate, shown, one, name, rate))
            yield Plot("optimizer_at_rate", one, draw, ((one.factor, name),), rate)
        shown, noted = few(tables, rows, one.apart, max(1, MOST_LINES // len(rates)))
        yield Plot("lr_comparison", one, noted(partial(rates_of_optimizer, shown, one, name)), ((one.factor, name),))


def _rates(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield the map of accuracies, where the learning rate and a second factor vary."""
    several = analysis.rows_of(tables["summary"], one)["learning_rate"].nunique() > 1
    if several and one.apart and "learning_rate" not in (one.factor, *one.apart):
        shown, of_levels = few(tables, analysis.rows_of(tables["summary"], one), (one.factor,))
        shown, of_rows = few(shown, analysis.rows_of(shown["summary"], one), one.apart, MOST_ROWS)
        yield Plot("rate_map", one, of_levels(of_rows(partial(rate_map, shown, one))))


def _gradients(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield the map of gradient norms, where layers were measured."""
    if _measured(tables, "layers", one):
        yield Plot("gradient_norms", one, partial(gradient_norms, tables, one))


def _inside(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield distributions and dead units, where activations are compared or the data have a decision field."""
    if "activation" not in one.compared and not boundaries.known(tables, fields, one):
        return
    if _measured(tables, "histograms", one):
        yield Plot("activation_distributions", one, partial(activation_distributions, tables, one))
    if _measured(tables, "layers", one) and dying_cells(tables, one):
        yield Plot("dead_heatmap", one, partial(dead_heatmap, tables, one))
    if _measured(tables, "units", one) and len(shown_rates(tables, one)):
        yield Plot("dead_units", one, partial(dead_units, tables, one))


def _decisions(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield a boundary for each cell at its best rate, all of them on one sheet, and the animation."""
    if not boundaries.known(tables, fields, one):
        return
    for _, row in panels.chosen(tables, one).iterrows():
        draw = partial(decision_boundary, tables, fields, one, row["variant_id"])
        yield Plot("decision_boundary", one, draw, tuple((name, row[name]) for name in (one.factor, *one.apart)))
    yield Plot("decision_gallery", one, partial(decision_gallery, tables, fields, one))
    if epochs_shown(tables, fields, one):
        yield Plot("decision_animation", one, partial(decision_animation, tables, fields, one))


Rule = Callable[[Tables, Fields, Comparison], Iterator[Plot]]
MAIN: dict[str, Rule] = {  # in the order of the report
    "learning": _learning,
    "optimizers": _optimizers,
    "rates": _rates,
    "gradients": _gradients,
    "inside": _inside,
    "decisions": _decisions,
}
OF_RATES = ("optimizers", "rates")  # rules whose pictures choose their cells themselves
MOST_LINES, MOST_ROWS = 24, 12  # lines of one optimizer; rows of a map


def _main(tables: Tables, fields: Fields, one: Comparison) -> Iterator[Plot]:
    """Yield the pictures of a main study; a sheet of cells has the best cells alone, where there are many."""
    shown, noted = few(tables, analysis.rows_of(tables["summary"], one), (one.factor, *one.apart))
    for name, make in MAIN.items():
        if name in OF_RATES:
            yield from make(tables, fields, one)
            continue
        for plot in make(shown, fields, one):
            yield plot if plot.cell else plot._replace(draw=noted(plot.draw))


def pictures(
    experiment: str,
    tables: dict[str, pd.DataFrame],
    fields: Fields | None = None,
    every: Sequence[Comparison] | None = None,
) -> dict[str, Plot]:
    """Return the pictures of one experiment by the rule's file names, in the order of the report.

    Args:
        experiment: its name.
        tables: those of `docs/tables.md`; a missing `summary` is computed, without time to target. A table that was not
            measured leaves out the pictures that need it.
        fields: decision fields.
        every: the comparisons of all experiments, where the caller has them already.
    """
    tables = {name: table for name, table in tables.items() if len(table)}
    if "summary" not in tables:
        tables = tables | {"summary": analysis.summarise(tables["replicas"], tables["history"])}
    every = analysis.comparisons(tables["replicas"]) if every is None else every
    every = [one for one in every if one.experiment == experiment]
    main = analysis.main_of(every).values()
    found = [plot for one in main for plot in _main(tables, fields or {}, one)]
    # A study with fixed rates has no best rate: it has its own pictures, even if it is the only study.
    beside = [one for one in every if one.rates_set or one not in main]
    return by_file([*found, *study_plots(tables, beside)])
