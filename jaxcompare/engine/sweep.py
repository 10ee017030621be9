"""Training MANY replicas: vmap over variants and seeds, jit, donation; one tile at a time, on one place.

The axes are `[S, V]`: seeds, variants. `train_step` and `segment` know nothing of them. A place is a mesh of the devices that
share a tile, and each of them sees a part of every batch; nearly always it is a single device. Tiles never communicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcompare.engine import segment, train_step
from jaxcompare.types import Batch, Hparams, Metrics, TrainState

DATA = "data"  # the axis of a place's devices


def make_step(
    recipe: train_step.Recipe,
) -> Callable[[TrainState, Batch, Hparams], tuple[TrainState, Metrics]]:
    """Make the jitted step of many replicas: `step(state [S, V], batch [S], hparams [V]) -> (state, metrics [S, V])`.

    Variants of one seed see the same batch. The state's buffers are donated: use the returned state.

    Args:
        recipe: the static choices, from `make_recipe`.

    Returns:
        The step; metrics are those of `make_train_step`, each [S, V].

    Example:
        >>> from jaxcompare import Batch, make_hparams, make_recipe, mlp
        >>> recipe = make_recipe(mlp(hidden=(8,), classes=3))
        >>> hparams = stack_hparams([make_hparams(rate) for rate in (0.1, 0.01)])
        >>> x = jnp.ones((5, 4, 2))  # five seeds, four examples, two features
        >>> state = init_states(recipe, jnp.arange(5), hparams, x[0])
        >>> state, metrics = make_step(recipe)(state, Batch(x, jnp.zeros((5, 4), jnp.int32)), hparams)
        >>> metrics["loss"].shape
        (5, 2)
    """
    over_variants = jax.vmap(train_step.make_train_step(recipe), in_axes=(0, None, 0))
    over_both = jax.vmap(over_variants, in_axes=(0, 0, None))
    return jax.jit(over_both, donate_argnums=0, compiler_options=compiler_options(recipe))


def compiler_options(recipe: train_step.Recipe, platform: str | None = None) -> dict[str, str] | None:
    """Return the compiler options with which a recipe's program does on CPU what the recipe says.

    Rematerialisation: XLA expands the barriers that `jax.checkpoint` puts around the recomputed activations, finds that the
    activations were computed before, and keeps them. Without that pass XLA recomputes them.

    bfloat16: products are summed in float32. In the XLA of JAX 0.12 the YNN library says that it multiplies bfloat16, and
    leaves small products of transposed operands to a loop that sums in bfloat16. (567 terms: an error 12 times that of rounding
    the sum once.) Without YNN XLA converts the operands to float32, as JAX 0.10 does.

    Args:
        recipe: the static choices.
        platform: the kind of device; None: JAX's default.
    """
    if (platform or jax.default_backend()) != "cpu":
        return None
    options = {"xla_disable_hlo_passes": "cse_barrier_expander"} if recipe.model.remat else {}
    if recipe.policy.compute == jnp.bfloat16:
        options["xla_cpu_experimental_ynn_fusion_type"] = ""
    return options or None


def init_states(recipe: train_step.Recipe, seeds: jax.Array, hparams: Hparams, x: jax.Array) -> TrainState:
    """Initialise the states of many replicas; the variants of a seed start from the same weights.

    Args:
        recipe: the static choices.
        seeds: [S] int32.
        hparams: leaves [V], of `stack_hparams`.
        x: [B, ...] examples, for their shape only.

    Returns:
        States with leaves [S, V, ...].
    """

    def one(seed: jax.Array, hparams: Hparams) -> TrainState:
        return train_step.init_state(train_step.init_key(seed), recipe, hparams, x)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(seeds, hparams)


class Replicas(NamedTuple):
    """The arrays of a tile."""

    seeds: np.ndarray  # [S] int32
    hparams: Hparams  # leaves [V]
    ranges: segment.Ranges  # leaves [V, 2]


class Memory(NamedTuple):
    """XLA's account of a compiled program, in bytes per device."""

    arguments: int
    results: int
    temporaries: int
    total: int  # donated buffers are arguments and results, and are counted once


class Compiled(NamedTuple):
    """A program's compiled functions."""

    init: Callable[..., segment.Carry]  # (data, replicas) -> carry
    train: Callable[..., tuple[segment.Carry, dict[str, Metrics]]]  # (carry, data, replicas, window) -> carry, rows
    memory: Memory | None  # of training, which takes the most; None: XLA does not say
    measuring_seconds: dict[int, float]  # the time of each level's measurement, once it was timed


def place_of(devices: Sequence[jax.Device]) -> Mesh:
    """Return the place that some devices make: each has a part of every batch."""
    return jax.make_mesh((len(devices),), (DATA,), axis_types=(AxisType.Auto,), devices=list(devices))


def put(place: Mesh, arrays: Any) -> Any:
    """Put arrays on every device of a place."""
    return jax.device_put(arrays, NamedSharding(place, P()))


def _functions(recipe: train_step.Recipe, place: Mesh, batch_size: int) -> tuple[Any, Any]:
    """Return `init` and `train` of a tile, jitted."""

    def init(data: segment.Data, replicas: Replicas) -> segment.Carry:
        def one(seed: jax.Array, hparams: Hparams) -> segment.Carry:
            return segment.init_carry(recipe, seed, hparams, data)

        return _grid(one, (True, False), (False, True))(replicas.seeds, replicas.hparams)

    def share(batch: Batch) -> Batch:
        # XLA splits the step along the examples, and adds up the gradients of all devices.
        parts = NamedSharding(place, P(DATA))
        return jax.lax.with_sharding_constraint(batch, parts) if place.size > 1 else batch

    def train_tile(carry: segment.Carry, data: segment.Data, replicas: Replicas, window: segment.Window) -> tuple:
        def one(
            carry: segment.Carry, seed: jax.Array, hparams: Hparams, ranges: segment.Ranges
        ) -> tuple[segment.Carry, dict[str, Metrics]]:
            return segment.train_segment(
                recipe, carry, data, seed, hparams, ranges, window, batch_size=batch_size, share=share
            )

        over = _grid(one, (True, True, False, False), (True, False, True, True))
        return over(carry, replicas.seeds, replicas.hparams, replicas.ranges)

    platform, whole = place.devices.flat[0].platform, NamedSharding(place, P())
    options = compiler_options(recipe, platform)
    return (
        jax.jit(init, out_shardings=whole, compiler_options=_HASTY.get(platform)),
        jax.jit(train_tile, out_shardings=whole, donate_argnums=0, compiler_options=options),
    )


# For what runs once a tile. On CPU it takes a third of the time to compile, and milliseconds more to run.
_HASTY = {"cpu": {"xla_backend_optimization_level": 0}}


def _grid(function: Callable, seeds: tuple[bool, ...], variants: tuple[bool, ...]) -> Callable:
    """Map a function of one replica over seeds (outside) and variants (inside), where flags say that arguments have them."""
    return _over(_over(function, variants), seeds)


def _over(function: Callable, mapped: tuple[bool, ...]) -> Callable:
    """Apply `vmap` over the first axis of some arguments; an axis of length one is removed instead.

    Most tiles have one seed. Without the axis of seeds they are traced in three quarters of the time, to the same program.
    """

    def over(*arguments: Any) -> Any:
        those = [argument for argument, is_mapped in zip(arguments, mapped, strict=True) if is_mapped]
        if {leaf.shape[0] for leaf in jax.tree.leaves(those)} == {1}:
            return _single(function, mapped)(*arguments)
        return jax.vmap(function, in_axes=tuple(0 if is_mapped else None for is_mapped in mapped))(*arguments)

    return over


def _single(function: Callable, mapped: tuple[bool, ...]) -> Callable:
    """Wrap a function: remove the first axis, of length one, from some arguments, and add it to the results."""

    def local(*arguments: Any) -> Any:
        inside = (
            jax.tree.map(lambda leaf: leaf[0], argument) if is_mapped else argument
            for argument, is_mapped in zip(arguments, mapped, strict=True)
        )
        return jax.tree.map(lambda leaf: leaf[None], function(*inside))

    return local


def lowered(
    recipe: train_step.Recipe,
    place: Mesh,
    data: segment.Data,
    replicas: Replicas,
    *,
    batch_size: int,
    rows: int,
    matmul_precision: str = "float32",
) -> tuple[Any, Any]:
    """Trace and lower `init` and `train`, ready to be compiled; nothing is put on the devices.

    Args:
        recipe: the static choices.
        place: of `place_of`.
        data: only its shapes and types matter.
        replicas: of a tile; only their shapes and types matter.
        batch_size: B.
        rows: K, the number of epochs' ends that a segment can measure.
        matmul_precision: of products of float32: `float32` or `tensorfloat32`.
    """
    start, run = _functions(recipe, place, batch_size)
    data, replicas = _shapes(data, place), _shapes(replicas, place)
    with jax.default_matmul_precision(matmul_precision):
        begin = start.trace(data, replicas)
        carry = _shapes(begin.out_info, place)
        return begin.lower(), run.lower(carry, data, replicas, _no_window(rows))


def _shapes(tree: Any, place: Mesh) -> Any:
    sharding = NamedSharding(place, P())
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


def _no_window(rows: int) -> segment.Window:
    return make_window(0, 0, 0, [segment.NOTHING] * rows, rows=rows)


def memory_of(compiled: Any) -> Memory | None:
    """Return the bytes of a compiled function on each device; None where XLA does not say."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    sizes = (found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes)
    return Memory(*sizes, sum(sizes) - found.alias_size_in_bytes)


def make_window(start: int, stop: int, first_epoch: int, levels: Sequence[int], *, rows: int) -> segment.Window:
    """Make a Window from plain numbers; `levels` has one for each epoch that the window touches, at most `rows`."""
    padded = np.zeros(rows, np.int32)
    padded[: len(levels)] = levels
    # On the host: an array on JAX's default device may belong to another client than the place's.
    whole: Any = np.int32
    return segment.Window(whole(start), whole(stop), whole(first_epoch), whole(len(levels)), whole(padded))


def stack_hparams(each: Sequence[Hparams]) -> Hparams:
    """Stack the Hparams of V variants: leaves [] become [V].

    Args:
        each: of `make_hparams`, all with the same options.
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


FEWEST_FIXED = 4  # times that the steps of a segment should take the segment's fixed cost


class Progress(NamedTuple):
    """A finished segment, for the caller."""

    steps: int  # done so far
    seconds: float  # time of this segment
    epochs: range  # that ended in this segment
    measured: dict[str, dict[str, np.ndarray]]  # at their ends, each [E, S, V, ...]


class Checkpoint(NamedTuple):
    """A tile between two segments, on the host: training that goes on from it ends with the same bits."""

    steps: int  # done so far
    carry: list[np.ndarray]  # the leaves of the carry, [S, V, ...]
    measured: dict[str, dict[str, np.ndarray]]  # at the ends of the epochs so far, each [S, V, ..., E]


def train_tile(
    compiled: Compiled,
    data: segment.Data,
    replicas: Replicas,
    *,
    epochs: int,
    steps_per_epoch: int,
    levels: Sequence[int],
    rows: int,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[Callable[[], Checkpoint]], None] = lambda make: None,
    checkpoint: Checkpoint | None = None,
    seconds_a_segment: float = 2.0,
    segment_steps: int | None = None,
) -> tuple[segment.Carry, dict[str, dict[str, np.ndarray]]]:
    """Train a tile from start to end, segment by segment.

    Args:
        compiled: for the place.
        data: on the place.
        replicas: on the place.
        epochs: the number of epochs.
        steps_per_epoch: whole batches.
        levels: [epochs + 1] the level of measurement at each epoch's end; 0 is before the first step.
        rows: K of `lowered`.
        report: called at each segment's end.
        keep: called before that, with a function that copies the checkpoint to the host, if it is wanted.
        checkpoint: of the same program and replicas, to go on from; None: from the start.
        seconds_a_segment: the time that a segment should take, about; longer where the fixed cost of a segment is not small.
        segment_steps: a fixed number of steps per segment instead.

    Returns:
        The carry, and the measurements, each [E, S, V, ...] with E = epochs + 1.
    """
    carry = compiled.init(data, replicas)
    total = epochs * steps_per_epoch
    if checkpoint is None:
        # The untrained networks are measured in a separate segment without steps.
        carry, kept = compiled.train(carry, data, replicas, make_window(0, 0, 0, levels[:1], rows=rows))
        collected, done = [_rows_last(kept, 1)], 0
    else:
        carry, collected, done = _restored(carry, checkpoint), [checkpoint.measured], checkpoint.steps
    report(Progress(done, 0.0, range(done // steps_per_epoch + 1), _rows_first(collected[-1])))
    # An epoch's order alone takes two seconds with a million examples.
    carry, fixed = _timed(compiled, carry, data, replicas, segment.NOTHING, rows)
    wanted = max(seconds_a_segment, FEWEST_FIXED * fixed)
    pace = float(segment_steps or min(steps_per_epoch, 20))
    while done < total:
        began = time.perf_counter()
        stop = min(done + max(1, int(pace)), total, (done // steps_per_epoch + rows) * steps_per_epoch)
        first = done // steps_per_epoch + 1
        last = -(-stop // steps_per_epoch)  # the epoch that the last step belongs to
        window = make_window(done, stop, first, levels[first : last + 1], rows=rows)
        carry, kept = compiled.train(carry, data, replicas, window)
        ended = stop // steps_per_epoch - first + 1  # epochs that ended in this segment
        collected.append(_rows_last(kept, ended))
        seconds = time.perf_counter() - began
        keep(partial(_checkpoint, stop, carry, collected))
        report(Progress(stop, seconds, range(first, first + ended), _rows_first(collected[-1])))
        if segment_steps is None:
            stepping = max(seconds - fixed * (last - first + 1), 1e-9)
            pace = (stop - done) * min(4.0, wanted / stepping)
        done = stop
    return carry, _rows_first(_joined(collected))


def _joined(collected: Sequence[dict[str, dict[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *collected)


def _checkpoint(steps: int, carry: segment.Carry, collected: Sequence[dict[str, dict[str, np.ndarray]]]) -> Checkpoint:
    return Checkpoint(steps, [np.array(leaf) for leaf in jax.tree.leaves(carry)], _joined(collected))


def _restored(fresh: segment.Carry, checkpoint: Checkpoint) -> segment.Carry:
    """Return a checkpoint's carry, put where the fresh one is; that is freed first."""
    leaves, structure = jax.tree.flatten(fresh)
    there = [leaf.sharding for leaf in leaves]
    for leaf in leaves:
        leaf.delete()
    return jax.tree.unflatten(structure, jax.device_put(checkpoint.carry, there))


def _timed(
    compiled: Compiled, carry: segment.Carry, data: segment.Data, replicas: Replicas, level: int, rows: int
) -> tuple[segment.Carry, float]:
    """Return the carry as it was, and the seconds of a segment that measures a level without a step.

    Each level is timed once for a compiled program.
    """
    timed = compiled.measuring_seconds
    if level not in timed:
        start = time.perf_counter()
        carry, kept = compiled.train(carry, data, replicas, make_window(0, 0, 0, [level], rows=rows))
        jax.block_until_ready(kept)
        timed[level] = time.perf_counter() - start
    return carry, timed[level]


def _rows_first(kept: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Move K of rows [S, V, ..., K] to the front, without a copy."""
    return jax.tree.map(lambda leaf: np.moveaxis(leaf, -1, 0), kept)


def measuring_seconds(
    compiled: Compiled,
    carry: segment.Carry,
    data: segment.Data,
    replicas: Replicas,
    levels: Sequence[int],
    *,
    rows: int,
) -> float:
    """Return the seconds that measurements of some levels, one after the other, take of a trained tile.

    The carry is used up.
    """
    timed = {}
    for level in sorted({segment.NOTHING, *levels}):
        carry, timed[level] = _timed(compiled, carry, data, replicas, level, rows)
    # The cost of the call itself does not count.
    return sum(max(0.0, timed[level] - timed[segment.NOTHING]) for level in levels)


def _rows_last(kept: dict[str, Metrics], count: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the first `count` rows of [S, V, K, ...] on the host, with K last: the axes after K differ by measurement.

    The rows are copied: on CPU a view would hold a segment's whole buffers until the run ends.
    """
    return jax.tree.map(lambda leaf: np.moveaxis(np.asarray(leaf), 2, -1)[..., :count].copy(), kept)
