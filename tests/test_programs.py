"""Programs: which variants train together, in which tiles, and what is measured when."""

import math
from dataclasses import replace

import pytest

from jaxcompare.config.parse import parse
from jaxcompare.config.settings import Settings, keys_of
from jaxcompare.data.loading import load_datasets
from jaxcompare.planning.cadence import layer_epochs, snapshot_epochs
from jaxcompare.planning.networks import parameters
from jaxcompare.planning.programs import programs_of, tile_shape
from jaxcompare.planning.recipes import make_hparams

BASE = {"dataset": "moons", "hidden": [8]}


def programs(grid, base=None):
    comparison = parse("x", {"base": BASE | (base or {}), "study": [{"grid": grid}]})
    return programs_of(comparison, load_datasets([comparison]), platform="cpu")


def test_optimizers_of_ones_own_split_by_what_they_are_given():
    grids = [{"optimizer": ["optax:nadam"]}, {"optimizer": ["optax:nadam"], "options": {"b1": [0.8]}}]
    found = programs(grids)
    assert [program.optimizer_options for program in found] == [(), ("b1",)]


def test_static_factors_split_programs_and_traced_ones_do_not():
    grid = {
        "optimizer": ["sgd", "adamw"], "loss": ["mse", "cross_entropy"], "activation": ["relu", "tanh"],
        "schedule": ["constant", "cosine"], "learning_rate": [0.1, 0.2], "clip_norm": [math.inf, 1.0],
        "label_smoothing": [0.0, 0.1],
    }  # fmt: skip
    found = programs(grid)
    assert [program.settings.optimizer for program in found] == ["sgd", "adamw"]
    assert all(len(program.variants) == 64 and program.clip for program in found)
    for key, values in (("batch_size", [8, 16]), ("hidden", [[8], [9]]), ("init", ["he_normal", "torch"])):
        assert len(programs({key: values})) == 2


# Two values of each traced setting, and what must be in `base` for the setting to have an effect.
TRACED = {
    "activation": (["relu", "tanh"], {}),
    "loss": (["mse", "cross_entropy"], {}),
    "label_smoothing": ([0.0, 0.1], {}),
    "learning_rate": ([0.1, 0.2], {}),
    "momentum": ([0.5, 0.9], {"optimizer": "momentum"}),
    "beta1": ([0.5, 0.9], {"optimizer": "adam"}),
    "beta2": ([0.5, 0.9], {"optimizer": "adam"}),
    "rms_decay": ([0.5, 0.9], {"optimizer": "rmsprop"}),
    "epsilon": ([1e-8, 1e-6], {"optimizer": "adam"}),
    "weight_decay": ([0.0, 0.1], {"optimizer": "sgd"}),
    "options": ({"b1": [0.5, 0.9]}, {"optimizer": "optax:adam"}),
    "loss_options": ({"epsilon": [0.5, 0.9]}, {"loss": "optax.losses:poly_loss_cross_entropy"}),
    "activation_options": ({"negative_slope": [0.5, 0.9]}, {"activation": "jax.nn:leaky_relu"}),
    "schedule_options": ({"share": [0.5, 0.9]}, {"schedule": "test_options:warm"}),
    "clip_norm": ([math.inf, 1.0], {}),
    "schedule": (["constant", "cosine"], {}),
    "final_factor": ([0.0, 0.5], {"schedule": "cosine"}),
    "warmup_fraction": ([0.1, 0.5], {"schedule": "warmup_cosine"}),
    "step_interval": ([0.1, 0.5], {"schedule": "step"}),
    "step_factor": ([0.1, 0.5], {"schedule": "step"}),
    "learning_rate_rule": (["fixed", "linear"], {"reference_batch_size": 64}),
    "reference_batch_size": ([64, 128], {"learning_rate_rule": "linear"}),
}


@pytest.mark.parametrize("key", keys_of("traced"))
def test_a_traced_setting_reaches_the_arguments_of_the_one_program(key):
    values, base = TRACED[key]
    (program,) = programs({key: values}, base)
    first, second = (make_hparams(program, variant.settings) for variant in program.variants)
    assert str(first) != str(second)


def test_options_are_traced_only_where_they_depart():
    program = programs({"optimizer": ["adamw"], "beta1": [0.9, 0.8]})[0]
    assert program.optimizer_options == ("beta1",)
    program = programs({"optimizer": ["adamw"]})[0]
    assert program.optimizer_options == ()


def test_a_plugin_gets_a_program_to_itself():
    grid = {"activation": ["relu", "tanh", "jax.nn:relu6"]}
    assert [program.activations for program in programs(grid)] == [
        ("relu", "tanh"), ("jax.nn:relu6",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variant_count", "seeds", "replicas"), [(1, 1, 1), (10, 5, 6), (18, 5, 4), (7, 3, 100), (3, 2, 1)]
)
@pytest.mark.parametrize("at_once", [1, 2])
def test_tiles_cover_every_replica_once(variant_count, seeds, replicas, at_once):
    grid = {"learning_rate": [0.1 + i for i in range(variant_count)]}
    program = programs(grid, {"seeds": seeds})[0]
    shape = tile_shape(variant_count, seeds, replicas, at_once=at_once)
    assert shape[0] * shape[1] <= max(replicas, 1)
    cells = [
        (seed, variant.variant_id)
        for tile in replace(program, shape=shape).tiles
        for seed in tile.seeds
        for variant in tile.variants
    ]
    assert len(cells) == len(set(cells)) == variant_count * seeds


@pytest.mark.parametrize(
    ("variants", "seeds", "expected"), [(2, 1, (1, 1)), (3, 1, (1, 2)), (1, 2, (1, 1)), (4, 1, (1, 2))]
)
def test_few_replicas_are_shared_out_over_the_devices_that_there_are_at_least(variants, seeds, expected):
    assert tile_shape(variants, seeds, 12, at_once=2) == expected


@pytest.mark.parametrize("seeds", [5, 6, 10, 11])
@pytest.mark.parametrize("variants", [6, 10, 24])
def test_more_seeds_leave_the_tiles_as_they_are(variants, seeds):
    assert tile_shape(variants, seeds, 5, at_once=2) == tile_shape(variants, 20, 5, at_once=2)


def test_measured_epochs_have_first_and_last():
    settings = Settings(epochs=10, measure_every=4, snapshots=3)
    assert snapshot_epochs(settings) == (0, 5, 10)
    assert layer_epochs(settings) == (0, 4, 5, 8, 10)
    assert snapshot_epochs(Settings(epochs=1, snapshots=9)) == (0, 1)


def test_parameters_are_counted():
    assert parameters(Settings(hidden=(256, 128)), 784, 10) == 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
