"""The words of the design as types. Imports nothing of ours.

Shapes: B examples of a batch, D features, C classes, N examples of a split. Every type here is for *one* replica; the
replica axes `[S, V]` (seeds, variants) are added by `sweep`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

Params = Any  # {layer: {"kernel": [inputs, outputs], "bias": [outputs]}}
Metrics = dict[str, jax.Array]


class Batch(NamedTuple):
    """Examples that one step sees."""

    x: jax.Array  # [B, ...] the features, scaled
    y: jax.Array  # [B] int32, the class


class Split(NamedTuple):
    """The examples of one split, as they lie on the device: unscaled, so that images stay uint8."""

    x: jax.Array  # [N, ...]
    y: jax.Array  # [N] int32


class Hparams(NamedTuple):
    """What a sweep may vary without another compilation: scalars inside the step, `[V]` in a sweep."""

    learning_rate: jax.Array  # [] float32, before the schedule
    clip_norm: jax.Array  # [] float32; inf: no clipping
    label_smoothing: jax.Array  # [] float32 in [0, 1)
    total_steps: jax.Array  # [] int32, the length of the schedule
    activation: jax.Array  # [] int32, index into the recipe's activations
    loss: jax.Array  # [] int32, index into the recipe's losses
    schedule: jax.Array  # [] int32, index into the recipe's schedules
    schedule_options: dict[str, jax.Array]  # each [] float32
    optimizer_options: dict[str, jax.Array]  # each [] float32


class TrainState(NamedTuple):
    """All that a replica carries from one step to the next."""

    step: jax.Array  # [] int32, steps taken
    params: Params
    opt_state: Any
    first_nonfinite_step: jax.Array  # [] int32, the step at which the replica diverged; -1: it has not
    loss_scale: Any = None  # precision.LossScale, where the precision has one


class Layer(NamedTuple):
    """What passes through one hidden layer for a batch."""

    pre_activation: jax.Array  # [B, units]; of a convolution [B * pixels, filters]
    activation: jax.Array  # the same


class Observation(NamedTuple):
    """All that the diagnostics may look at, taken on one batch."""

    params: Params
    gradients: Params  # of the mean loss
    updates: Params  # what the optimizer would add to params
    layers: dict[str, Layer]  # hidden layers, first to last
