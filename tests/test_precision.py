"""Half precision and dynamic loss scaling: the state machine exactly, and no replica that disturbs another."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import blobs, comparison, programs, recipe, train_tiles

from jaxcompare import analysis, diagnostics
from jaxcompare.components import precision
from jaxcompare.components.precision import LossScaling
from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.names import LOSS_SCALING
from jaxcompare.config.parse import asks_precision, parse
from jaxcompare.engine import sweep, train_step
from jaxcompare.execution import compare


def half(**options):
    scaling = LossScaling(*(options.get(name, LOSS_SCALING[f"loss_scale_{name}"]) for name in LossScaling._fields))
    return recipe(optimizer="adam", policy=precision.resolve("float16", scaling))


def test_the_scale_follows_overflow_growth_and_floor_exactly():
    """True: finite gradients. Scale, finite steps and skipped steps after each, from 8, growing after 2, floor 2."""
    policy = precision.resolve("float16", LossScaling(8.0, 2, 2.0, 2.0))
    state, found = policy.init(), []
    for finite in (True, True, True, False, False, False, False, True):

        def loss(x, finite=finite):
            return x if finite else x * jnp.inf

        dynamic, is_finite, _, _ = state.dynamic.value_and_grad(loss)(jnp.float32(1.0))
        state = precision.advance(state, dynamic, is_finite)
        found.append(
            (
                float(state.dynamic.scale),
                int(state.dynamic.fin_steps),
                int(state.skipped_steps),
                int(state.skips_in_a_row),
            )
        )
    assert found == [
        (8, 1, 0, 0), (8, 2, 0, 0), (16, 0, 0, 0),  # grows at the third: after two that were finite
        (8, 0, 1, 1), (4, 0, 2, 2), (2, 0, 3, 3), (2, 0, 4, 4),  # shrinks to the floor and stays
        (2, 1, 4, 0),
    ]  # fmt: skip


def test_jit_and_a_save_lose_no_field():
    made = half(initial=4.0, growth_interval=7, factor=4.0, floor=0.5)
    state = train_step.init_state(jax.random.key(0), made, train_step.make_hparams(0.01), blobs().x)
    through = jax.jit(lambda state: state)(state)
    leaves, structure = jax.tree.flatten(through)
    loaded = jax.tree.unflatten(structure, [np.asarray(leaf) for leaf in leaves])
    for again in (through, loaded):
        dynamic = again.loss_scale.dynamic
        assert (dynamic.growth_factor, dynamic.backoff_factor, dynamic.growth_interval) == (4.0, 0.25, 7)
        assert (float(dynamic.scale), int(dynamic.fin_steps), dynamic.minimum_scale) == (4.0, 0, 0.5)
        assert int(again.loss_scale.skipped_steps) == int(again.loss_scale.skips_in_a_row) == 0


def test_an_overflow_skips_the_step_for_parameters_and_optimizer():
    made = half(initial=2.0**40)
    batch, hparams = blobs(), train_step.make_hparams(0.01)
    state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
    after, metrics = train_step.make_train_step(made)(state, batch, hparams)
    jax.tree.map(np.testing.assert_array_equal, (after.params, after.opt_state), (state.params, state.opt_state))
    assert np.isfinite(metrics["loss"])
    assert float(after.loss_scale.dynamic.scale) == 2.0**39
    assert (int(after.step), int(after.loss_scale.skipped_steps), int(after.first_nonfinite_step)) == (1, 1, -1)


def test_an_overflow_in_one_replica_leaves_the_others_bitwise_as_they_were():
    made, batch = half(), jax.tree.map(lambda leaf: leaf[None], blobs())
    hparams = sweep.stack_hparams([train_step.make_hparams(rate) for rate in (0.01, 0.02, 0.03)])
    step = sweep.make_step(made)

    def run(scales):
        state = sweep.init_states(made, jnp.zeros(1, jnp.int32), hparams, blobs().x)
        dynamic = state.loss_scale.dynamic.replace(scale=jnp.asarray([scales], jnp.float32))
        state = state._replace(loss_scale=state.loss_scale._replace(dynamic=dynamic))
        for _ in range(3):
            state, _ = step(state, batch, hparams)
        return jax.tree.map(np.asarray, state)

    calm, forced = run([256.0, 256.0, 256.0]), run([256.0, 2.0**40, 256.0])
    assert forced.loss_scale.skipped_steps.tolist() == [[0, 3, 0]]
    assert calm.loss_scale.skipped_steps.tolist() == [[0, 0, 0]]
    for a, b in zip(jax.tree.leaves(calm), jax.tree.leaves(forced), strict=True):
        np.testing.assert_array_equal(a[:, [0, 2]], b[:, [0, 2]])


def test_a_replica_at_the_floor_that_skips_on_is_marked_as_diverged():
    made, hparams = half(initial=1.0), train_step.make_hparams(0.01)
    batch = blobs()._replace(x=blobs().x * 1e6)  # more than float16 holds, at any scale
    state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
    step = jax.jit(train_step.make_train_step(made))
    for _ in range(precision.SKIPS_TO_DIVERGE + 3):
        state, _ = step(state, batch, hparams)
    assert int(state.first_nonfinite_step) == precision.SKIPS_TO_DIVERGE - 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_without_a_scale_no_step_is_skipped(name):
    made, hparams = recipe(policy=name), train_step.make_hparams(0.01)
    batch = blobs()._replace(x=jnp.full_like(blobs().x, jnp.inf))
    state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
    after, _ = train_step.make_train_step(made)(state, batch, hparams)
    assert state.loss_scale is None
    assert int(after.first_nonfinite_step) == 0
    assert not np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(after.params)])).all()


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_state_and_losses_are_full_and_layers_half(name):
    made, batch, hparams = recipe(optimizer="adam", policy=name), blobs(), train_step.make_hparams(0.01)
    state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
    after, metrics = train_step.make_train_step(made)(state, batch, hparams)
    floats = [leaf for leaf in jax.tree.leaves((after, metrics)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    text = str(jax.make_jaxpr(train_step.make_train_step(made))(state, batch, hparams))
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products
    assert all({"bfloat16": "bf16", "float16": "f16"}[name] in line.split("=")[0] for line in products)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_sums_of_products_are_rounded_once(name):
    """A small product as the gradient of a convolution has: summed in float32, whichever operand comes first."""
    made, random = recipe(policy=name), np.random.default_rng(0)
    x, y = (jnp.asarray(random.normal(size=(7, 9, 9, width)), made.policy.compute) for width in (9, 4))
    exact = np.einsum("bijd,bijh->dh", *(np.asarray(operand, np.float64) for operand in (x, y)))
    examples = (0, 1, 2)

    def product(a, b):
        return jax.lax.dot_general(a, b, ((examples, examples), ((), ())))

    for transposed in (False, True):
        function = (lambda x, y: product(y, x).T) if transposed else product
        found = jax.jit(function, compiler_options=sweep.compiler_options(made))(x, y)
        one_rounding = float(jnp.finfo(made.policy.compute).eps) / 2 * np.abs(exact)
        np.testing.assert_array_less(np.abs(np.asarray(found, np.float64) - exact), one_rounding + 1e-4)


def test_gradients_and_clipping_see_no_scale():
    batch, hparams = blobs(), train_step.make_hparams(0.1, clip_norm=0.01)
    full, found = recipe(), half(initial=1024.0)
    states = [train_step.init_state(jax.random.key(0), made, hparams, batch.x) for made in (full, found)]
    a, b = (train_step.observe(made, state, batch, hparams) for made, state in zip((full, found), states, strict=True))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0.02, atol=2e-3), a.gradients, b.gradients)
    clipped = recipe(optimizer="sgd", policy=found.policy)
    update = train_step.observe(clipped, states[1]._replace(opt_state=train_step.init_state(
        jax.random.key(0), clipped, hparams, batch.x).opt_state), batch, hparams).updates  # fmt: skip
    assert float(diagnostics.tree_norm(update)) == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_underflow_is_the_share_that_full_precision_has_and_half_lost():
    full = {"hidden_1": {"kernel": jnp.asarray([1.0, 2.0, 0.0, 3.0])}, "output": {"kernel": jnp.zeros(3)}}
    narrow = {"hidden_1": {"kernel": jnp.asarray([1.0, 0.0, 0.0, 0.0])}, "output": {"kernel": jnp.zeros(3)}}
    np.testing.assert_allclose(diagnostics.underflow(full, narrow)["gradient_underflow"], [2 / 3, np.nan])


def test_a_float16_sweep_is_the_same_whatever_the_devices_and_segments():
    program = programs(
        comparison({"precision": ["float16"], "activation": ["relu", "tanh"]}, seeds=2), tile_replicas=2
    )[0]
    expected = train_tiles(program, 2)
    for found in (train_tiles(program, 4), train_tiles(program, 2, segment_steps=5)):
        for key, value in expected.items():
            jax.tree.map(np.testing.assert_array_equal, found[key], value)


@pytest.mark.usefixtures("quick_compilation")
def test_tables_have_scale_skips_and_underflow_where_there_are_any():
    made = {
        "base": {"dataset": "moons", "hidden": [8], "samples": 100, "test_samples": 50, "epochs": 1, "seeds": 2,
                 "batch_size": 32},
        "study": [{"grid": [{"precision": ["float32", "bfloat16"]},
                            {"precision": ["float16"], "loss_scale_initial": [2.0**40]}]}],
    }  # fmt: skip
    found = compare.compare(made)
    history = found["history"].merge(found["replicas"][["replica_id", "precision"]], on="replica_id")
    assert history[history["precision"] != "float16"][["loss_scale", "skipped_steps"]].isna().all(axis=None)
    last = history[(history["precision"] == "float16") & (history["epoch"] == 1)]
    assert (last["skipped_steps"] == 2).all()
    assert (last["loss_scale"] == 2.0**38).all()
    costs = analysis.costs(found["replicas"], found["timing"]).merge(found["replicas"], on="variant_id")
    assert costs.groupby("precision")["temporary_bytes"].min().gt(0).to_dict() == dict.fromkeys(names.PRECISIONS, True)
    assert costs.groupby("precision")["argument_bytes"].min().gt(0).all()
    seconds = costs["step_seconds"]  # not known where the machine was busy just when measurements were timed
    assert (seconds.gt(0) | seconds.isna()).all()
    layers = found["layers"].merge(found["replicas"][["replica_id", "precision"]], on="replica_id")
    counts = layers.groupby("precision")["gradient_underflow"].count().to_dict()
    # At scales of 2^40 and 2^38 gradients overflow, and are not measured.
    assert counts == {"bfloat16": 8, "float16": 0, "float32": 0}
    made["study"] = [{"grid": {"precision": ["float16"], "loss_scale_initial": [2.0**10]}}]
    assert compare.compare(made)["layers"]["gradient_underflow"].count() == 8


@pytest.mark.parametrize(
    ("platform", "capability", "name"),
    [
        ("cpu", None, "float32"),
        ("tpu", None, "bfloat16"),
        ("gpu", "9.0", "bfloat16"),
        ("gpu", "8.0", "bfloat16"),
        ("gpu", "7.5", "float16"),
        ("gpu", "6.1", "float32"),
        ("gpu", "10.0", "bfloat16"),
        ("rocm", "gfx90a", "float32"),
    ],
)
def test_auto_is_half_only_where_the_device_is_faster_in_it(platform, capability, name):
    device = SimpleNamespace(platform=platform, compute_capability=capability)
    assert precision.fastest(device) == name


def test_auto_is_resolved_before_the_grid_is_expanded():
    config = {"base": {"precision": "auto", "loss_scale_floor": 2.0},
              "study": [{"name": "main", "grid": {"learning_rate": [0.1, 0.2]}},
                        {"name": "own", "grid": {"precision": ["float32", "bfloat16"]}}]}  # fmt: skip
    assert asks_precision(config)
    found = {
        name: [[variant.settings.precision for variant in study.variants] for study in made.studies]
        for name in names.PRECISIONS
        if (made := parse("x", config, precision=name))
    }
    assert found == {name: [[name, name], ["float32", "bfloat16"]] for name in names.PRECISIONS}
    half = parse("x", config, precision="float16").studies[0].variants[0]
    named = parse("x", config | {"base": {"precision": "float16", "loss_scale_floor": 2.0}}).studies[0].variants[0]
    assert half == named  # as if the name had stood in the config
    assert half.settings.loss_scale_floor == 2.0
    assert not asks_precision({"base": {"precision": "float16"}, "study": [{"name": "main"}]})


@pytest.mark.usefixtures("quick_compilation")
def test_a_comparison_trains_with_auto():
    base = {
        "dataset": "moons",
        "hidden": [4],
        "samples": 60,
        "test_samples": 20,
        "epochs": 1,
        "seeds": 1,
        "batch_size": 16,
    }
    found = compare.compare({"base": {**base, "precision": "auto"}, "study": [{"grid": {"learning_rate": [0.1]}}]})
    assert set(found["replicas"]["precision"]) == {"float32"}


@pytest.mark.parametrize(
    ("base", "grid", "message"),
    [
        (
            {},
            {"precision": ["auto", "float32"]},
            "grid.precision = ['auto', 'float32']: \"auto\" cannot be in a grid",
        ),
        ({"precision": "float61"}, {}, "did you mean float16?"),
        ({"loss_scale_floor": 2.0}, {"precision": ["float32"]}, "base.loss_scale_floor = 2.0 has no effect"),
        ({}, {"loss_scale_factor": [2.0, 4.0]}, "loss_scale_factor = 2.0 has no effect on precision 'float32'"),
        ({"precision": "float16", "loss_scale_initial": 1.0, "loss_scale_floor": 2.0}, {}, "loss_scale_initial = 1"),
        ({"clip_norm": -1.0}, {}, "clip_norm = -1.0 is out of range"),
        ({"learning_rate_rule": "linaer"}, {}, "did you mean linear?"),
    ],
)
def test_what_cannot_be_is_an_error(base, grid, message):
    with pytest.raises(ConfigError) as caught:
        parse("x", {"base": base, "study": [{"grid": grid}]})
    assert message in str(caught.value)


def test_micro_batches_scale_and_skip_as_a_whole_batch_does():
    batch, hparams = blobs(), train_step.make_hparams(0.01)
    for initial, skipped in ((1024.0, 0), (2.0**40, 1)):
        whole = half(initial=initial)
        parts = whole._replace(micro_batches=4)
        state = train_step.init_state(jax.random.key(0), whole, hparams, batch.x)
        (a, _), (b, _) = (train_step.make_train_step(made)(state, batch, hparams) for made in (whole, parts))
        assert int(b.loss_scale.skipped_steps) == skipped
        jax.tree.map(np.testing.assert_array_equal, a.loss_scale, b.loss_scale)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3), a.params, b.params)
    one_bad = batch._replace(x=batch.x.at[1].set(1e6))  # the second part alone overflows
    after, _ = train_step.make_train_step(half()._replace(micro_batches=4))(
        train_step.init_state(jax.random.key(0), half(), hparams, batch.x), one_bad, hparams
    )
    assert (int(after.loss_scale.skipped_steps), float(after.loss_scale.dynamic.scale)) == (1, 2.0**15)
