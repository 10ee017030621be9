"""One replica: the step, evaluation, divergence, what is observed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from problems import blobs, recipe

from jaxcompare.components import losses, models
from jaxcompare.diagnostics import tree_norm
from jaxcompare.engine import train_step
from jaxcompare.types import Batch


def start(made, hparams=None, seed=0):
    return train_step.init_state(jax.random.key(seed), made, hparams or train_step.make_hparams(0.1), blobs().x)


def test_step_is_optax_by_hand():
    made, batch = recipe(optimizer="adamw", activation="tanh"), blobs()
    hparams = train_step.make_hparams(0.01)
    state = start(made, hparams)
    params, optimizer = state.params, optax.adamw(0.01, weight_decay=0.01)
    opt_state = optimizer.init(params)

    def loss(params):
        value = batch.x
        for name in ("hidden_1", "hidden_2"):
            value = jnp.tanh(value @ params[name]["kernel"] + params[name]["bias"])
        logits = value @ params["output"]["kernel"] + params["output"]["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.y).mean()

    step = jax.jit(train_step.make_train_step(made))
    for _ in range(20):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        params = optax.apply_updates(params, updates)
        state, metrics = step(state, batch, hparams)
        assert float(metrics["loss"]) == pytest.approx(float(value), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state.params, params)
    assert int(state.step) == 20


def test_fresh_network_is_near_ln_c():
    made = train_step.make_recipe(models.mlp(hidden=(64,), classes=10, init="lecun_normal"))
    batch = Batch(0.1 * jax.random.normal(jax.random.key(0), (500, 20)), jnp.arange(500) % 10)
    state = train_step.init_state(jax.random.key(1), made, train_step.make_hparams(0.1), batch.x)
    (found,) = train_step.evaluate(made, state.params, [Batch(*batch)], train_step.make_hparams(0.1), (1.0, 0.0))
    assert float(found["loss"]) == pytest.approx(np.log(10), abs=0.05)


def test_schedule_scales_the_rate_of_each_step():
    made = recipe(schedule=("constant", "linear"))
    hparams = train_step.make_hparams(0.5, schedule=1, total_steps=4)
    rates = [float(train_step.learning_rate_at(made, hparams, jnp.int32(step))) for step in range(4)]
    assert rates == pytest.approx([0.5, 0.375, 0.25, 0.125])


def test_schedule_takes_its_own_options_only():
    made = recipe(schedule=("step", "cosine"))
    options = {"step_interval": 0.5, "step_factor": 0.5, "final_factor": 0.1}
    for schedule, expected in ((0, 0.5), (1, 0.1 + 0.9 * 0.5)):
        hparams = train_step.make_hparams(1.0, schedule=schedule, total_steps=2, schedule_options=options)
        assert float(train_step.learning_rate_at(made, hparams, jnp.int32(1))) == pytest.approx(expected)


@pytest.mark.parametrize("clip_norm", [0.01, 1e6])
def test_clipping_bounds_the_global_norm(clip_norm):
    made, batch = recipe(optimizer="sgd"), blobs()
    state = start(made)
    unclipped = train_step.observe(made, state, batch, train_step.make_hparams(1.0)).gradients
    after, _ = train_step.make_train_step(made)(state, batch, train_step.make_hparams(1.0, clip_norm=clip_norm))
    moved = tree_norm(jax.tree.map(jnp.subtract, after.params, state.params))
    assert float(moved) == pytest.approx(min(clip_norm, float(tree_norm(unclipped))), rel=1e-4)


def test_clipping_at_infinity_changes_no_bit():
    batch = blobs()
    with_clip, without = recipe(clip=True), recipe(clip=False)
    state = start(with_clip)
    after = [
        jax.jit(train_step.make_train_step(made))(state, batch, train_step.make_hparams(0.1))[0]
        for made in (with_clip, without)
    ]
    jax.tree.map(np.testing.assert_array_equal, after[0].params, after[1].params)


@pytest.mark.parametrize("extra", [(), (losses.mse,)])
def test_a_loss_that_is_not_of_each_example_is_an_error(extra):
    def mean_loss(logits, labels):
        return jnp.mean(losses.mse(logits, labels))

    made = recipe()._replace(losses=(mean_loss, *extra))
    with pytest.raises(ValueError, match=r"a loss gives \[\]; it must give a number for each example"):
        train_step.make_train_step(made)(start(made), blobs(), train_step.make_hparams(0.1))


def test_divergence_is_marked_once_and_the_update_applied():
    made, batch = recipe(optimizer="sgd", loss="mse_logits"), blobs()
    hparams = train_step.make_hparams(1e8)
    state, step = start(made, hparams), jax.jit(train_step.make_train_step(made))
    first = None
    for number in range(12):
        state, metrics = step(state, batch, hparams)
        if first is None and not np.isfinite(metrics["loss"]):
            first = number
    assert first is not None
    assert int(state.first_nonfinite_step) == first
    assert not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize("sizes", [(1,), (249, 3), (250,), (251, 0, 997)])
def test_evaluation_is_over_every_example_of_each_split(sizes):
    made, splits = recipe(), [Batch(*blobs(size, seed=size)) for size in sizes]
    state, hparams = start(made), train_step.make_hparams(0.1)
    for split, found in zip(splits, train_step.evaluate(made, state.params, splits, hparams, (1.0, 0.0)), strict=True):
        if not len(split.y):  # nothing was measured
            assert np.isnan(found["loss"])
            assert np.isnan(found["accuracy"])
            continue
        logits, _ = made.model.apply(state.params, split.x, jax.nn.relu)
        expected = losses.cross_entropy(logits, jax.nn.one_hot(split.y, 3)).mean()
        assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-5)
        assert float(found["accuracy"]) == pytest.approx(float((logits.argmax(-1) == split.y).mean()), rel=1e-6)


def test_answers_that_are_not_finite_are_wrong():
    made = recipe()
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, start(made).params)
    (found,) = train_step.evaluate(made, broken, [Batch(*blobs())], train_step.make_hparams(0.1), (1.0, 0.0))
    assert float(found["accuracy"]) == 0.0


def test_observing_is_the_step_without_taking_it():
    made, batch = recipe(optimizer="momentum"), blobs()
    hparams = train_step.make_hparams(0.1)
    state, _ = train_step.make_train_step(made)(start(made), batch, hparams)
    seen = train_step.observe(made, state, batch, hparams)
    after, _ = train_step.make_train_step(made)(state, batch, hparams)
    moved = jax.tree.map(jnp.subtract, after.params, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), seen.updates, moved)
    assert list(seen.layers) == ["hidden_1", "hidden_2"]


def test_layers_are_observed_first_to_last_however_many_there_are():
    made = train_step.make_recipe(models.mlp(hidden=(4,) * 11, classes=3))
    seen = train_step.observe(made, start(made), blobs(), train_step.make_hparams(0.1))
    assert list(seen.layers) == [f"hidden_{number}" for number in range(1, 12)]


@pytest.mark.parametrize("size", [1, 2, 100, 1437, 60_000])
def test_epoch_orders_are_permutations_and_differ(size):
    orders = [
        np.asarray(train_step.epoch_order(jnp.int32(seed), jnp.int32(epoch), size))
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(size))
    assert size <= 2 or len({tuple(order) for order in orders}) == 4


def test_every_epoch_order_is_as_likely_as_another():
    epochs = jnp.arange(24 * 500)
    orders = np.asarray(jax.jit(jax.vmap(lambda epoch: train_step.epoch_order(jnp.int32(0), epoch, 4)))(epochs))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 0.001
    with pytest.raises(ValueError, match="too many to be put in order"):
        jax.eval_shape(lambda: train_step.epoch_order(jnp.int32(0), jnp.int32(0), 2**28 + 1))


def test_predictions_are_probabilities():
    made, batch = recipe(), blobs()
    found = train_step.predict(made, start(made).params, batch.x, train_step.make_hparams(0.1))
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-5)


def test_a_schedule_ends_where_it_was_said_to_and_shows_where_that_was_not_said():
    made = recipe(schedule="cosine")
    rate = functools.partial(train_step.learning_rate_at, made)
    hparams = train_step.make_hparams(0.5, total_steps=10)
    assert float(rate(hparams, jnp.int32(10))) == float(rate(hparams, jnp.int32(25))) == pytest.approx(0.0, abs=1e-7)
    assert np.isnan(rate(train_step.make_hparams(0.5), jnp.int32(0)))
    assert float(train_step.learning_rate_at(recipe(), train_step.make_hparams(0.5), jnp.int32(3))) == 0.5
