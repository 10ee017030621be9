"""Small problems that several tests train on, and ways to leave out what a test does not ask about."""

import contextlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from jaxcompare import words
from jaxcompare.components import models
from jaxcompare.config.parse import parse
from jaxcompare.data import loading
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning import assemble, layout
from jaxcompare.planning.programs import tiles_of
from jaxcompare.report.draw import Picture, names_of, wanted_of
from jaxcompare.types import Batch

BASE = {
    "dataset": "moons", "samples": 300, "test_samples": 130, "hidden": [8, 8], "batch_size": 32, "epochs": 2,
    "seeds": 3, "train_subset": 50, "probe_size": 64, "snapshots": 2,
}  # fmt: skip
GRID = {"loss": ["cross_entropy", "mse"], "activation": ["relu", "tanh"], "schedule": ["constant", "cosine"]}

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000"
    "000049454e44ae426082"
)
QUICKLY: dict = {}  # programs that were compiled so: never mixed with the others


@contextlib.contextmanager
def quickly_compiled():
    """Programs are compiled without most optimizations: in half the time, to slower programs that round otherwise."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        with mock.patch.object(sweep, "_COMPILED", QUICKLY):
            yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def dots(tables, fields, workers=1, drawn=None, languages=("en", "ko"), formats=("png",), names=None, charts=()):
    """In place of `draw_all`: a dot for each picture."""
    asked = wanted_of(names_of(tables, fields) if names is None else names, languages)
    every = [*(words.localised(one.name, one.language) for one in asked), *(one.name for one in charts)]
    return {name: Picture(DOT, DOT) for name in every}


def comparison(grid=None, name="tiny", **base):
    return parse(name, {"base": {**BASE, **base}, "study": [{"grid": grid or GRID}]})


def plans(made, **options):
    return layout.plan(made, loading.load_datasets([made]), platform="cpu", **options)


def blobs(size=64, features=4, classes=3, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, size).astype(np.int32)
    x = random.normal(size=(size, features)).astype(np.float32) + y[:, None]
    return Batch(jnp.asarray(x), jnp.asarray(y))


def recipe(**options):
    return train_step.make_recipe(models.mlp(hidden=(8, 8), classes=3), **options)


def one_replica(plan, variant, seed, dtype=None):
    """Trains one replica with the pure functions alone, no vmap, no tiles: what every other path must equal."""
    made = assemble.recipe(plan.program, plan.material.classes)
    data = jax.tree.map(jnp.asarray, plan.material.data)
    hparams = assemble.hparams(plan.program, variant.settings, plan.total_steps)
    ranges = segment.activation_ranges(variant.settings.activation)
    carry = segment.init_carry(made, seed, hparams, data)
    if dtype is not None:
        carry = jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, carry)
    size = plan.program.settings.batch_size
    return segment.train_segment(made, carry, data, seed, hparams, ranges, whole_window(plan), batch_size=size)


def whole_window(plan):
    """One segment for everything."""
    levels = assemble.levels(plan.program.settings)
    return sweep.make_window(0, plan.total_steps, 0, levels, rows=len(levels))


def train_tiles(plan, devices, segment_steps=None, data=1):
    """Final carries and measurements by (seed, variant)."""
    mesh = sweep.local_mesh(jax.devices()[: devices * data], data=data)
    on_mesh = sweep.replicate(mesh, plan.material.data)
    tiles, found = tiles_of(plan.program, plan.shape), {}
    for begin in range(0, len(tiles), devices):
        chosen = tiles[begin : begin + devices]
        padded = [*chosen, *[chosen[-1]] * (devices - len(chosen))]
        group = sweep.shard(mesh, assemble.group(plan.program, padded, plan.shape, plan.total_steps))
        built = sweep.build(layout.blueprint(plan, mesh))
        carry, measured = sweep.train_group(
            built, on_mesh, group, epochs=plan.program.settings.epochs, steps_per_epoch=plan.steps_per_epoch,
            levels=assemble.levels(plan.program.settings), rows=plan.rows, segment_steps=segment_steps,
        )  # fmt: skip
        for t, tile in enumerate(chosen):
            for s, seed in enumerate(tile.seeds):
                for v, variant in enumerate(tile.variants):
                    params = jax.tree.map(lambda leaf, i=(t, s, v): np.asarray(leaf)[i], carry.state.params)
                    rows = jax.tree.map(lambda leaf, i=(t, s, v): leaf[(slice(None), *i)], measured)
                    found[seed, variant.variant_id] = params, rows
    return found
