"""Micro-batches and recomputed activations: the same training in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import blobs, comparison, programs, recipe, train_tiles

from jaxcompare.components import models
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.overrides import parse_assignment
from jaxcompare.config.parse import parse
from jaxcompare.config.settings import Settings
from jaxcompare.engine import sweep, train_step
from jaxcompare.execution import places
from jaxcompare.types import Batch


def temporaries(made, batch):
    """Bytes that one compiled step needs beside its arguments and results."""
    hparams = train_step.make_hparams(0.1)
    state = jax.eval_shape(lambda x: train_step.init_state(jax.random.key(0), made, hparams, x), batch.x)
    step = jax.jit(train_step.make_train_step(made), compiler_options=sweep.compiler_options(made))
    compiled = step.lower(state, batch, hparams).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def shapes(size, features):
    return Batch(jax.ShapeDtypeStruct((size, features), jnp.float32), jax.ShapeDtypeStruct((size,), jnp.int32))


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize("count", [2, 8, 64])
def test_micro_batches_add_up_to_the_batch(optimizer, count):
    """Gradients (plain descent shows them) and parameters to 1e-6 over some steps, loss and accuracy of the whole batch."""
    whole, parts = (
        recipe(optimizer=optimizer, activation="tanh", micro_batches=number, clip=True) for number in (1, count)
    )
    hparams = train_step.make_hparams(0.01, clip_norm=1.0)
    states = [train_step.init_state(jax.random.key(0), whole, hparams, blobs().x)] * 2
    steps = [jax.jit(train_step.make_train_step(made)) for made in (whole, parts)]
    for number in range(5):
        batch = blobs(seed=number)
        found = [
            jax.jit(train_step._batch_gradients, static_argnums=0)(made, state.params, batch, hparams, None)[0]
            for made, state in zip((whole, parts), states, strict=True)
        ]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found)
        (first, metrics), (second, others) = (
            step(state, batch, hparams) for step, state in zip(steps, states, strict=True)
        )
        states = [first, second]
        for name in metrics:
            np.testing.assert_allclose(others[name], metrics[name], rtol=1e-5, err_msg=name)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *(s.params for s in states))


def test_micro_batches_under_vmap_are_each_replicas_own():
    batch = Batch(*(jnp.stack(leaves) for leaves in zip(blobs(seed=1), blobs(seed=2), strict=True)))
    hparams = sweep.stack_hparams([train_step.make_hparams(rate) for rate in (0.1, 0.03, 0.01)])
    found = []
    for count in (1, 4):
        made = recipe(micro_batches=count)
        state, step = sweep.init_states(made, jnp.arange(2), hparams, batch.x[0]), sweep.make_step(made)
        for _ in range(5):
            state, metrics = step(state, batch, hparams)
        found.append((state.params, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found)


@pytest.mark.usefixtures("quick_compilation")
def test_a_comparison_in_micro_batches_is_the_same_comparison():
    """All the way: tiles, segments, and devices that share each micro-batch."""
    grid = {"optimizer": ["momentum"], "learning_rate": [0.1, 0.01]}
    whole, parts = (programs(comparison(grid=grid, micro_batches=count, seeds=2, epochs=1))[0] for count in (1, 4))
    expected = list(train_tiles(whole, 2).values())
    for data in (1, 4):
        found = list(train_tiles(parts, 2, data=data).values())
        for (params, _), (others, _) in zip(found, expected, strict=True):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), params, others)


def test_micro_batches_need_less_memory():
    batch = shapes(2048, 64)
    whole, parts = (
        temporaries(train_step.make_recipe(models.mlp(hidden=(256, 256, 256), classes=10), micro_batches=count), batch)
        for count in (1, 16)
    )
    assert parts < whole / 3, (whole, parts)


def test_micro_batches_that_cannot_be_are_errors():
    with pytest.raises(ConfigError, match=r"x: study\.1: micro_batches = 3 does not divide batch_size = 128"):
        parse("x", {"base": {"micro_batches": 3}, "study": [{}]})
    with pytest.raises(ConfigError, match=r"micro_batches = 7 does not divide batch_size = 32"):
        comparison(grid={"micro_batches": [1, 7]})
    with pytest.raises(ConfigError, match="micro_batches = 0 is out of range; it must be at least 1"):
        comparison(micro_batches=0)
    with pytest.raises(ConfigError, match="micro_batches = 32 of batch_size = 64 are not multiples of 4"):
        places.check_batches(4, [Settings(batch_size=64, micro_batches=32)])
    made = recipe(micro_batches=7)
    with pytest.raises(ValueError, match="micro_batches = 7 do not divide a batch of 64"):
        train_step._batch_gradients(made, None, blobs(), train_step.make_hparams(0.1), None)


DEEP = {"hidden": (256,) * 24, "classes": 10}


@pytest.mark.parametrize("activation", ["relu", "gelu", ("relu", "tanh")])
def test_recomputed_activations_give_the_same_gradients_and_weights(activation):
    batch, hparams = blobs(), train_step.make_hparams(0.1)
    kept, again = (  # blocks of 3, 3 and 1 layers
        train_step.make_recipe(models.mlp(hidden=(16,) * 7, classes=3, remat=remat), activation=activation)
        for remat in (False, True)
    )
    states = [train_step.init_state(jax.random.key(0), made, hparams, batch.x) for made in (kept, again)]
    jax.tree.map(np.testing.assert_array_equal, *(state.params for state in states))
    steps = [
        jax.jit(train_step.make_train_step(made), compiler_options=sweep.compiler_options(made))
        for made in (kept, again)
    ]
    for _ in range(5):
        states = [step(state, batch, hparams)[0] for step, state in zip(steps, states, strict=True)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *(s.params for s in states))
    seen = [
        jax.jit(train_step.observe, static_argnums=0, compiler_options=sweep.compiler_options(made))(
            made, states[0], batch, hparams
        )
        for made in (kept, again)
    ]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), seen[0].gradients, seen[1].gradients
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), seen[0].layers, seen[1].layers)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_recomputed_activations_need_less_memory_in_deep_networks(activation):
    """Of 24 layers the inputs of five blocks are left, and one block's own layers."""
    kept, again = (
        temporaries(train_step.make_recipe(models.mlp(**DEEP, remat=remat), activation=activation), shapes(512, 256))
        for remat in (False, True)
    )
    assert again < 0.5 * kept, (again, kept)


@pytest.mark.usefixtures("quick_compilation")
def test_a_comparison_with_recomputed_activations_is_the_same_comparison():
    grid = {"activation": ["relu", "tanh"]}
    kept, again = (programs(comparison(grid=grid, remat=remat, seeds=2, epochs=1))[0] for remat in (False, True))
    for (params, _), (others, _) in zip(train_tiles(kept, 2).values(), train_tiles(again, 2).values(), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, others)


def test_remat_is_true_or_false():
    made = comparison(grid={"remat": [False, True], "loss": ["mse"]})
    assert [variant.settings.remat for variant in made.studies[0].variants] == [False, True]
    assert [variant.label for variant in made.studies[0].variants] == ["remat False", "remat True"]
    assert len(programs(made)) == 2
    assert comparison(remat=parse_assignment("base.remat=true")[1]).studies[0].variants[0].settings.remat is True
    for wrong in (1, "yes", 0.0):
        with pytest.raises(ConfigError, match=r"remat = .* is neither true nor false"):
            comparison(remat=wrong)
