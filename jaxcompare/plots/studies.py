"""Pictures of the studies beside the main one: the factors that vary in a study decide its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots.curves import learning_curves
from jaxcompare.plots.groups import keys_of
from jaxcompare.plots.memory import memory
from jaxcompare.plots.panels import Tables
from jaxcompare.plots.plot import Plot
from jaxcompare.plots.precision import clipping, loss_scale, precisions
from jaxcompare.plots.sizes import batch_sizes

FEW_EPOCHS = 3
Draw = Callable[[Tables, Comparison], Figure]

# The factors that vary, the picture, and the table that it needs. The first row that fits is drawn.
BY_FACTORS: tuple[tuple[frozenset[str], Draw, str], ...] = (
    (frozenset({"precision", "remat"}), memory, "timing"),
    (frozenset({"precision", "clip_norm"}), clipping, "history"),
    (frozenset({"precision"}), precisions, "history"),
    (frozenset({"batch_size", "learning_rate_rule"}), batch_sizes, "history"),
    (frozenset(), learning_curves, "history"),
)


def study_plots(tables: Tables, comparisons: Sequence[Comparison]) -> list[Plot]:
    """Return the pictures of each study."""
    found = []
    for one in comparisons:
        varied = set(keys_of(one))
        draw = next(draw for factors, draw, table in BY_FACTORS if factors <= varied and table in tables)
        found.append(Plot("study", one, partial(draw, tables, one)))
        if _scaled(tables, one):
            found.append(Plot("loss_scale", one, partial(loss_scale, tables, one)))
    return found


def _scaled(tables: Tables, one: Comparison) -> bool:
    """Return whether a loss scale was recorded over more than a few epochs."""
    if "loss_scale" not in tables["history"]:
        return False
    ids = analysis.rows_of(tables["replicas"], one)["replica_id"]
    history = tables["history"][tables["history"]["replica_id"].isin(ids)].dropna(subset=["loss_scale"])
    return history["epoch"].nunique() > FEW_EPOCHS
