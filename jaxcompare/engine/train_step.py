"""Training ONE replica, as pure functions: nothing here is jitted and nothing has a replica axis.

`sweep` adds both. A `Recipe` holds what is static (functions), `Hparams` what is traced (numbers). A recipe may hold several
losses, activations or schedules; `Hparams` then says by index which one this replica uses.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxcompare.components import activations, losses, models, optimizers, precision
from jaxcompare.diagnostics import layer_names, tree_norm
from jaxcompare.types import Batch, Hparams, Layer, Metrics, Observation, Params, TrainState

EVALUATION_CHUNK = 250  # examples at a time: activations of all of a tile's replicas stay in the cache


class Recipe(NamedTuple):
    """The static choices of a training."""

    model: models.Model
    optimizer: optimizers.OptimizerFactory
    losses: tuple[losses.LossFunction, ...]
    activations: tuple[activations.ActivationFunction, ...]
    schedules: tuple[optimizers.ScheduleFunction, ...]
    clip: bool  # False leaves clipping out of the program
    policy: precision.Policy = precision.POLICIES["float32"]
    micro_batches: int = 1  # parts that a batch goes through the network in, one after the other


def make_recipe(
    model: models.Model,
    *,
    optimizer: str = "momentum",
    loss: str | tuple[str, ...] = "cross_entropy",
    activation: str | tuple[str, ...] = "relu",
    schedule: str | tuple[str, ...] = "constant",
    clip: bool = True,
    policy: str | precision.Policy = "float32",
    micro_batches: int = 1,
) -> Recipe:
    """A Recipe from names, each a key of its registry or `"package.module:attribute"`.

    Raises:
        ValueError: an unknown name; the message has the closest known one.
    """

    def each(name: str | tuple[str, ...], resolve: Callable) -> tuple:
        return tuple(resolve(one) for one in ((name,) if isinstance(name, str) else name))

    return Recipe(
        model,
        optimizers.resolve_optimizer(optimizer),
        each(loss, losses.resolve),
        each(activation, activations.resolve),
        each(schedule, optimizers.resolve_schedule),
        clip,
        precision.resolve(policy) if isinstance(policy, str) else policy,
        micro_batches,
    )


def make_hparams(
    learning_rate: float,
    *,
    clip_norm: float = float("inf"),
    label_smoothing: float = 0.0,
    total_steps: int = 0,
    activation: int = 0,
    loss: int = 0,
    schedule: int = 0,
    schedule_options: dict[str, float] | None = None,
    optimizer_options: dict[str, float] | None = None,
) -> Hparams:
    """Hparams of the right dtypes from plain numbers. Options left out take their function's defaults.

    `total_steps` is the length of the schedule: every schedule but `constant` needs it, and gives NaN without.
    """
    number = partial(jnp.asarray, dtype=float)  # float32, or float64 where JAX is told to use it
    index = partial(jnp.asarray, dtype=jnp.int32)
    return Hparams(
        number(learning_rate),
        number(clip_norm),
        number(label_smoothing),
        index(total_steps),
        index(activation),
        index(loss),
        index(schedule),
        {name: number(value) for name, value in (schedule_options or {}).items()},
        {name: number(value) for name, value in (optimizer_options or {}).items()},
    )


def init_state(key: jax.Array, recipe: Recipe, hparams: Hparams, x: jax.Array) -> TrainState:
    """A fresh network and optimizer.

    Args:
        key: a typed key; equal keys give equal weights, whatever the hyperparameters.
        recipe: the static choices.
        hparams: the traced ones.
        x: [B, ...] examples, for their shape only.
    """
    params = recipe.model.init(key, x)
    opt_state = _optimizer(recipe, hparams, jnp.zeros((), jnp.int32)).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, jnp.full((), -1, jnp.int32), recipe.policy.init())


def learning_rate_at(recipe: Recipe, hparams: Hparams, step: jax.Array) -> jax.Array:
    """The learning rate of the update after `step` updates: []; past the schedule's end it is that of the end."""
    total = hparams.total_steps
    # A schedule whose length was never said must show: with a length made up, it would end unseen after one step.
    progress = jnp.where(total > 0, jnp.minimum(step / total, 1.0), jnp.nan)

    def bind(schedule: optimizers.ScheduleFunction) -> optimizers.ScheduleFunction:
        known = optimizers.options_of(schedule)
        return partial(schedule, **{k: v for k, v in hparams.schedule_options.items() if k in known})

    factors = [bind(schedule) for schedule in recipe.schedules]
    return hparams.learning_rate * activations.select(hparams.schedule, factors, progress)


def _optimizer(recipe: Recipe, hparams: Hparams, step: jax.Array) -> optax.GradientTransformation:
    # Built anew in every step from traced numbers: it is two closures, and costs nothing once compiled.
    return recipe.optimizer(learning_rate_at(recipe, hparams, step), **hparams.optimizer_options)


def forward(
    recipe: Recipe, params: Params, x: jax.Array, hparams: Hparams, *, for_gradient: bool = False
) -> tuple[jax.Array, dict[str, Layer]]:
    """Logits in full precision, and the hidden layers as they were computed."""
    activation = partial(activations.select, hparams.activation, recipe.activations)
    params, x = recipe.policy.to_compute((params, x))
    apply = (recipe.model.apply_for_gradient if for_gradient else None) or recipe.model.apply
    logits, layers = apply(params, x, activation)
    return recipe.policy.to_full(logits), layers


def _example_losses(recipe: Recipe, logits: jax.Array, y: jax.Array, hparams: Hparams) -> jax.Array:
    labels = losses.smooth_labels(y, recipe.model.classes, hparams.label_smoothing)
    return activations.select(hparams.loss, recipe.losses, logits, labels)


class _Found(NamedTuple):
    """What a batch says to a network."""

    gradients: Params  # of the mean loss, unscaled and unclipped, in full precision
    metrics: Metrics
    layers: dict[str, Layer]
    finite: jax.Array  # [] bool: False where the step is to be skipped
    loss_scale: precision.LossScale | None  # afterwards


def _gradients(
    recipe: Recipe, params: Params, batch: Batch, hparams: Hparams, loss_scale: precision.LossScale | None
) -> _Found:
    def mean_loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, dict[str, Layer]]]:
        logits, layers = forward(recipe, params, batch.x, hparams, for_gradient=True)
        return jnp.mean(_example_losses(recipe, logits, batch.y, hparams)), (logits, layers)

    if loss_scale is None:
        (loss, (logits, layers)), gradients = jax.value_and_grad(mean_loss, has_aux=True)(params)
        finite = jnp.ones((), bool)  # every update is applied as it is, so that divergence shows
    else:
        dynamic, finite, (loss, (logits, layers)), gradients = loss_scale.dynamic.value_and_grad(
            mean_loss, has_aux=True
        )(params)
        loss_scale = precision.advance(loss_scale, dynamic, finite)
    metrics = {"loss": loss, "accuracy": jnp.mean(_correct(logits, batch.y))}
    return _Found(gradients, metrics, layers, finite, loss_scale)


def _batch_gradients(
    recipe: Recipe, params: Params, batch: Batch, hparams: Hparams, loss_scale: precision.LossScale | None
) -> _Found:
    """`_gradients` of a whole batch, which goes through the network in the recipe's micro-batches.

    Equal parts: the mean over the batch is the mean of their means, and only one part's activations are held at a time. Where
    one part overflows the whole step has.

    Raises:
        ValueError: the micro-batches do not divide the batch.
    """
    count, size = recipe.micro_batches, batch.y.shape[0]
    if count == 1:
        return _gradients(recipe, params, batch, hparams, loss_scale)
    if size % count:
        raise ValueError(f"micro_batches = {count} do not divide a batch of {size} examples")

    def part(leaf: jax.Array) -> jax.Array:
        # Every count-th example: devices that share a batch then have a share of each part.
        return leaf.reshape(size // count, count, *leaf.shape[1:]).swapaxes(0, 1)

    def one(micro: Batch) -> _Found:
        return _gradients(recipe, params, micro, hparams, loss_scale)._replace(layers={})

    def add(so_far: _Found, micro: Batch) -> tuple[_Found, None]:
        found = one(micro)
        gradients = jax.tree.map(jnp.add, so_far.gradients, found.gradients)
        metrics = jax.tree.map(jnp.add, so_far.metrics, found.metrics)
        earlier = found.finite & ~so_far.finite  # the scale is that of a part that overflowed, if any did
        scale = jax.tree.map(partial(jnp.where, earlier), so_far.loss_scale, found.loss_scale)
        return _Found(gradients, metrics, {}, so_far.finite & found.finite, scale), None

    parts = jax.tree.map(part, batch)
    shapes = jax.eval_shape(one, jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), (shapes.gradients, shapes.metrics))
    nothing = _Found(zeros[0], zeros[1], {}, jnp.ones((), bool), loss_scale)
    sums, _ = jax.lax.scan(add, nothing, parts)
    gradients, metrics = jax.tree.map(lambda leaf: leaf / count, (sums.gradients, sums.metrics))
    return sums._replace(gradients=gradients, metrics=metrics)


def _clip(gradients: Params, clip_norm: jax.Array) -> Params:
    norm = tree_norm(gradients)
    # A norm of zero would divide by zero; a norm that is not finite stays so, and divergence shows.
    factor = jnp.where(norm > clip_norm, clip_norm / norm, 1.0)
    return jax.tree.map(lambda gradient: gradient * factor, gradients)


def _correct(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Right answers [...] as 0. and 1.; an answer that is not finite is none."""
    answered = jnp.all(jnp.isfinite(logits), axis=-1)
    return (answered & (jnp.argmax(logits, axis=-1) == y)).astype(jnp.float32)


def make_train_step(recipe: Recipe) -> Callable[[TrainState, Batch, Hparams], tuple[TrainState, Metrics]]:
    """`step(state, batch, hparams) -> (state, metrics)`, pure, for one replica.

    Metrics, each []: `loss` (mean over the batch, before the update), `accuracy`, `learning_rate`.
    A loss that is not finite is marked in the state, once, and the update is applied all the same. Only where the precision has
    a loss scale is a step skipped whose gradients are not finite, and a replica marked once no smaller scale is left to try.
    """

    def step(state: TrainState, batch: Batch, hparams: Hparams) -> tuple[TrainState, Metrics]:
        found = _batch_gradients(recipe, state.params, batch, hparams, state.loss_scale)
        gradients = _clip(found.gradients, hparams.clip_norm) if recipe.clip else found.gradients
        updates, opt_state = _optimizer(recipe, hparams, state.step).update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        diverged = ~jnp.isfinite(found.metrics["loss"])
        if found.loss_scale is not None:
            # A step that overflowed is none: neither parameters nor optimizer learn of it.
            params, opt_state = (
                jax.tree.map(partial(jnp.where, found.finite), new, old)
                for new, old in ((params, state.params), (opt_state, state.opt_state))
            )
            diverged = precision.exhausted(found.loss_scale)
        first = jnp.where((state.first_nonfinite_step < 0) & diverged, state.step, state.first_nonfinite_step)
        metrics = found.metrics | {"learning_rate": learning_rate_at(recipe, hparams, state.step)}
        return TrainState(state.step + 1, params, opt_state, first, found.loss_scale), metrics

    return step


def evaluate(
    recipe: Recipe, params: Params, splits: Sequence[Batch], hparams: Hparams, scaling: tuple
) -> tuple[Metrics, ...]:
    """Mean loss and accuracy over each of some splits, every example counted.

    Args:
        recipe: the static choices.
        params: of the network.
        splits: unscaled, of any sizes; they go through the network together, in chunks, so that it is compiled once.
        hparams: the traced choices.
        scaling: as for `scale`.

    Returns:
        For each split `loss` and `accuracy`, each []; NaN for an empty one.
    """
    sizes = [split.y.shape[0] for split in splits]
    chunk = max(1, min(EVALUATION_CHUNK, sum(sizes)))
    count = -(-sum(sizes) // chunk)

    def in_chunks(*arrays: jax.Array) -> jax.Array:
        whole = jnp.concatenate(arrays)
        filled = jnp.pad(whole, [(0, count * chunk - sum(sizes))] + [(0, 0)] * (whole.ndim - 1))
        return filled.reshape(count, chunk, *whole.shape[1:])

    def one_chunk(part: Batch) -> tuple[jax.Array, jax.Array]:
        logits, _ = forward(recipe, params, scale(part.x, scaling), hparams)
        return _example_losses(recipe, logits, part.y, hparams), _correct(logits, part.y)

    figures = [values.ravel() for values in jax.lax.map(one_chunk, jax.tree.map(in_chunks, *splits))]
    ends = list(itertools.accumulate(sizes, initial=0))
    return tuple(
        {name: _mean(values[begin:end]) for name, values in zip(("loss", "accuracy"), figures, strict=True)}
        for begin, end in itertools.pairwise(ends)
    )


def _mean(values: jax.Array) -> jax.Array:
    # Of an empty split nothing was measured.
    return jnp.mean(values) if values.size else jnp.full((), jnp.nan)


def observe(recipe: Recipe, state: TrainState, batch: Batch, hparams: Hparams) -> Observation:
    """What the next step would see and do on `batch`, in full precision; the state is left as it is."""
    found = _gradients(recipe, state.params, batch, hparams, state.loss_scale)
    # The gradient's transformation sorted them by name.
    layers = {name: found.layers[name] for name in layer_names(found.layers)}
    clipped = _clip(found.gradients, hparams.clip_norm) if recipe.clip else found.gradients
    # After the last step there is no next one, and a schedule may have come to zero: the last step's rate stands in.
    step = jnp.minimum(state.step, hparams.total_steps - 1)
    updates, _ = _optimizer(recipe, hparams, step).update(clipped, state.opt_state, state.params)
    return Observation(state.params, found.gradients, updates, recipe.policy.to_full(layers))


def full_gradients(recipe: Recipe, state: TrainState, batch: Batch, hparams: Hparams) -> Params:
    """The gradients of the mean loss as float32 would have them, whatever the recipe's precision."""
    full = recipe._replace(policy=precision.POLICIES["float32"])
    return _gradients(full, state.params, batch, hparams, None).gradients


def scale(x: jax.Array, scaling: tuple) -> jax.Array:
    """Features as the network sees them: x * factor + shift, for `scaling = (factor, shift)`."""
    factor, shift = scaling
    return x.astype(float) * factor + shift


def predict(recipe: Recipe, params: Params, x: jax.Array, hparams: Hparams) -> jax.Array:
    """Softmax probabilities [B, C] for scaled features [B, ...]."""
    return jax.nn.softmax(forward(recipe, params, x, hparams)[0])


def replica_key(seed: jax.Array) -> jax.Array:
    """The typed key that all of a replica's randomness is folded from; the same for every variant of a seed."""
    return jax.random.key(seed)


def init_key(seed: jax.Array) -> jax.Array:
    """The key of the initial weights."""
    return jax.random.fold_in(replica_key(seed), 0)


def epoch_order(seed: jax.Array, epoch: jax.Array, size: int) -> jax.Array:
    """The order [size] int32 in which an epoch (from 0) visits the training examples; any is as likely as another.

    Sorting random numbers, as `jax.random.permutation` does, but of each number only the high bits are random: the low ones are
    the position, so that one array is sorted instead of two, which takes a third of the time on CPU. What the high bits lack in
    length further rounds make up: they sort as one longer number would, and of size^3 numbers hardly two are alike.

    Raises:
        ValueError: more examples than 2^28.
    """
    width = max(1, (size - 1).bit_length())  # bits of a position
    if width > 28:
        raise ValueError(f"{size} examples are too many to be put in order; at most {2**28} can be")
    rounds = -(-3 * width // (32 - width))
    key = jax.random.fold_in(jax.random.fold_in(replica_key(seed), 1), epoch)
    position = jnp.arange(size, dtype=jnp.uint32)
    low = jnp.uint32(2**width - 1)
    draws = jax.random.bits(key, (rounds, size), jnp.uint32)

    def again(index: int, order: jax.Array) -> jax.Array:
        return order[jax.lax.sort(draws[index] & ~low | position, is_stable=False) & low]

    # A loop, because a sort takes long to compile.
    return jax.lax.fori_loop(0, rounds, again, position).astype(jnp.int32)
