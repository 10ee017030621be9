"""Training ONE replica over many steps, with its measurements, as one pure function.

A segment runs any number of steps, from anywhere to anywhere, and measures at the ends of the epochs that the segment passes.
The bounds are traced, so that one compilation serves every length. A run may stop, report or save anywhere: the numbers do not
depend on how the steps are cut into segments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from jaxcompare import diagnostics
from jaxcompare.components import activations
from jaxcompare.engine import train_step
from jaxcompare.types import Batch, Hparams, Layer, Metrics, Observation, TrainState

HISTOGRAM_BINS = 50

# Levels of measurement at an epoch's end; each level includes those before it.
NOTHING, FIGURES, LAYERS, SNAPSHOT = range(4)


class Data(NamedTuple):
    """A data set on the device, shared by all replicas."""

    train: Batch
    train_subset: Batch  # a fixed part of the training set, for evaluation
    validation: Batch
    test: Batch
    probe: Batch  # for the diagnostics
    scaling: tuple[jax.Array, jax.Array]  # factor and shift, [] or [D]
    grid: jax.Array | None = None  # [G, D], unscaled: the points of the decision field, where there is one


class Carry(NamedTuple):
    """The state that a replica carries from one segment to the next."""

    state: TrainState
    loss_sum: jax.Array  # [] over this epoch's steps
    loss_excess: jax.Array  # [] what rounding has added to that sum
    accuracy_sum: jax.Array  # []


class Ranges(NamedTuple):
    """The ranges of a replica's activation, for the diagnostics."""

    bounds: jax.Array  # [2] the least and greatest value, NaN if unbounded
    histogram: jax.Array  # [2] the range of the histogram's bins


class Window(NamedTuple):
    """The steps of a segment, and its measurements. An epoch's number counts the finished epochs; 0: untrained."""

    start: jax.Array  # [] int32, steps done so far
    stop: jax.Array  # [] int32, steps done afterwards
    first_epoch: jax.Array  # [] int32, the first epoch whose end lies in the window
    epochs: jax.Array  # [] int32, how many epochs (begun or finished) the window touches, at most K
    levels: jax.Array  # [K] int32, the level of measurement at each epoch's end, if the end is reached


def activation_ranges(name: str) -> Ranges:
    """Return the Ranges of the activation called `name`."""
    nan = float("nan")
    return Ranges(
        jnp.asarray(activations.BOUNDS.get(name, (nan, nan)), jnp.float32),
        jnp.asarray(activations.HISTOGRAM_RANGES.get(name, activations.DEFAULT_RANGE), jnp.float32),
    )


def train_segment(
    recipe: train_step.Recipe,
    carry: Carry,
    data: Data,
    seed: jax.Array,
    hparams: Hparams,
    ranges: Ranges,
    window: Window,
    *,
    batch_size: int,
    share: Callable[[Batch], Batch] = lambda batch: batch,
) -> tuple[Carry, dict[str, Metrics]]:
    """Run the window's steps, and measure at the epochs' ends.

    Args:
        recipe: the static choices.
        carry: where the last segment ended.
        data: the data set.
        seed: [] int32, of the batches' order.
        hparams: the traced choices.
        ranges: for the diagnostics.
        window: which steps.
        batch_size: B; the examples after an epoch's last whole batch are dropped.
        share: places each batch on the devices that share it; the values stay as they are.

    Returns:
        The carry, and rows [K, ...] of measurements; rows of epochs that were not reached or not measured are zero.
    """
    window = jax.tree.map(jnp.asarray, window)
    size = data.train.y.shape[0]
    steps_per_epoch = size // batch_size
    step = train_step.make_train_step(recipe)

    def train_epoch(carry: Carry, epoch: jax.Array) -> Carry:
        """Train the window's part of the epoch that is the `epoch`-th to end."""
        first = (epoch - 1) * steps_per_epoch
        start = jnp.clip(window.start, first, first + steps_per_epoch)
        stop = jnp.clip(window.stop, first, first + steps_per_epoch)
        order = train_step.epoch_order(seed, epoch - 1, size)

        def one_step(number: jax.Array, carry: Carry) -> Carry:
            examples = jax.lax.dynamic_slice(order, ((number - first) * batch_size,), (batch_size,))
            batch = share(Batch(train_step.scale(data.train.x[examples], data.scaling), data.train.y[examples]))
            state, metrics = step(carry.state, batch, hparams)
            loss_sum, loss_excess, accuracy_sum = (
                jnp.where(number == first, 0.0, so_far) for so_far in carry[1:]
            )  # from zero each epoch
            sums = _add(loss_sum, loss_excess, metrics["loss"])
            return Carry(state, *sums, accuracy_sum + metrics["accuracy"])

        return jax.lax.fori_loop(start, stop, one_step, carry)

    def one_epoch(index: jax.Array, loop: tuple[Carry, dict[str, Metrics]]) -> tuple[Carry, dict[str, Metrics]]:
        carry, rows = loop
        epoch = window.first_epoch + index
        reached = epoch * steps_per_epoch <= window.stop
        carry = _mark_parameters(train_epoch(carry, epoch), reached)
        level = jnp.where(reached, window.levels[index], NOTHING)
        row = measured(carry, level=level)
        return carry, jax.tree.map(lambda buffer, value: buffer.at[index].set(value), rows, row)

    measured = partial(measure, recipe, data=data, hparams=hparams, ranges=ranges, steps_per_epoch=steps_per_epoch)
    shapes = jax.eval_shape(lambda: measured(carry, level=window.levels[0]))
    length = window.levels.shape[0]
    rows = jax.tree.map(lambda shape: jnp.zeros((length, *shape.shape), shape.dtype), shapes)
    return jax.lax.fori_loop(0, window.epochs, one_epoch, (carry, rows))


def _add(total: jax.Array, excess: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Add a value to a compensated sum (Kahan 1965); return the sum, and the excess that its rounding added.

    A plain float32 sum of 54,000 equal losses is wrong by up to 8e-4 of itself.
    """
    value = value - excess
    rounded = total + value
    return rounded, jnp.where(jnp.isfinite(rounded), (rounded - total) - value, 0.0)


def measure(
    recipe: train_step.Recipe,
    carry: Carry,
    data: Data,
    hparams: Hparams,
    ranges: Ranges,
    *,
    steps_per_epoch: int,
    level: jax.Array | int = SNAPSHOT,
) -> dict[str, Metrics]:
    """Measure a replica at an epoch's end.

    Args:
        recipe: the static choices.
        carry: the replica, with sums over the epoch that ends.
        data: the data set.
        hparams: the traced choices.
        ranges: for the diagnostics.
        steps_per_epoch: whole batches.
        level: [] int32, how much to measure, the same for all replicas of a vmap; the rest is zero.

    Returns:
        `figures`: each [], with `finite`. `layers`: each [L] or [H]. `snapshot`: `dead` [H, units] bool, `histograms`
        [H, 2, bins + 2], `gradients` [L, bins + 2] and, where the data have a grid, `field` [G] float16, the probability of
        class 1. Figures and layers of a replica that is not finite are NaN.
    """
    figures = _where_wanted(level, FIGURES, partial(_figures, recipe, steps_per_epoch), carry, data, hparams)
    inside = _where_wanted(level, LAYERS, partial(_inside, recipe), level, carry, data, hparams, ranges)
    return {"figures": figures, **inside}


def _where_wanted(level: jax.Array | int, least: int, compute: Callable[..., Any], *arguments: Any) -> Any:
    """Return `compute(*arguments)` from a level on, else zeros: a branch, under vmap too where all replicas share the level."""
    # One trace serves the shapes and the values.
    traced, shapes = jax.make_jaxpr(compute, return_shape=True)(*arguments)

    def values(*arguments: Any) -> Any:
        return jax.tree.unflatten(jax.tree.structure(shapes), jaxpr_as_fun(traced)(*jax.tree.leaves(arguments)))

    def zeros(*_: Any) -> Any:
        return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    return jax.lax.cond(level >= least, values, zeros, *arguments)


def _figures(recipe: train_step.Recipe, steps_per_epoch: int, carry: Carry, data: Data, hparams: Hparams) -> Metrics:
    state = carry.state
    found = {"train_loss": carry.loss_sum / steps_per_epoch, "train_accuracy": carry.accuracy_sum / steps_per_epoch}
    names = ("train_subset", "validation", "test")
    splits = [getattr(data, name) for name in names]
    params = train_step.evaluation_params(recipe, state)
    results = train_step.evaluate(recipe, params, splits, hparams, data.scaling)
    for name, result in zip(names, results, strict=True):
        found |= {f"{name}_{figure}": value for figure, value in result.items()}
    scale = state.loss_scale
    # Kept for a replica that diverged, too: these figures say why.
    scaling = {} if scale is None else {"loss_scale": scale.dynamic.scale, "skipped_steps": scale.skipped_steps}
    return _known(state, found) | scaling | {"finite": _finite(state)}


def _inside(
    recipe: train_step.Recipe, level: jax.Array | int, carry: Carry, data: Data, hparams: Hparams, ranges: Ranges
) -> dict[str, Metrics]:
    state = carry.state
    batch = Batch(train_step.scale(data.probe.x, data.scaling), data.probe.y)
    observed = train_step.observe(recipe, state, batch, hparams)
    layers = diagnostics.gradient_flow(observed) | diagnostics.activation_statistics(observed.layers, ranges.bounds)
    if recipe.policy.compute is not None:
        layers |= diagnostics.underflow(train_step.full_gradients(recipe, state, batch, hparams), observed.gradients)
    evaluated = observed._replace(params=train_step.evaluation_params(recipe, state))
    snapshot = _where_wanted(level, SNAPSHOT, partial(_snapshot, recipe), evaluated, data, hparams, ranges)
    return {"layers": _known(state, layers), "snapshot": snapshot}


def _snapshot(
    recipe: train_step.Recipe, observed: Observation, data: Data, hparams: Hparams, ranges: Ranges
) -> Metrics:
    limits = Layer(jnp.asarray(activations.PRE_ACTIVATION_RANGE, jnp.float32), ranges.histogram)
    sizes = jnp.asarray(activations.GRADIENT_RANGE, jnp.float32)
    found = {
        "dead": diagnostics.dead_units(observed.layers),
        "histograms": diagnostics.layer_histograms(observed.layers, limits, HISTOGRAM_BINS),
        "gradients": diagnostics.gradient_histograms(observed, sizes, HISTOGRAM_BINS),
    }
    if data.grid is not None:
        probabilities = train_step.predict(recipe, observed.params, train_step.scale(data.grid, data.scaling), hparams)
        found["field"] = probabilities[:, 1].astype(jnp.float16)  # only drawn
    return found


def _finite(state: TrainState) -> jax.Array:
    return state.first_nonfinite_step < 0


def _known(state: TrainState, metrics: Metrics) -> Metrics:
    return jax.tree.map(lambda value: jnp.where(_finite(state), value, jnp.nan), metrics)


def _mark_parameters(carry: Carry, reached: jax.Array) -> Carry:
    """Mark a replica whose last update made its parameters not finite, though its losses were finite.

    The mark is made at epochs' ends only, so that it does not depend on where segments end.
    """
    state = carry.state
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.params)]))
    first = jnp.where(reached & (state.first_nonfinite_step < 0) & ~finite, state.step - 1, state.first_nonfinite_step)
    return carry._replace(state=state._replace(first_nonfinite_step=first))


def init_carry(recipe: train_step.Recipe, seed: jax.Array, hparams: Hparams, data: Data) -> Carry:
    """Initialise a replica."""
    x = train_step.scale(data.train.x[:1], data.scaling)
    state = train_step.init_state(train_step.init_key(seed), recipe, hparams, x)
    return Carry(state, jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))
