"""Training ONE replica, as pure functions: nothing here is jitted and nothing has a replica axis.

`sweep` adds both. A `Recipe` holds the static choices (functions), `Hparams` the traced ones (numbers). A recipe may hold
several losses, activations or schedules; `Hparams` then has the index of the replica's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxcompare.components import activations, losses, models, optimizers, precision
from jaxcompare.diagnostics import layer_names, scaled_norm
from jaxcompare.types import Batch, Hparams, Layer, Metrics, Observation, Params, TrainState

EVALUATION_CHUNK = 250  # examples at a time: activations of all of a tile's replicas stay in the cache


Choice = str | Callable[..., jax.Array]  # a name, or a loss, activation or schedule itself


class Recipe(NamedTuple):
    """The static choices of a training."""

    model: models.Model
    optimizer: optimizers.OptimizerFactory
    losses: tuple[losses.LossFunction, ...]
    activations: tuple[activations.ActivationFunction, ...]
    schedules: tuple[optimizers.ScheduleFunction, ...]
    clip: bool  # False leaves clipping out of the program
    policy: precision.Policy = precision.POLICIES["float32"]
    micro_batches: int = 1  # parts of a batch that go through the network one after the other


def make_recipe(
    model: models.Model,
    *,
    optimizer: str | optimizers.OptimizerFactory = "momentum",
    loss: Choice | tuple[Choice, ...] = "cross_entropy",
    activation: Choice | tuple[Choice, ...] = "relu",
    schedule: Choice | tuple[Choice, ...] = "constant",
    clip: bool = True,
    policy: str | precision.Policy = "float32",
    micro_batches: int = 1,
) -> Recipe:
    """Make a Recipe from choices: each a key of its registry, `"package.module:attribute"`, or the function itself.

    Args:
        model: the network, for example `models.mlp(...)`.
        optimizer: a key of `optimizers.OPTIMIZERS`.
        loss: a key of `losses.LOSSES`, or several, among which `Hparams.loss` chooses.
        activation: a key of `activations.ACTIVATIONS`, or several, among which `Hparams.activation` chooses.
        schedule: a key of `optimizers.SCHEDULES`, or several, among which `Hparams.schedule` chooses.
        clip: whether gradients may be clipped; False leaves clipping out of the program.
        policy: the precision, a key of `precision.POLICIES` or a policy.
        micro_batches: parts of a batch that go through the network one after the other; they must divide the batch.

    Returns:
        The static choices of a training.

    Raises:
        ValueError: an unknown name; the message has the closest known one.

    Example:
        >>> recipe = make_recipe(models.mlp(hidden=(8,), classes=3), optimizer="adamw", activation=("relu", "tanh"))
        >>> len(recipe.activations)
        2
        >>> make_recipe(models.mlp(hidden=(8,), classes=3), optimizer=optax.adabelief).optimizer is optax.adabelief
        True
    """

    def each(choice: Choice | tuple[Choice, ...], resolve: Callable) -> tuple:
        return tuple(resolve(one) for one in (choice if isinstance(choice, tuple | list) else (choice,)))

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
    loss_options: dict[str, float] | None = None,
    activation_options: dict[str, float] | None = None,
) -> Hparams:
    """Make Hparams with the right dtypes from plain numbers.

    Args:
        learning_rate: before the schedule.
        clip_norm: the largest norm of the whole gradient; infinity: no clipping.
        label_smoothing: in [0, 1).
        total_steps: the length of the schedule; every schedule but `constant` needs it, and gives NaN without.
        activation: index into the recipe's activations.
        loss: index into the recipe's losses.
        schedule: index into the recipe's schedules.
        schedule_options: by name; missing options take the schedule's defaults.
        optimizer_options: by name; missing options take the optimizer's defaults.
        loss_options: by name, for the losses that have them.
        activation_options: by name, for the activations that have them.

    Returns:
        Scalars: float32 (float64 where `jax_enable_x64` is set) and int32.

    Example:
        >>> make_hparams(0.1, clip_norm=1.0).learning_rate.dtype
        dtype('float32')
    """
    number = partial(jnp.asarray, dtype=float)  # float32, or float64 where JAX uses it
    index = partial(jnp.asarray, dtype=jnp.int32)
    return Hparams(
        number(learning_rate),
        number(clip_norm),
        number(label_smoothing),
        index(total_steps),
        index(activation),
        index(loss),
        index(schedule),
        *(
            {name: number(value) for name, value in (options or {}).items()}
            for options in (schedule_options, optimizer_options, loss_options, activation_options)
        ),
    )


def init_state(key: jax.Array, recipe: Recipe, hparams: Hparams, x: jax.Array) -> TrainState:
    """Initialise a network and its optimizer.

    Args:
        key: a typed key; equal keys give equal weights for all hyperparameters.
        recipe: the static choices.
        hparams: the traced choices.
        x: [B, ...] examples, for their shape only.

    Returns:
        The state before the first step.
    """
    params = recipe.model.init(key, x)
    opt_state = _optimizer(recipe, hparams, jnp.zeros((), jnp.int32)).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, jnp.full((), -1, jnp.int32), recipe.policy.init())


def learning_rate_at(recipe: Recipe, hparams: Hparams, step: jax.Array) -> jax.Array:
    """Return the learning rate [] of the update after `step` updates; past the schedule's end the last rate holds."""
    total = hparams.total_steps
    # A missing length must show: with an invented length the schedule would end unseen after one step.
    progress = jnp.where(total > 0, jnp.minimum(step / total, 1.0), jnp.nan)

    factors = optimizers.bound(recipe.schedules, hparams.schedule_options)
    return hparams.learning_rate * activations.select(hparams.schedule, factors, progress)


def _optimizer(recipe: Recipe, hparams: Hparams, step: jax.Array) -> optax.GradientTransformation:
    # Built in every step from traced numbers: two closures, which cost nothing once compiled.
    return recipe.optimizer(learning_rate_at(recipe, hparams, step), **hparams.optimizer_options)


def forward(
    recipe: Recipe, params: Params, x: jax.Array, hparams: Hparams, *, for_gradient: bool = False
) -> tuple[jax.Array, dict[str, Layer]]:
    """Return logits [B, C] in full precision, and the hidden layers in the precision of the computation."""
    functions = optimizers.bound(recipe.activations, hparams.activation_options)
    activation = partial(activations.select, hparams.activation, functions)
    params, x = recipe.policy.to_compute((params, x))
    apply = (recipe.model.apply_for_gradient if for_gradient else None) or recipe.model.apply
    logits, layers = apply(params, x, activation)
    return recipe.policy.to_full(logits), layers


def _example_losses(recipe: Recipe, logits: jax.Array, y: jax.Array, hparams: Hparams) -> jax.Array:
    labels = losses.smooth_labels(y, recipe.model.classes, hparams.label_smoothing)

    def checked(loss: losses.LossFunction, logits: jax.Array, labels: jax.Array) -> jax.Array:
        value = loss(logits, labels)
        # A mean over the batch would train, and evaluate wrongly: evaluation pads the last chunk.
        if value.shape != y.shape:
            raise ValueError(
                f"a loss gives {list(value.shape)}; it must give a number for each example, {list(y.shape)}"
            )
        return value

    functions = [partial(checked, loss) for loss in optimizers.bound(recipe.losses, hparams.loss_options)]
    return activations.select(hparams.loss, functions, logits, labels)


def _mean_loss(
    recipe: Recipe, params: Params, *, batch: Batch, hparams: Hparams
) -> tuple[jax.Array, tuple[jax.Array, dict[str, Layer]]]:
    """Return the mean loss [] over a batch, which is what training minimises, and (logits, hidden layers)."""
    logits, layers = forward(recipe, params, batch.x, hparams, for_gradient=True)
    return jnp.mean(_example_losses(recipe, logits, batch.y, hparams)), (logits, layers)


class _Found(NamedTuple):
    """A network's gradients, metrics and layers on one batch."""

    gradients: Params  # of the mean loss, unscaled and unclipped, in full precision
    metrics: Metrics
    layers: dict[str, Layer]
    finite: jax.Array  # [] bool: False where the step must be skipped
    loss_scale: precision.LossScale | None  # afterwards


def _gradients(
    recipe: Recipe, params: Params, batch: Batch, hparams: Hparams, loss_scale: precision.LossScale | None
) -> _Found:
    mean_loss = partial(_mean_loss, recipe, batch=batch, hparams=hparams)
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
    """Return `_gradients` of a whole batch, which goes through the network in the recipe's micro-batches.

    The parts are equal: the mean over the batch is the mean of the parts' means. Only one part's activations are held at a
    time. Where one part overflows, the whole step overflows.

    Raises:
        ValueError: the micro-batches do not divide the batch.
    """
    count, size = recipe.micro_batches, batch.y.shape[0]
    if count == 1:
        return _gradients(recipe, params, batch, hparams, loss_scale)
    if size % count:
        raise ValueError(f"micro_batches = {count} do not divide a batch of {size} examples")

    def one(micro: Batch) -> _Found:
        return _gradients(recipe, params, micro, hparams, loss_scale)._replace(layers={})

    def add(so_far: _Found, micro: Batch) -> tuple[_Found, None]:
        found = one(micro)
        gradients = jax.tree.map(jnp.add, so_far.gradients, found.gradients)
        metrics = jax.tree.map(jnp.add, so_far.metrics, found.metrics)
        earlier = found.finite & ~so_far.finite  # a part that overflowed decides the scale
        scale = jax.tree.map(partial(jnp.where, earlier), so_far.loss_scale, found.loss_scale)
        return _Found(gradients, metrics, {}, so_far.finite & found.finite, scale), None

    parts = _micro_batches(recipe, batch)
    shapes = jax.eval_shape(one, jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), (shapes.gradients, shapes.metrics))
    nothing = _Found(zeros[0], zeros[1], {}, jnp.ones((), bool), loss_scale)
    sums, _ = jax.lax.scan(add, nothing, parts)
    gradients, metrics = jax.tree.map(lambda leaf: leaf / count, (sums.gradients, sums.metrics))
    return sums._replace(gradients=gradients, metrics=metrics)


def _micro_batches(recipe: Recipe, batch: Batch) -> Batch:
    """Return a batch in equal parts, [micro_batches, B / micro_batches, ...]."""
    count = recipe.micro_batches

    def part(leaf: jax.Array) -> jax.Array:
        # Every count-th example: devices that share a batch then have a share of each part.
        return leaf.reshape(leaf.shape[0] // count, count, *leaf.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(part, batch)


def _batch_loss(recipe: Recipe, params: Params, *, batch: Batch, hparams: Hparams) -> jax.Array:
    """Return the mean loss [] over a batch, which goes through the network in the recipe's micro-batches."""

    @jax.checkpoint  # a line search takes gradients of it, and only one part's activations are to be held at a time
    def one(micro: Batch) -> jax.Array:
        return _mean_loss(recipe, params, batch=micro, hparams=hparams)[0]

    if recipe.micro_batches == 1:
        return _mean_loss(recipe, params, batch=batch, hparams=hparams)[0]
    return jnp.mean(jax.lax.map(one, _micro_batches(recipe, batch)))


def _updates(
    recipe: Recipe,
    state: TrainState,
    hparams: Hparams,
    found: _Found,
    value_fn: Callable[[Params], jax.Array],
    step: jax.Array,
) -> tuple[Params, Any]:
    """Return the optimizer's updates and its next state.

    An optimizer may ask for the batch's loss `value`, its gradient `grad` before clipping, and the loss as a function of the
    parameters, `value_fn`: line searches and Polyak's step sizes need these.
    """
    gradients = _clip(found.gradients, hparams.clip_norm) if recipe.clip else found.gradients
    optimizer = optax.with_extra_args_support(_optimizer(recipe, hparams, step))
    asked = {"value": found.metrics["loss"], "grad": found.gradients, "value_fn": value_fn}
    return optimizer.update(gradients, state.opt_state, state.params, **asked)


def _clip(gradients: Params, clip_norm: jax.Array) -> Params:
    unit, norm = scaled_norm(gradients)  # the norm itself may be too large for its type
    # A norm of zero would divide by zero; a norm that is not finite stays not finite, and divergence shows.
    clipped, factor = norm > clip_norm / unit, clip_norm / norm
    return jax.tree.map(lambda gradient: jnp.where(clipped, gradient * (1.0 / unit) * factor, gradient), gradients)


def _correct(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Return correct answers [...] as 0. and 1.; an answer that is not finite is wrong."""
    answered = jnp.all(jnp.isfinite(logits), axis=-1)
    return (answered & (jnp.argmax(logits, axis=-1) == y)).astype(jnp.float32)


def make_train_step(recipe: Recipe) -> Callable[[TrainState, Batch, Hparams], tuple[TrainState, Metrics]]:
    """Make the training step of one replica, a pure function `step(state, batch, hparams) -> (state, metrics)`.

    A loss that is not finite is marked in the state, once, and the update is applied all the same. Where the precision has a
    loss scale, a step with gradients that are not finite is skipped. Such a replica is marked once no smaller scale is left.

    Args:
        recipe: the static choices.

    Returns:
        The step. Its metrics, each []: `loss` (mean over the batch, before the update), `accuracy`, `learning_rate`.

    Example:
        >>> recipe = make_recipe(models.mlp(hidden=(8,), classes=3))
        >>> batch, hparams = Batch(jnp.ones((4, 2)), jnp.arange(4) % 3), make_hparams(0.1)
        >>> state = init_state(jax.random.key(0), recipe, hparams, batch.x)
        >>> state, metrics = jax.jit(make_train_step(recipe))(state, batch, hparams)
        >>> sorted(metrics), int(state.step)
        (['accuracy', 'learning_rate', 'loss'], 1)
    """

    def step(state: TrainState, batch: Batch, hparams: Hparams) -> tuple[TrainState, Metrics]:
        found = _batch_gradients(recipe, state.params, batch, hparams, state.loss_scale)
        value_fn = partial(_batch_loss, recipe, batch=batch, hparams=hparams)
        updates, opt_state = _updates(recipe, state, hparams, found, value_fn, state.step)
        params = optax.apply_updates(state.params, updates)
        diverged = ~jnp.isfinite(found.metrics["loss"])
        if found.loss_scale is not None:
            # A step that overflowed leaves parameters and optimizer as they were.
            params, opt_state = (
                jax.tree.map(partial(jnp.where, found.finite), new, old)
                for new, old in ((params, state.params), (opt_state, state.opt_state))
            )
            diverged = precision.exhausted(found.loss_scale)
        first = jnp.where((state.first_nonfinite_step < 0) & diverged, state.step, state.first_nonfinite_step)
        metrics = found.metrics | {"learning_rate": learning_rate_at(recipe, hparams, state.step)}
        return TrainState(state.step + 1, params, opt_state, first, found.loss_scale), metrics

    return step


def evaluation_params(recipe: Recipe, state: TrainState) -> Params:
    """Return the parameters to evaluate a network at: those that train, except where the optimizer gives others.

    An optimizer gives others through its attribute `evaluation_params`, a function (opt_state, params) -> params: an average
    over the steps, for example. Optax's schedule-free optimizers need no attribute.

    Args:
        recipe: the static choices.
        state: of the replica.

    Returns:
        Parameters of the same shapes.
    """
    read = optimizers.evaluation_params_of(recipe.optimizer, state.opt_state)
    return state.params if read is None else read(state.opt_state, state.params)


def evaluate(
    recipe: Recipe, params: Params, splits: Sequence[Batch], hparams: Hparams, scaling: tuple
) -> tuple[Metrics, ...]:
    """Evaluate mean loss and accuracy over each of some splits, every example counted.

    The loss is that of the labels themselves: smoothed labels would make losses of different smoothing incomparable.

    Args:
        recipe: the static choices.
        params: of the network.
        splits: unscaled, of any sizes; they go through the network together, in chunks, so that one shape is compiled.
        hparams: the traced choices.
        scaling: factor and shift, as for `scale`.

    Returns:
        For each split `loss` and `accuracy`, each []; NaN for an empty split.
    """
    hparams = hparams._replace(label_smoothing=jnp.zeros_like(hparams.label_smoothing))
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
    # Nothing was measured on an empty split.
    return jnp.mean(values) if values.size else jnp.full((), jnp.nan)


def observe(recipe: Recipe, state: TrainState, batch: Batch, hparams: Hparams) -> Observation:
    """Observe the next step on a batch without taking the step, for `jaxcompare.diagnostics`.

    Args:
        recipe: the static choices.
        state: of the replica; stays as it is.
        batch: scaled examples.
        hparams: the traced choices.

    Returns:
        Parameters, gradients and updates of training, and hidden layers at `evaluation_params`, in full precision. Where a
        gradient overflows at the loss scale, the next step is skipped: gradients and updates are NaN then, in all layers.
    """
    found = _gradients(recipe, state.params, batch, hparams, state.loss_scale)
    if state.loss_scale is not None:  # an overflow may leave some layers finite beside others that are not
        gradients = jax.tree.map(lambda leaf: jnp.where(found.finite, leaf, jnp.nan), found.gradients)
        found = found._replace(gradients=gradients)
    layers = found.layers
    if optimizers.evaluation_params_of(recipe.optimizer, state.opt_state) is not None:
        _, layers = forward(recipe, evaluation_params(recipe, state), batch.x, hparams)
    # The transformation of the gradient sorted the layers by name.
    layers = {name: layers[name] for name in layer_names(layers)}
    # After the last step there is no next step, and a schedule may have come to zero: use the last step's rate.
    step = jnp.minimum(state.step, hparams.total_steps - 1)
    whole = recipe._replace(micro_batches=1)  # the probe batch has another size
    value_fn = partial(_batch_loss, whole, batch=batch, hparams=hparams)
    updates, _ = _updates(recipe, state, hparams, found, value_fn, step)
    return Observation(state.params, found.gradients, updates, recipe.policy.to_full(layers))


def full_gradients(recipe: Recipe, state: TrainState, batch: Batch, hparams: Hparams) -> Params:
    """Return the gradients of the mean loss in float32, for a recipe of any precision."""
    full = recipe._replace(policy=precision.POLICIES["float32"])
    return _gradients(full, state.params, batch, hparams, None).gradients


def scale(x: jax.Array, scaling: tuple) -> jax.Array:
    """Scale features for the network: x * factor + shift, for `scaling = (factor, shift)`."""
    factor, shift = scaling
    return x.astype(float) * factor + shift


def predict(recipe: Recipe, params: Params, x: jax.Array, hparams: Hparams) -> jax.Array:
    """Return a network's probabilities.

    Args:
        recipe: the static choices.
        params: of the network.
        x: [B, ...] scaled features.
        hparams: the traced choices.

    Returns:
        Softmax probabilities [B, C].
    """
    return jax.nn.softmax(forward(recipe, params, x, hparams)[0])


def replica_key(seed: jax.Array) -> jax.Array:
    """Return the typed key of all of a replica's randomness; the variants of a seed share the key."""
    return jax.random.key(seed)


def init_key(seed: jax.Array) -> jax.Array:
    """Return the key of the initial weights."""
    return jax.random.fold_in(replica_key(seed), 0)


def epoch_order(seed: jax.Array, epoch: jax.Array, size: int) -> jax.Array:
    """Return the order [size] int32 in which an epoch (from 0) visits the training examples; all orders are equally likely.

    Random numbers are sorted, as in `jax.random.permutation`, but only the high bits of each number are random. The low bits
    are the position, so that one array is sorted instead of two: a third of the time on CPU. Further rounds make up for the
    missing bits. Together the rounds sort as one longer number would, and two of size^3 numbers are hardly ever equal.

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
