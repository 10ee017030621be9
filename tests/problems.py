"""Small problems that several tests train on, and ways to leave out what a test does not ask about."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxcompare import words
from jaxcompare.components import models
from jaxcompare.config.parse import parse
from jaxcompare.data import loading
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.execution import compare
from jaxcompare.execution.places import local_places
from jaxcompare.execution.program_cache import ProgramCache, default_folder
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.execution.training import SILENT, LocalTraining, Resources
from jaxcompare.planning.cadence import levels
from jaxcompare.planning.programs import programs_of
from jaxcompare.planning.recipes import make_hparams, make_recipe, tile_arrays
from jaxcompare.report.draw import Picture, names_of
from jaxcompare.types import Batch

BASE = {
    "dataset": "moons", "samples": 300, "test_samples": 130, "hidden": [8, 8], "batch_size": 32, "epochs": 2,
    "seeds": 3, "train_subset": 50, "probe_size": 64, "snapshots": 2,
}  # fmt: skip
GRID = {"loss": ["cross_entropy", "mse"], "activation": ["relu", "tanh"], "schedule": ["constant", "cosine"]}

# The smallest config of a command, as TOML: more keys of [base] follow SMALLEST, and RATES is its study.
SMALLEST = """
[base]
dataset = "moons"
samples = 100
test_samples = 50
hidden = [4]
batch_size = 16
seeds = 1
"""
RATES = """
[[study]]
[study.grid]
learning_rate = [0.1, 0.3]
"""

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000"
    "000049454e44ae426082"
)
PROGRAMS = ProgramCache(default_folder())  # that all tests share; each JAX configuration has its own


@contextlib.contextmanager
def quickly_compiled():
    """Compile programs without most optimizations: in half the time, to slower programs that round otherwise."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def dots(
    tables, fields, workers=1, drawn=None, languages=("en", "ko"), formats=("png",), names=None, charts=(), told=None
):
    """In place of `draw_all`: a dot for each picture."""
    names = names_of(tables, fields) if names is None else names
    every = [words.localised(name, language) for name, _ in names.values() for language in languages]
    every += [one.name for one in charts]
    return {name: Picture(DOT, DOT) for name in every}


def comparison(grid=None, name="tiny", **base):
    return parse(name, {"base": {**BASE, **base}, "study": [{"grid": grid or GRID}]})


def programs(made, **options):
    return programs_of(made, loading.load_datasets([made]), platform="cpu", **options)


def resources(places=None, *, sizes=None, tiles=None, compiled=PROGRAMS):
    places = places or local_places(2)
    return Resources(places, sizes or TileSizes(places), compiled, tiles or TileCache())


def train(made, planned, callbacks=SILENT, *, places=None, **kept):
    """The tables of a comparison, trained with its programs."""
    used = resources(places, **kept)
    return compare.train_comparisons([made], {made.name: planned}, programs, used, callbacks)[made.name]


def trained_tiles(program, used, callbacks=SILENT):
    """A program's tiles with their measurements."""
    with LocalTraining(used, callbacks) as training:
        training.add([program])
        return training.measured([program])


def blobs(size=64, features=4, classes=3, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, size).astype(np.int32)
    x = random.normal(size=(size, features)).astype(np.float32) + y[:, None]
    return Batch(jnp.asarray(x), jnp.asarray(y))


def recipe(**options):
    return train_step.make_recipe(models.mlp(hidden=(8, 8), classes=3), **options)


def one_replica(program, variant, seed, dtype=None):
    """Trains one replica with the pure functions alone, no vmap, no tiles: what every other path must equal."""
    made = make_recipe(program)
    data = jax.tree.map(jnp.asarray, program.material.data)
    hparams = make_hparams(program, variant.settings)
    ranges = segment.activation_ranges(variant.settings.activation)
    carry = segment.init_carry(made, seed, hparams, data)
    if dtype is not None:
        carry = jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, carry)
    size = program.settings.batch_size
    return segment.train_segment(made, carry, data, seed, hparams, ranges, whole_window(program), batch_size=size)


def whole_window(program):
    """One segment for everything."""
    wanted = levels(program.settings)
    return sweep.make_window(0, program.total_steps, 0, wanted, rows=len(wanted))


def train_tiles(program, places, segment_steps=None, data=1):
    """Final carries and measurements by (seed, variant)."""
    found, where = {}, local_places(places, data=data)
    for index, tile in enumerate(program.tiles):
        place = where[index % places]
        carry, measured = sweep.train_tile(
            PROGRAMS.get(program, place)[0], sweep.put(place, program.material.data),
            sweep.put(place, tile_arrays(tile)), epochs=program.settings.epochs,
            steps_per_epoch=program.steps_per_epoch, levels=levels(program.settings), rows=program.rows,
            segment_steps=segment_steps,
        )  # fmt: skip
        for s, seed in enumerate(tile.seeds):
            for v, variant in enumerate(tile.variants):
                params = jax.tree.map(lambda leaf, i=(s, v): np.asarray(leaf)[i], carry.state.params)
                rows = jax.tree.map(lambda leaf, i=(s, v): leaf[(slice(None), *i)], measured)
                found[seed, variant.variant_id] = params, rows
    return found
