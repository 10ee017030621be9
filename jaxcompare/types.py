"""The words of the design as types. Imports nothing of ours, and JAX for type checkers alone.

Shapes: B examples of a batch, D features, C classes, N examples of a split. Every type is for *one* replica;
`engine.sweep` adds the replica axes `[S, V]` (seeds, variants).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import jax

Params = Any  # {layer: {"kernel": [inputs, outputs], "bias": [outputs]}}
Metrics: TypeAlias = "dict[str, jax.Array]"


class Batch(NamedTuple):
    """Examples with their labels: the batch of a step, or a whole split (N in place of B), on the host or on a device."""

    x: jax.Array  # [B, ...] features: scaled for a step; unscaled in a split, where images stay uint8
    y: jax.Array  # [B] int32 classes


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
    loss_options: dict[str, jax.Array] = {}  # noqa: RUF012 - a NamedTuple's; each [] float32, of custom losses
    activation_options: dict[str, jax.Array] = {}  # noqa: RUF012 - the same, of custom activations


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
