"""How much memory a program needs, how much there is, and what a program becomes where its tile does not fit.

`planned_bytes` counts what a program must hold, from shapes alone. The copies, fusions and layouts of XLA are known once the
program is compiled (`sweep.Compiled.memory`), and the device itself decides while the program trains. In each of these three
places a program that does not fit is replaced by `smaller`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning.programs import Program
from jaxcompare.planning.recipes import lowered, make_hparams, make_recipe
from jaxcompare.system.memory import free_ram, spell_bytes
from jaxcompare.types import Layer

# For a gradient a dense layer's output is held three times: before and after the activation, and one gradient of both. The
# output of a convolution is laid out in patches and pooled as well: by XLA's account on CPU 13 to 16 times its own size.
HELD = 3
HELD_OF_CONVOLUTIONS = 12


def free_bytes(places: Sequence[jax.sharding.Mesh]) -> int | None:
    """Return what is free on the fullest device of some places; CPU devices share the RAM. None: the devices do not say."""
    devices = [device for place in places for device in place.devices.flat]
    if devices[0].platform == "cpu":
        free = free_ram()
        return None if free is None else free // len(devices)
    statistics = [device.memory_stats() or {} for device in devices]
    if any("bytes_limit" not in one for one in statistics):
        return None
    return min(one["bytes_limit"] - one.get("bytes_in_use", 0) for one in statistics)


def planned_bytes(program: Program) -> int:
    """Count the bytes that a tile must hold on one device, with the data set; nothing is compiled."""
    settings, material = program.settings, program.material
    examples = max(settings.batch_size // settings.micro_batches, len(material.data.probe.y))
    recipe, hparams = make_recipe(program), make_hparams(program, settings)

    def held(data: segment.Data, x: jax.Array) -> Any:
        carry = segment.init_carry(recipe, jnp.int32(0), hparams, data)
        return carry, train_step.forward(recipe, carry.state.params, x, hparams)

    x = jax.ShapeDtypeStruct((examples, *material.shape), np.float32)
    carry, (logits, layers) = jax.eval_shape(held, material.data, x)
    # The state as it is and as it will be, the gradients, and the updates made of them; the features raw and scaled.
    state = 2 * _bytes(carry) + 2 * _bytes(carry.state.params)
    batch = 2 * _bytes(x) + HELD * _bytes(logits) + sum(_layer_bytes(layer, examples) for layer in layers.values())
    # An evaluation, or the decision field, goes through the network without a gradient: two layers at a time are held.
    widths = [_bytes(x), *(_bytes(layer) for layer in layers.values()), _bytes(logits)]
    evaluated = max(map(sum, itertools.pairwise(widths))) * _evaluated(program) // examples
    return material.bytes + program.tile_replicas * (state + max(batch, evaluated))


def _evaluated(program: Program) -> int:
    """Return the most examples that go through the network at once without a gradient."""
    data = program.material.data
    splits = sum(len(split.y) for split in (data.train_subset, data.validation, data.test))
    return max(min(train_step.EVALUATION_CHUNK, splits), 0 if data.grid is None else len(data.grid))


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _layer_bytes(layer: Layer, examples: int) -> int:
    convolved = layer.activation.shape[0] > examples
    return (HELD_OF_CONVOLUTIONS if convolved else HELD) * _bytes(layer.activation)


def compiled_bytes(program: Program, place: jax.sharding.Mesh) -> int | None:
    """Compile a program, without running it, and return the bytes of training on each device; None: XLA does not say."""
    _, train = lowered(program, place)
    memory = sweep.memory_of(train.compile())
    return memory and memory.total


def smaller(program: Program, *, data: int = 1) -> Program | None:
    """Return the program with half as large a tile, or, of one replica, with twice as many micro-batches; else None.

    Args:
        program: does not fit.
        data: devices that share a tile, and so each micro-batch.
    """
    shape = halve(program.shape)
    if shape is not None:
        return replace(program, shape=shape)
    count = 2 * program.settings.micro_batches
    if program.settings.batch_size % (count * data):
        return None
    variants = tuple(
        replace(variant, settings=replace(variant.settings, micro_batches=count)) for variant in program.variants
    )
    return replace(program, variants=variants)


def halve(shape: tuple[int, int]) -> tuple[int, int] | None:
    """Return half a tile: fewer seeds first, then fewer variants; None of one replica.

    >>> halve((3, 5)), halve((1, 5)), halve((1, 1))
    ((2, 5), (1, 3), None)
    """
    seeds, variants = shape
    if seeds > 1:
        return -(-seeds // 2), variants
    return (1, -(-variants // 2)) if variants > 1 else None


def powers_of_two(least: int, most: int) -> list[int]:
    """Return the powers of two from `most` down to `least`.

    >>> powers_of_two(3, 40)
    [32, 16, 8, 4]
    """
    return [2**power for power in range(int(math.log2(max(1, most))), -1, -1) if least <= 2**power <= most]


def too_large(program: Program, needed: int, free: int, device_kind: str) -> ConfigError:
    """Return the error that a single replica does not fit."""
    settings = program.settings
    return ConfigError(
        f"{program.comparison}: study {program.study!r}: hidden = {list(settings.hidden)} does not fit: one "
        f"replica with its data needs about {spell_bytes(needed)} with micro_batches = {settings.micro_batches} of "
        f"batch_size = {settings.batch_size}, and of each {device_kind} device {spell_bytes(max(0, free))} is free; "
        f"smaller layers, remat = true, or a smaller probe_size = {settings.probe_size} need less"
    )
