"""Diagnostics on cases whose values are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcompare import diagnostics
from jaxcompare.components import models
from jaxcompare.diagnostics.histograms import histograms
from jaxcompare.types import Layer, Observation

UNBOUNDED = jnp.array([jnp.nan, jnp.nan])


def layer(*columns):
    activation = jnp.stack([jnp.asarray(column, float) for column in columns], axis=-1)
    return Layer(activation - 1.0, activation)


def test_shares_of_dead_and_zero():
    layers = {"hidden_1": layer([0, 0, 0, 0], [0, 1, 0, 2]), "hidden_2": layer([1, 1, 1, 1], [1, 2, 3, 4])}
    found = diagnostics.activation_statistics(layers, UNBOUNDED)
    np.testing.assert_allclose(found["dead_fraction"], [0.5, 0.0])
    np.testing.assert_allclose(found["zero_fraction"], [6 / 8, 0.0])
    np.testing.assert_allclose(found["activation_mean"], [3 / 8, 14 / 8])
    np.testing.assert_allclose(found["pre_activation_mean"], [3 / 8 - 1, 14 / 8 - 1])
    np.testing.assert_allclose(found["activation_std"][1], np.std([1, 1, 1, 1, 1, 2, 3, 4]), rtol=1e-6)
    assert np.isnan(found["saturated_fraction"]).all()


def test_saturation_is_nearness_to_the_ends():
    layers = {"hidden_1": layer([0.0, 0.009, 0.011, 0.5], [0.985, 0.992, 1.0, 0.5])}
    found = diagnostics.activation_statistics(layers, jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(found["saturated_fraction"], [4 / 8])


def test_dead_units_are_padded_to_the_widest():
    layers = {"hidden_1": layer([0, 0], [1, 0], [0, 0]), "hidden_2": layer([0, 0])}
    np.testing.assert_array_equal(diagnostics.dead_units(layers), [[True, False, True], [True, False, False]])


@pytest.mark.parametrize("bins", [1, 7, 60])
def test_histogram_is_numpys(bins):
    values = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    values[0, :3] = [1.5, -2.0, np.nan]  # the range's end, its beginning, nothing
    found = np.asarray(diagnostics.histogram(jnp.asarray(values), jnp.array([-2.0, 1.5]), bins))
    finite = values[np.isfinite(values)]
    expected, _ = np.histogram(finite, bins, (-2.0, 1.5))
    np.testing.assert_array_equal(found[1:-1], expected)
    assert found[0] == (finite < -2.0).sum()
    assert found[-1] == (finite > 1.5).sum()


def test_histograms_of_parts_add_up():
    values = jnp.linspace(-3.0, 3.0, 999)
    limits = jnp.array([-1.0, 2.0])
    parts = [diagnostics.histogram(part, limits, 12) for part in jnp.split(values, [100, 700])]
    np.testing.assert_array_equal(sum(parts), diagnostics.histogram(values, limits, 12))


def test_gradient_flow_is_norms_by_layer():
    def tree(scale):
        return {
            name: {"kernel": scale * size * jnp.array([[3.0]]), "bias": scale * size * jnp.array([4.0])}
            for name, size in (("output", 10.0), ("hidden_2", 2.0), ("hidden_1", 1.0))
        }

    found = diagnostics.gradient_flow(Observation(tree(1.0), tree(0.5), tree(0.01), {}))
    np.testing.assert_allclose(found["gradient_norm"], [2.5, 5.0, 25.0])
    np.testing.assert_allclose(found["parameter_norm"], [5.0, 10.0, 50.0])
    np.testing.assert_allclose(found["update_ratio"], [0.01] * 3, rtol=1e-6)


def test_layers_are_ordered_by_number():
    names = [*(f"hidden_{number}" for number in range(12, 0, -1)), "output"]
    expected = (*(f"hidden_{number}" for number in range(1, 13)), "output")
    assert diagnostics.layer_names(dict.fromkeys(sorted(names))) == expected


@pytest.mark.parametrize("name", ["embed", "hidden", "hidden_x", "block_1"])
def test_a_layer_whose_place_cannot_be_known_is_refused(name):
    with pytest.raises(ValueError, match=f"layer '{name}': layers are called conv_1"):
        diagnostics.layer_names({name: 0, "output": 0})


def test_layers_of_one_shape_go_through_a_function_together():
    layers = {"hidden_1": jnp.ones((2, 3)), "hidden_2": jnp.full((2, 5), 2.0), "hidden_3": jnp.full((2, 3), 3.0)}
    shapes = []

    def total(layer):
        shapes.append(layer.shape)
        return {"sum": jnp.sum(layer)}

    np.testing.assert_array_equal(diagnostics.over_layers(total, layers)["sum"], [6.0, 20.0, 18.0])
    assert shapes == [(2, 3), (2, 5)]


def test_histograms_of_several_arrays_are_each_ones_own():
    arrays = [jnp.linspace(-2, 2, 40).reshape(5, 8), jnp.array([0.1, jnp.nan, jnp.inf, 5.0])]
    limits = jnp.array([-1.0, 1.0])
    together = histograms(arrays, limits, 7)
    np.testing.assert_array_equal(together, [diagnostics.histogram(one, limits, 7) for one in arrays])
    assert int(together[0].sum()) == 40
    assert int(together[1].sum()) == 2


def test_sigmoid_gradients_shrink_by_a_quarter_a_layer():
    """Through each sigmoid layer the gradient shrinks at least by 1/4 times the norm of the weights."""
    model = models.mlp(hidden=(16,) * 5, classes=2, init="orthogonal")
    x = jax.random.normal(jax.random.key(0), (32, 16))
    params = model.init(jax.random.key(1), x)

    def loss(x):
        logits, _ = model.apply(params, x, jax.nn.sigmoid)
        return jnp.sum(logits[:, 0])

    into_first = jnp.linalg.norm(jax.grad(loss)(x), axis=-1)
    last = jnp.linalg.norm(params["output"]["kernel"][:, 0])
    assert float(into_first.max()) <= float(last) * 0.25**5 * 1.0001  # orthogonal weights have norm 1


def test_zero_network_probability_of_dying_relus():
    """Lu et al. 2019: width 2, depth 10, symmetric weights, no bias: P(all zero) = 1 - (1 - 2^-2)^10 = 0.9437."""
    model = models.mlp(hidden=(2,) * 10, classes=2)

    def died(key):
        x = jnp.ones((1, 1))
        _, layers = model.apply(model.init(key, x), x, jax.nn.relu)
        statistics = diagnostics.activation_statistics(layers, UNBOUNDED)
        return statistics["dead_fraction"][-1] == 1.0

    share = float(jnp.mean(jax.jit(jax.vmap(died))(jax.random.split(jax.random.key(0), 4000))))
    assert share == pytest.approx(0.9437, abs=4 * np.sqrt(0.9437 * 0.0563 / 4000))
