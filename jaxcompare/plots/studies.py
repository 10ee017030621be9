"""Pictures of the studies beside the main one, by what varies in them: file name -> function that draws it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots.curves import learning_curves
from jaxcompare.plots.groups import keys_of
from jaxcompare.plots.memory import memory
from jaxcompare.plots.panels import Tables
from jaxcompare.plots.precision import clipping, loss_scale, precisions
from jaxcompare.plots.sizes import batch_sizes

Draw = Callable[[Tables, Comparison], Figure]

# What varies, its picture, and the table that it needs: the first row that fits is drawn.
BY_FACTORS: tuple[tuple[frozenset[str], Draw, str], ...] = (
    (frozenset({"precision", "remat"}), memory, "timing"),
    (frozenset({"precision", "clip_norm"}), clipping, "history"),
    (frozenset({"precision"}), precisions, "history"),
    (frozenset({"batch_size", "learning_rate_rule"}), batch_sizes, "history"),
    (frozenset(), learning_curves, "history"),
)


def stem(comparison: Comparison) -> str:
    """What the names of a study's files begin with."""
    parts = (comparison.experiment, "study", comparison.study, comparison.dataset)
    return "experiment_" + "_".join(re.sub(r"[^\w.-]", "_", part) for part in parts)


def owner(name: str, comparisons: Iterable[Comparison]) -> Comparison | None:
    """The study that a file of that name tells of; None for those of main studies."""
    fitting = [one for one in comparisons if name.startswith(stem(one))]
    return max(fitting, key=lambda one: len(stem(one)), default=None)


def study_pictures(tables: Tables, comparisons: Sequence[Comparison]) -> dict[str, Callable[[], Figure]]:
    """The pictures of each of these studies."""
    found: dict[str, Callable[[], Figure]] = {}
    for one in comparisons:
        varied = set(keys_of(one))
        draw = next(draw for factors, draw, table in BY_FACTORS if factors <= varied and table in tables)
        found[f"{stem(one)}.png"] = partial(draw, tables, one)
        if _scaled(tables, one):
            found[f"{stem(one)}_loss_scale.png"] = partial(loss_scale, tables, one)
    return found


def _scaled(tables: Tables, one: Comparison) -> bool:
    """Whether a loss scale was recorded over more than a few epochs."""
    if "loss_scale" not in tables["history"]:
        return False
    ids = analysis.rows_of(tables["replicas"], one)["replica_id"]
    history = tables["history"][tables["history"]["replica_id"].isin(ids)].dropna(subset=["loss_scale"])
    return history["epoch"].nunique() > FEW_EPOCHS


FEW_EPOCHS = 3
