"""Micro-batches: the same training in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import blobs, comparison, plans, recipe, train_tiles

from jaxcompare import devices, models, sweep, train
from jaxcompare.experiment import parse
from jaxcompare.settings import ConfigError, Settings
from jaxcompare.types import Batch


def temporaries(made, batch):
    """Bytes that one compiled step needs beside its arguments and results."""
    hparams = train.make_hparams(0.1)
    state = jax.eval_shape(lambda x: train.init_state(jax.random.key(0), made, hparams, x), batch.x)
    compiled = jax.jit(train.make_train_step(made)).lower(state, batch, hparams).compile()
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
    hparams = train.make_hparams(0.01, clip_norm=1.0)
    states = [train.init_state(jax.random.key(0), whole, hparams, blobs().x)] * 2
    steps = [jax.jit(train.make_train_step(made)) for made in (whole, parts)]
    for number in range(5):
        batch = blobs(seed=number)
        found = [
            jax.jit(train._batch_gradients, static_argnums=0)(made, state.params, batch, hparams)[0]
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
    hparams = sweep.stack_hparams([train.make_hparams(rate) for rate in (0.1, 0.03, 0.01)])
    found = []
    for count in (1, 4):
        made = recipe(micro_batches=count)
        state, step = sweep.init_states(made, jnp.arange(2), hparams, batch.x[0]), sweep.make_step(made)
        for _ in range(5):
            state, metrics = step(state, batch, hparams)
        found.append((state.params, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found)


def test_a_comparison_in_micro_batches_is_the_same_comparison():
    """All the way: tiles, segments, and devices that share each micro-batch."""
    grid = {"optimizer": ["momentum"], "learning_rate": [0.1, 0.01]}
    whole, parts = (plans(comparison(grid=grid, micro_batches=count, seeds=2, epochs=1))[0] for count in (1, 4))
    expected = list(train_tiles(whole, 2).values())
    for data in (1, 4):
        found = list(train_tiles(parts, 2, data=data).values())
        for (params, _), (others, _) in zip(found, expected, strict=True):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), params, others)


def test_micro_batches_need_less_memory():
    batch = shapes(2048, 64)
    whole, parts = (
        temporaries(train.make_recipe(models.mlp(hidden=(256, 256, 256), classes=10), micro_batches=count), batch)
        for count in (1, 16)
    )
    assert parts < whole / 3, (whole, parts)


def test_micro_batches_that_cannot_be_are_errors():
    with pytest.raises(ConfigError, match="x: study 'main': micro_batches = 3 does not divide batch_size = 128"):
        parse("x", {"base": {"micro_batches": 3}, "study": [{}]})
    with pytest.raises(ConfigError, match=r"micro_batches = 7 does not divide batch_size = 32"):
        comparison(grid={"micro_batches": [1, 7]})
    with pytest.raises(ConfigError, match="micro_batches = 0 is out of range; it must be at least 1"):
        comparison(micro_batches=0)
    with pytest.raises(ConfigError, match="micro_batches = 32 of batch_size = 64 are not multiples of 4"):
        devices.check_batches(devices.MeshShape(1, 4), [Settings(batch_size=64, micro_batches=32)])
    made = recipe(micro_batches=7)
    with pytest.raises(ValueError, match="micro_batches = 7 do not divide a batch of 64"):
        train._batch_gradients(made, None, blobs(), train.make_hparams(0.1))
