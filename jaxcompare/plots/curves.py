"""Learning curves at each level's best rate, with the measurements that explain them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcompare import analysis
from jaxcompare.analysis import Comparison
from jaxcompare.plots import panels, style
from jaxcompare.words import level, say

ACCURACIES = ("train_subset_accuracy", "validation_accuracy", "test_accuracy")
DASHES = {"train": "-", "validation": ":"}  # of the two losses in a panel
# For these factors, gradient norms by layer explain more than a third accuracy does.
WITH_GRADIENTS = frozenset({"activation", "hidden", "init"})


@style.styled
def learning_curves(tables: panels.Tables, comparison: Comparison) -> Figure:
    """Draw losses (a panel per loss, since their scales differ), accuracies, sensitivity to the rate, gradients by layer."""
    summary = analysis.rows_of(tables["summary"], comparison)
    chosen = panels.chosen(tables, comparison)
    lines = panels.lines_of(chosen, comparison)
    losses = list(dict.fromkeys(chosen["loss"])) if "loss" in chosen else [""]
    gradients = comparison.factor in WITH_GRADIENTS and "layers" in tables
    accuracies = ACCURACIES[1:] if gradients else ACCURACIES
    note = say("picture.best_note" if comparison.factor != "learning_rate" else "picture.band_note")
    experiment = level(comparison.experiment, "experiment")
    title = say("picture.title", experiment=experiment, dataset=level(comparison.dataset))
    figure, axes = style.sheet(len(losses) + len(accuracies) + 1 + 2 * gradients, title, note)
    free = iter(axes)
    for loss, ax in zip(losses, free, strict=False):
        _loss_panel(ax, tables, lines, chosen, loss)
    panels.accuracies(free, tables, lines, accuracies)
    panels.sensitivity(next(free), summary, comparison)
    if gradients:
        start, end = next(free), next(free)
        panels.by_layer(start, tables, lines, last=False)
        panels.by_layer(end, tables, lines, last=True)
        style.share_log_range(start, end)
    style.legend_below(figure, panels.handles(lines))
    return figure


def _loss_panel(ax: Axes, tables: panels.Tables, lines: list[panels.Line], chosen: pd.DataFrame, loss: str) -> None:
    """Draw training and validation loss of the variants trained on `loss`, on a logarithmic axis."""
    mine = set(chosen["variant_id"][chosen["loss"] == loss]) if loss else set(chosen["variant_id"])
    kept = [line for line in lines if line.variant_id in mine]
    for part, dash in DASHES.items():
        panels.over_epochs(ax, tables, panels.dashed(kept, dash), f"{part}_loss")
    style.label(ax, "axis.epoch", "axis.loss")
    ax.set_title(say("panel.loss", loss=level(loss) if loss else say("axis.loss")))
    style.log_values(ax)
    ax.legend(handles=panels.keys({say(f"key.{part}"): dash for part, dash in DASHES.items()}), loc="best")
