"""Fixed factors of a comparison that have an effect in it."""

from __future__ import annotations

import math

import pandas as pd

from jaxcompare import analysis
from jaxcompare.config.settings import OPTIONS
from jaxcompare.report.view import View

# Keys that act only where another has one of these values.
NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "init_scale": ("init", ("truncated_normal",)),
    "reference_batch_size": ("learning_rate_rule", ("linear", "square_root")),
    "matmul_precision": ("precision", ("float32",)),
}
# Values that change nothing, which the report leaves out.
IDLE = {
    "clip_norm": math.inf,
    "label_smoothing": 0.0,
    "weight_decay": 0.0,
    "micro_batches": 1,
    "remat": False,
    "learning_rate_rule": "fixed",
}
# Settings of the measuring, and settings that other parts of the report have.
APART = {
    "dataset",
    "learning_rate",
    "seeds",
    "train_subset",
    "probe_size",
    "evaluate_every",
    "measure_every",
    "snapshots",
}


def acts(name: str, rows: pd.DataFrame) -> bool:
    """Return whether a factor can have an effect on any of these variants.

    Args:
        name: a column of factors.
        rows: variants, of the summary.
    """
    for kind, (members, options) in OPTIONS.items():
        if name in options and kind in rows:
            known = [members[value] for value in rows[kind].unique() if value in members]
            return any(name in own for own in known) or len(known) < rows[kind].nunique()
    if name in NEEDS and NEEDS[name][0] in rows:
        key, values = NEEDS[name]
        return bool(rows[key].isin(values).any())
    return True


def fixed(view: View) -> list[str]:
    """Return name and value of every factor with an effect that all variants share."""
    rows, one = view.summary, view.comparison
    shared = [
        name
        for name in analysis.factors(view.replicas)
        if name not in one.varied()
        and name not in APART
        and rows[name].nunique(dropna=False) == 1
        and rows[name].notna().all()
        and acts(name, rows)
        and not (name in IDLE and rows[name].iloc[0] == IDLE[name])
    ]
    return [f"{view.words.factor(name)} {view.words.level(rows[name].iloc[0], name)}" for name in shared]
