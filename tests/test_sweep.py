"""Many replicas equal a loop over single ones, whatever the tiles, devices and segments."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import PROGRAMS, blobs, comparison, one_replica, programs, recipe, train, train_tiles, whole_window

from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.execution.places import local_places
from jaxcompare.planning.programs import SECONDS_TO_SPLIT
from jaxcompare.planning.recipes import make_recipe, tile_arrays
from jaxcompare.types import Batch


def assert_equal(found, expected, compare_leaf=np.testing.assert_array_equal):
    assert found.keys() == expected.keys()
    for key in found:
        jax.tree.map(compare_leaf, found[key], expected[key])


@pytest.fixture(scope="module")
def program():
    return programs(comparison(), tile_replicas=8)[0]


@pytest.fixture(scope="module")
def tiled(program):
    return train_tiles(program, 2)


def test_a_sweep_is_a_loop_over_single_replicas(program, tiled):
    """In float32, to 1e-5 over 18 steps: params, figures, layers, snapshots."""
    for variant in program.variants[::3]:
        alone = jax.jit(lambda seed, v=variant: one_replica(program, v, seed))
        for seed in program.seeds:
            carry, rows = alone(jnp.int32(seed))
            params, measured = tiled[seed, variant.variant_id]
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), params, carry.state.params
            )
            for name, values in measured["figures"].items():
                np.testing.assert_allclose(values, rows["figures"][name], rtol=1e-4, atol=1e-5, err_msg=name)
            for name, values in measured["layers"].items():
                np.testing.assert_allclose(values, rows["layers"][name], rtol=1e-3, atol=1e-5, err_msg=name)
            np.testing.assert_array_equal(measured["snapshot"]["dead"], rows["snapshot"]["dead"])
            np.testing.assert_array_equal(
                measured["snapshot"]["histograms"].sum(-1), rows["snapshot"]["histograms"].sum(-1)
            )


def test_in_float64_an_epoch_is_equal_to_1e_9():
    with jax.enable_x64(True):
        program = programs(comparison(grid={"activation": ["relu", "tanh"], "optimizer": ["adamw"]}, epochs=1))[0]
        data = jax.tree.map(jnp.asarray, program.material.data)
        made = make_recipe(program)
        alone = {}
        for variant in program.variants:
            single = jax.jit(lambda seed, v=variant: one_replica(program, v, seed, dtype=jnp.float64)[0])
            for seed in program.seeds:
                carry = single(jnp.int32(seed))
                alone[seed, variant.variant_id] = carry.state.params
        replicas = tile_arrays(replace(program, shape=(3, 2)).tiles[0])

        def fresh(seed, hparams):
            carry = segment.init_carry(made, seed, hparams, data)
            return jax.tree.map(lambda a: a.astype(float) if jnp.issubdtype(a.dtype, jnp.floating) else a, carry)

        def run(seed, hparams, ranges):
            return segment.train_segment(
                made, fresh(seed, hparams), data, seed, hparams, ranges, whole_window(program), batch_size=32
            )[0]

        both = jax.vmap(jax.vmap(run, in_axes=(None, 0, 0)), in_axes=(0, None, None))
        carry = jax.jit(both)(replicas.seeds, replicas.hparams, replicas.ranges)
        for (seed, variant_id), params in alone.items():
            at = program.seeds.index(seed), [v.variant_id for v in program.variants].index(variant_id)
            for found, expected in zip(jax.tree.leaves(carry.state.params), jax.tree.leaves(params), strict=True):
                assert found.dtype == jnp.float64
                np.testing.assert_allclose(found[at], expected, rtol=1e-9, atol=1e-12)


def assert_close(found, expected):
    """Equal to rounding: parameters to 1e-5, and what is computed from them."""
    assert found.keys() == expected.keys()
    for key in found:
        for a, b in zip(jax.tree.leaves(found[key][0]), jax.tree.leaves(expected[key][0]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("places", [1, 5])
def test_the_number_of_places_changes_no_bit(program, tiled, places):
    assert_equal(train_tiles(program, places), tiled)


@pytest.mark.parametrize("data", [2, 4])
def test_devices_that_share_a_tile_change_rounding_only(program, tiled, data):
    """Each has a part of every batch; XLA adds up their gradients."""
    assert_close(train_tiles(program, 2, data=data), tiled)


@pytest.mark.parametrize("segment_steps", [1, 5, 1000])
def test_where_segments_end_changes_no_bit(program, tiled, segment_steps):
    assert_equal(train_tiles(program, 2, segment_steps), tiled)


def test_the_tile_shape_changes_rounding_only(tiled):
    other = programs(comparison(), tile_replicas=3)[0]
    assert other.shape != programs(comparison(), tile_replicas=8)[0].shape
    assert_close(train_tiles(other, 2), tiled)


def test_each_activation_has_a_program_where_that_is_worth_a_compilation():
    grid = {"activation": ["relu", "tanh"], "learning_rate": [0.1, 0.01, 0.001]}
    (short,), long = (programs(comparison(grid=grid, seeds=10, epochs=epochs)) for epochs in (1, 10_000))
    assert [program.activations for program in long] == [("relu",), ("tanh",)]
    assert sum(len(program.variants) for program in long) == len(short.variants) == 6
    assert len({program.name for program in long}) == 2
    more = programs(comparison(grid=grid, seeds=20, epochs=10_000))
    assert [program.shape for program in more] == [program.shape for program in long]


def test_splitting_programs_changes_rounding_only(tiled, monkeypatch):
    monkeypatch.setitem(SECONDS_TO_SPLIT, "cpu", 0.0)
    split = programs(comparison(), tile_replicas=8)
    assert len(split) == 2
    found = {}
    for program in split:
        found |= train_tiles(program, 2)
    assert_close(found, tiled)


def test_variants_of_a_seed_start_equal_and_seeds_differ(tiled, program):
    figures = {key: rows["figures"]["test_accuracy"][0] for key, (_, rows) in tiled.items()}
    by_seed = {}
    for (seed, variant_id), value in figures.items():
        activation = next(v.settings.activation for v in program.variants if v.variant_id == variant_id)
        by_seed.setdefault((seed, activation), set()).add(float(value))
    assert all(len(values) == 1 for values in by_seed.values())
    norms = {seed: rows["layers"]["parameter_norm"][0, 0] for (seed, _), (_, rows) in tiled.items()}
    assert len({float(norm) for norm in norms.values()}) == len(norms)


def test_a_diverged_replica_disturbs_no_neighbour():
    """The same tile with one rate made absurd: the other replicas keep every bit."""
    calm = programs(comparison(grid={"learning_rate": [0.1, 0.2, 0.3], "loss": ["mse_logits"]}))[0]
    wild = programs(comparison(grid={"learning_rate": [0.1, 1e5, 0.3], "loss": ["mse_logits"]}))[0]
    before, after = train_tiles(calm, 1), train_tiles(wild, 1)
    for position in (0, 2):
        for seed in calm.seeds:
            jax.tree.map(
                np.testing.assert_array_equal,
                before[seed, calm.variants[position].variant_id],
                after[seed, wild.variants[position].variant_id],
            )
    for seed in wild.seeds:
        _, rows = after[seed, wild.variants[1].variant_id]
        assert rows["figures"]["finite"][0]
        assert not rows["figures"]["finite"][-1]
        assert np.isnan(rows["figures"]["test_accuracy"][-1])
        assert np.isnan(rows["layers"]["dead_fraction"][-1]).all()


@pytest.mark.usefixtures("quick_compilation")
def test_a_program_compiles_its_training_once():
    """One compilation of the training function for a program of several groups; a second data set of its shape adds none."""
    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration" and "train_tile" in details["fun_name"]:
            compiled.append(details["fun_name"])

    made = comparison(
        grid={"dataset": ["moons", "circles"], "learning_rate": [0.1, 0.01], "loss": ["mse"]}, batch_size=31
    )
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        train(made, programs(made, tile_replicas=1))
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) == 1, compiled


def test_public_step_trains_and_compiles_once():
    made = recipe(optimizer="adamw", activation=("relu", "tanh"))
    step = sweep.make_step(made)
    hparams = sweep.stack_hparams([train_step.make_hparams(0.01, activation=index) for index in (0, 1, 0)])
    batches = [blobs(seed=seed) for seed in range(2)]
    batch = Batch(*(jnp.stack(leaves) for leaves in zip(*batches, strict=True)))
    state = sweep.init_states(made, jnp.arange(2), hparams, batches[0].x)
    first = None
    for _ in range(20):
        given = state
        state, metrics = step(state, batch, hparams)
        first = metrics["loss"] if first is None else first
    assert metrics["loss"].shape == (2, 3)
    assert (metrics["loss"] < first).all()
    assert step._cache_size() == 1
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given)), "the state's buffers are not donated"


def test_compiled_training_has_no_collective(program):
    text = PROGRAMS.get(program, local_places(1)[0])[0].train.as_text()
    assert "while" in text
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text


@pytest.mark.parametrize("fixed", [0.0, 0.01, 2.0])
def test_a_segments_fixed_cost_is_part_of_its_pace(monkeypatch, fixed):
    """An epoch's order of a million examples takes two seconds: segments of one step each would pay it at every step."""
    clock, segments = [0.0], []

    def train(carry, data, replicas, window):
        steps = int(window.stop - window.start)
        clock[0] += fixed * int(window.epochs) + 0.001 * steps
        segments.append(steps)
        return carry, {"figures": {"loss": np.zeros((1, 1, 3))}}

    monkeypatch.setattr(sweep.time, "perf_counter", lambda: clock[0])
    compiled = sweep.Compiled(lambda data, replicas: (), train, None, {})
    levels = [segment.FIGURES] * 3
    sweep.train_tile(compiled, None, None, epochs=2, steps_per_epoch=7800, levels=levels, rows=3)
    assert sum(segments) == 15_600
    assert max(segments) * 0.001 < max(2.0, 4 * fixed) * 1.01
    assert clock[0] < (15.6 + 2 * fixed) * 1.5 + 4 * fixed  # the beginning feels its way, and pays more often
