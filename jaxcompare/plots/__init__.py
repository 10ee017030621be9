"""Pictures of a comparison: file name -> function that draws it. Tables in, Figure out; nothing is read or written.

The names of A, B and C are those of the design; any other experiment has learning curves for each of its data sets. Studies
beside the main one have pictures of their own, by what varies in them (`studies`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots.activations import DYING, activation_distributions, dead_heatmap
from jaxcompare.plots.animation import Animation, decision_animation, epochs_shown
from jaxcompare.plots.boundaries import Fields, data_of, decision_boundary, decision_gallery
from jaxcompare.plots.curves import learning_curves
from jaxcompare.plots.heatmaps import gradient_norms, rates_by_schedule
from jaxcompare.plots.optimizers import optimizer_at_rate, rates_of_optimizer
from jaxcompare.plots.panels import Tables
from jaxcompare.plots.studies import owner, stem, study_pictures
from jaxcompare.plots.style import colour_of, png
from jaxcompare.plots.units import dead_units, shown_rates

Pictures = dict[str, Callable[[], Figure | Animation]]

__all__ = ["Pictures", "Tables", "colour_of", "owner", "pictures", "png", "stem"]


def _measured(tables: Tables, name: str, comparison: Comparison) -> bool:
    """Whether a table has rows of a comparison's runs."""
    ids = analysis.rows_of(tables["replicas"], comparison)["replica_id"]
    return name in tables and bool(tables[name]["replica_id"].isin(ids).any())


def _curves(tables: Tables, fields: Fields, main: dict[str, Comparison]) -> Pictures:
    """Learning curves for each data set, and what was measured of gradients."""
    found: Pictures = {}
    for dataset, one in main.items():
        found[f"experiment_{one.experiment}_results_{dataset}.png"] = partial(learning_curves, tables, one)
        if _measured(tables, "layers", one):
            found[f"gradient_norms_{one.experiment}_{dataset}.png"] = partial(gradient_norms, tables, one)
    return found


def _inside(tables: Tables, fields: Fields, main: dict[str, Comparison]) -> Pictures:
    """Learning curves, and for each data set what was measured of distributions, dead units and boundaries."""
    found = _curves(tables, fields, main)
    for dataset, one in main.items():
        levels = analysis.rows_of(tables["summary"], one)[one.factor].unique()
        if _measured(tables, "histograms", one):
            found[f"activation_distributions_{dataset}.png"] = partial(activation_distributions, tables, one)
        if _measured(tables, "layers", one) and set(levels) & set(DYING):
            found[f"dead_relu_heatmap_{dataset}.png"] = partial(dead_heatmap, tables, one)
        if _measured(tables, "units", one) and len(shown_rates(tables, one)):
            found[f"dead_units_{dataset}.png"] = partial(dead_units, tables, one)
        rows = analysis.rows_of(tables["summary"], one)
        if rows["variant_id"].map(lambda variant: f"{data_of(tables, variant)}/x" in fields).all():
            for name in levels:
                draw = partial(decision_boundary, tables, fields, one, name)
                found[f"decision_boundary_{dataset}_{name}.png"] = draw
            found[f"decision_gallery_{dataset}.png"] = partial(decision_gallery, tables, fields, one)
            if epochs_shown(tables, fields, one):
                found[f"decision_animation_{dataset}.gif"] = partial(decision_animation, tables, fields, one)
    return found


def _optimizers(tables: Tables, fields: Fields, main: dict[str, Comparison]) -> Pictures:
    """A picture for each optimizer and rate and one for each optimizer; curves for data sets beyond the first."""
    (_, first), *others = main.items()
    cells = analysis.rows_of(tables["summary"], first)
    found: Pictures = {}
    for name, rows in cells.groupby(first.factor, sort=False):
        for rate in sorted(rows["learning_rate"].unique(), reverse=True):
            draw = partial(optimizer_at_rate, tables, first, name, rate)
            found[f"experiment_c_results_{name}_lr_{rate:g}.png"] = draw
        found[f"lr_comparison_{name}.png"] = partial(rates_of_optimizer, tables, first, name)
    if first.apart and cells["learning_rate"].nunique() > 1:
        found[f"rate_by_schedule_{first.dataset}.png"] = partial(rates_by_schedule, tables, first)
    if _measured(tables, "layers", first):
        found[f"gradient_norms_c_{first.dataset}.png"] = partial(gradient_norms, tables, first)
    return found | _curves(tables, fields, dict(others))


EXPERIMENTS: dict[str, Callable[[Tables, Fields, dict[str, Comparison]], Pictures]] = {
    "a": _curves,
    "b": _inside,
    "c": _optimizers,
}


def pictures(
    experiment: str,
    tables: dict[str, pd.DataFrame],
    fields: Fields | None = None,
    every: Sequence[Comparison] | None = None,
) -> Pictures:
    """The pictures of one experiment, in the order of the report; each is drawn when its function is called.

    `tables` are those of `docs/tables.md`; `summary` is computed where it is missing (then without time to target).
    A picture whose table was not measured is not among them. `every` are the comparisons, of all experiments, for whoever
    has them already.
    """
    tables = {name: table for name, table in tables.items() if len(table)}
    if "summary" not in tables:
        tables = tables | {"summary": analysis.summarise(tables["replicas"], tables["history"])}
    every = analysis.comparisons(tables["replicas"]) if every is None else every
    every = [one for one in every if one.experiment == experiment]
    main = analysis.main_of(every)
    if not main:
        return {}
    # Where rates were set there is no best one: such a study has its own pictures, even if it is the only one.
    beside = [one for one in every if one.rates_set or one not in main.values()]
    return EXPERIMENTS.get(experiment, _curves)(tables, fields or {}, main) | study_pictures(tables, beside)
