"""Initial weights: the same bits however they are compiled, in the distributions of Flax's initializers."""

import itertools
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxcompare.components import initializers, models
from jaxcompare.engine import sweep

NETWORKS = {
    "mlp": (partial(models.mlp, hidden=(7, 5)), jnp.zeros((1, 9))),
    "cnn": (partial(models.cnn, hidden=(5,), channels=(2, 3), kernel_size=3), jnp.zeros((1, 49))),
}
SHAPE = (3, 3, 50, 400)  # a convolution's kernel: 180,000 weights of 450 inputs
REFERENCES = {name: getattr(nn.initializers, name) for name in initializers.INITIALIZERS if name != "torch"}


def drawn(name, dtype=jnp.float32, seed=0):
    return np.asarray(initializers.INITIALIZERS[name](450, 0.03)(jax.random.key(seed), SHAPE, dtype), np.float64)


def flax_drawn(name):
    arguments = (0.03,) if name == "truncated_normal" else ()
    return np.asarray(REFERENCES[name](*arguments)(jax.random.key(1), SHAPE, jnp.float32), np.float64)


def stacked(trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def assert_equal_however_compiled(start):
    """Eager, jitted, without optimizations, and of several seeds at once: every bit is the same."""
    keys = jax.random.split(jax.random.key(3), 3)
    eager = stacked(map(start, keys))
    for options in (None, sweep._HASTY[jax.default_backend()]):
        alone = stacked(map(jax.jit(start, compiler_options=options), keys))
        together = jax.jit(jax.vmap(start), compiler_options=options)(keys)
        jax.tree.map(np.testing.assert_array_equal, alone, eager)
        jax.tree.map(np.testing.assert_array_equal, together, eager)


@pytest.mark.parametrize("init", initializers.INITIALIZERS)
def test_weights_do_not_depend_on_how_they_are_compiled(init):
    draw = initializers.INITIALIZERS[init](42, 0.03)
    with jax.enable_x64(True):
        assert_equal_however_compiled(lambda key: [draw(key, (7, 6), dtype) for dtype in (jnp.float32, jnp.float64)])
        assert draw(jax.random.key(0), (7, 6), jnp.float64).dtype == jnp.float64


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_start_the_same_however_they_are_compiled(network):
    """All initializers of kernels, in one program."""
    build, x = NETWORKS[network]
    inits = [build(classes=3, init=name, init_scale=0.03, bias_init="torch").init for name in initializers.INITIALIZERS]
    assert_equal_however_compiled(lambda key: [init(key, x) for init in inits])


@pytest.mark.parametrize("init", initializers.INITIALIZERS)
def test_an_addition_behind_initial_weights_does_not_change_them(init):
    """A compiler contracts a multiplication and the addition of its product, and then leaves out a rounding."""
    draw = initializers.INITIALIZERS[init](450, 0.03)
    key, addend = jax.random.key(0), jnp.asarray(np.random.default_rng(0).normal(size=(60, 50)), jnp.float32)
    together = jax.jit(lambda key, addend: draw(key, addend.shape) + addend)(key, addend)
    np.testing.assert_array_equal(together, draw(key, addend.shape) + addend)


@pytest.mark.parametrize("name", REFERENCES)
def test_distributions_are_those_of_flax(name):
    """Mean, variance, kurtosis and bounds, within five standard errors or the distance of two draws."""
    ours, theirs = drawn(name).ravel(), flax_drawn(name).ravel()
    deviation, count = theirs.std(), theirs.size
    assert abs(ours.mean()) < 5 * deviation / np.sqrt(count)
    assert ours.var() == pytest.approx(theirs.var(), rel=5 * np.sqrt(2 * 2 / count))
    assert stats.kurtosis(ours) == pytest.approx(stats.kurtosis(theirs), abs=5 * np.sqrt(2 * 24 / count))
    assert np.abs(ours).min() > 0
    if name != "orthogonal":
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=1e-3)
        assert stats.ks_2samp(ours, theirs).pvalue > 0.001


@pytest.mark.parametrize(("cut", "kurtosis"), [(2.0, stats.truncnorm(-2, 2).stats("k")), (np.inf, 0.0)])
def test_the_table_has_the_moments_of_its_distribution(cut, kurtosis):
    """Of the quantiles themselves, without a draw."""
    table = initializers._quantiles(cut)
    assert np.mean(table**2) == pytest.approx(1.0, rel=1e-12)
    assert np.mean(table**4) - 3 == pytest.approx(float(kurtosis), abs=2e-3)
    assert (np.diff(table) > 0).all()
    half = stats.truncnorm(0, cut)
    scale = stats.truncnorm(-cut, cut).std() if np.isfinite(cut) else 1.0
    middles = (np.arange(len(table)) + 0.5) / len(table)
    np.testing.assert_allclose(table * scale, half.ppf(middles), rtol=1e-4)


@pytest.mark.parametrize("name", ["he_normal", "he_uniform", "torch"])
def test_weights_are_symmetric_and_independent_of_their_signs(name):
    weights = drawn(name).ravel()
    positive = np.abs(weights[weights > 0]), np.abs(weights[weights < 0])
    assert len(positive[0]) / len(weights) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(len(weights)))
    assert stats.ks_2samp(*positive).pvalue > 0.001


def test_torch_weights_are_uniform_within_the_root_of_fan_in():
    weights = drawn("torch").ravel() * np.sqrt(450)
    assert np.abs(weights).max() <= 1 + 1e-6
    assert stats.kstest(weights, "uniform", (-1, 2)).pvalue > 0.001


@pytest.mark.parametrize("shape", [(7, 20), (20, 7), (9, 9), (3, 3, 2, 30), (3, 3, 4, 5)])
def test_orthogonal_kernels_are_orthogonal(shape):
    kernel = np.asarray(initializers.orthogonal(jax.random.key(0), shape)).reshape(-1, shape[-1])
    square = kernel @ kernel.T if kernel.shape[0] < kernel.shape[1] else kernel.T @ kernel
    np.testing.assert_allclose(square, np.eye(len(square)), atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(initializers.INITIALIZERS) - {"orthogonal"}))
def test_float64_weights_are_those_of_float32_to_rounding(name):
    with jax.enable_x64(True):
        np.testing.assert_allclose(drawn(name, jnp.float64), drawn(name), rtol=3e-7)


def test_seeds_and_shapes_differ():
    draws = [drawn("he_normal", seed=seed) for seed in range(3)]
    assert all((a != b).mean() > 0.99 for a, b in itertools.combinations(draws, 2))
