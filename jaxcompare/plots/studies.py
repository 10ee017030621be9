"""Pictures of the studies beside the main one: the factors that vary in a study decide its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots.curves import learning_curves
from jaxcompare.plots.few import few
from jaxcompare.plots.groups import keys_of
from jaxcompare.plots.memory import memory
from jaxcompare.plots.panels import MOST_CELLS, Tables
from jaxcompare.plots.plot import Plot
from jaxcompare.plots.precision import clipping, loss_scale, precisions
from jaxcompare.plots.sizes import batch_sizes

FEW_EPOCHS = 3
MOST_GROUPS = 24  # side by side on one axis
Draw = Callable[[Tables, Comparison], Figure]

# The factors that vary, the picture, the table that it needs, and how many cells of the other factors it has room for. The
# first row that fits is drawn.
BY_FACTORS: tuple[tuple[frozenset[str], Draw, str, int], ...] = (
    (frozenset({"precision", "remat"}), memory, "timing", MOST_GROUPS),
    (frozenset({"precision", "clip_norm"}), clipping, "history", MOST_GROUPS),
    (frozenset({"precision"}), precisions, "history", MOST_GROUPS),
    (frozenset({"batch_size", "learning_rate_rule"}), batch_sizes, "history", MOST_CELLS),
    (frozenset(), learning_curves, "history", MOST_CELLS),
)


def study_plots(tables: Tables, comparisons: Sequence[Comparison]) -> list[Plot]:
    """Return the pictures of each study."""
    found = []
    for one in comparisons:
        varied = set(keys_of(one))
        within, draw, _, most = next(row for row in BY_FACTORS if row[0] <= varied and row[2] in tables)
        shown, noted = few(tables, analysis.rows_of(tables["summary"], one), keys_of(one, *within), most)
        found.append(Plot("study", one, noted(partial(draw, shown, one))))
        if _scaled(tables, one):
            found.append(Plot("loss_scale", one, noted(partial(loss_scale, shown, one))))
    return found


def _scaled(tables: Tables, one: Comparison) -> bool:
    """Return whether a loss scale was recorded over more than a few epochs."""
    if "loss_scale" not in tables["history"]:
        return False
    ids = analysis.rows_of(tables["replicas"], one)["replica_id"]
    history = tables["history"][tables["history"]["replica_id"].isin(ids)].dropna(subset=["loss_scale"])
    return history["epoch"].nunique() > FEW_EPOCHS
