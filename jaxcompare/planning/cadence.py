"""What is measured when: epochs of evaluation, of layer diagnostics, of snapshots; and one tile's part of the arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxcompare.components import activations
from jaxcompare.config.settings import Settings
from jaxcompare.engine import segment
from jaxcompare.planning.programs import Tile

Arrays = dict[str, np.ndarray]

KINDS = ("pre_activation", "activation")  # of a layer's histograms
FIELD = "snapshot/field"  # among a tile's arrays, where the data have a grid


def snapshot_epochs(settings: Settings) -> tuple[int, ...]:
    """Return the epochs at which units and histograms are kept: the first, the last and some evenly between."""
    count = min(settings.snapshots, settings.epochs + 1)
    return tuple(sorted({round(settings.epochs * i / (count - 1)) for i in range(count)}))


def layer_epochs(settings: Settings) -> tuple[int, ...]:
    """Return the epochs at which layers are measured: every `measure_every`-th, those of snapshots, and the last."""
    regular = range(0, settings.epochs + 1, settings.measure_every)
    return tuple(sorted({*regular, *snapshot_epochs(settings), settings.epochs}))


def evaluated_epochs(settings: Settings) -> tuple[int, ...]:
    """Return the epochs at which the splits are evaluated: every `evaluate_every`-th, and those of the layers."""
    return tuple(sorted({*range(0, settings.epochs + 1, settings.evaluate_every), *layer_epochs(settings)}))


def levels(settings: Settings) -> list[int]:
    """Return the level of measurement at each epoch's end, 0 to the last: [epochs + 1]."""
    level_of = [segment.NOTHING] * (settings.epochs + 1)
    for level, epochs in (
        (segment.FIGURES, evaluated_epochs(settings)),
        (segment.LAYERS, layer_epochs(settings)),
        (segment.SNAPSHOT, snapshot_epochs(settings)),
    ):
        for epoch in epochs:
            level_of[epoch] = level
    return level_of


def measured_epochs(settings: Settings, epochs: range) -> dict[str, list[int]]:
    """Return, for each kind of measurement, which of some epochs have it."""
    every = {
        "figures": evaluated_epochs(settings),
        "layers": layer_epochs(settings),
        "snapshot": snapshot_epochs(settings),
    }
    return {kind: [epoch for epoch in its_epochs if epoch in epochs] for kind, its_epochs in every.items()}


def cut(tile: Tile, measured: Mapping[str, Mapping[str, np.ndarray]], epochs: range) -> Arrays:
    """Cut a tile's measurements out of what was measured at some epochs, without padding.

    Args:
        tile: the tile.
        measured: [E, S, V, ...] by kind and name.
        epochs: the E epochs.

    Returns:
        `kind/name` -> [E of its kind, S, V, ...].
    """
    seeds, variants = len(tile.seeds), len(tile.variants)
    arrays = {
        f"{kind}/{name}": values[[epoch - epochs.start for epoch in its_epochs], :seeds, :variants]
        for kind, its_epochs in measured_epochs(tile.program.settings, epochs).items()
        for name, values in measured[kind].items()
    }
    for name in ("figures/train_loss", "figures/train_accuracy"):
        if 0 in epochs:
            arrays[name][0] = np.nan  # no batch was seen before the first step
    return arrays


def histogram_ranges(settings: Settings) -> dict[str, tuple[float, float]]:
    """Return the range of a variant's histograms, by kind; that of gradients is of log10 of their absolute entries."""
    own = activations.HISTOGRAM_RANGES.get(settings.activation, activations.DEFAULT_RANGE)
    return {
        "pre_activation": activations.PRE_ACTIVATION_RANGE,
        "activation": own,
        "gradient": activations.GRADIENT_RANGE,
    }


def histogram_counts(snapshot: Mapping[str, np.ndarray], layer: int) -> Arrays:
    """Return one layer's histograms [bins + 2] by kind, from one replica's snapshot at one epoch."""
    counts = {"gradient": snapshot["gradients"][layer]}
    if layer < len(snapshot["histograms"]):  # the output has no activation
        counts |= dict(zip(KINDS, snapshot["histograms"][layer], strict=True))
    return counts
