"""Activations, losses, optimizers, schedules, models: held against other libraries and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

from jaxcompare.components import activations, initializers, losses, models, optimizers
from jaxcompare.config import registry

X = np.linspace(-8, 8, 161)

REFERENCES = {
    "relu": np.maximum(X, 0),
    "leaky_relu": np.where(X > 0, X, 0.01 * X),
    "sigmoid": special.expit(X),
    "tanh": np.tanh(X),
    "gelu": X * stats.norm.cdf(X),
    "silu": X * special.expit(X),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "mish": X * np.tanh(np.log1p(np.exp(X))),
}


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_activation_is_its_formula(name):
    np.testing.assert_allclose(activations.ACTIVATIONS[name](jnp.asarray(X)), REFERENCES[name], rtol=1e-5, atol=1e-6)


def test_sigmoid_derivative_is_at_most_a_quarter():
    slopes = jax.vmap(jax.grad(activations.ACTIVATIONS["sigmoid"]))(jnp.asarray(X))
    assert float(slopes.max()) == pytest.approx(0.25)


LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 4.0, 1.0]])
LABELS = np.eye(3)[[0, 2, 0]]
SOFTMAX = special.softmax(LOGITS, axis=-1)

LOSS_REFERENCES = {
    "cross_entropy": -np.log(SOFTMAX[np.arange(3), [0, 2, 0]]),
    "mse": ((SOFTMAX - LABELS) ** 2).mean(-1),
    "mse_half_sum": ((SOFTMAX - LABELS) ** 2).sum(-1) / 2,
    "mse_logits": ((LOGITS - LABELS) ** 2).mean(-1),
    "mse_logits_half_sum": ((LOGITS - LABELS) ** 2).sum(-1) / 2,
}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_loss_is_its_formula(name):
    found = losses.LOSSES[name](jnp.asarray(LOGITS), jnp.asarray(LABELS))
    np.testing.assert_allclose(found, LOSS_REFERENCES[name], rtol=1e-5)


def test_cross_entropy_gradient_is_p_minus_y():
    gradient = jax.grad(lambda logits: losses.cross_entropy(logits, jnp.asarray(LABELS)).sum())(jnp.asarray(LOGITS))
    np.testing.assert_allclose(gradient, SOFTMAX - LABELS, atol=1e-6)


def test_smoothed_labels_are_a_mixture():
    found = losses.smooth_labels(jnp.array([1]), 4, jnp.array(0.2))
    np.testing.assert_allclose(found, [[0.05, 0.85, 0.05, 0.05]], rtol=1e-6)


EXTREMES = jnp.array([-1e30, -200.0, -1.0, 0.0, 1.0, 200.0, 1e30])


@pytest.mark.parametrize("pair", list(itertools.permutations(activations.ACTIVATIONS, 2)), ids="-".join)
def test_unselected_activation_leaks_nothing(pair):
    """Value and gradient of a select equal the chosen one's, for inputs at which another may overflow."""
    functions = [activations.ACTIVATIONS[name] for name in pair]
    for index in (0, 1):
        chosen = jax.vmap(jax.value_and_grad(lambda x, i=index: activations.select(jnp.array(i), functions, x)))
        alone = jax.vmap(jax.value_and_grad(functions[index]))
        for found, expected in zip(chosen(EXTREMES), alone(EXTREMES), strict=True):
            assert bool(jnp.all(jnp.isfinite(expected)))
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("pair", list(itertools.permutations(losses.LOSSES, 2)), ids="-".join)
def test_unselected_loss_leaks_nothing(pair):
    functions = [losses.LOSSES[name] for name in pair]
    logits, labels = jnp.array([200.0, -200.0, 0.0]), jnp.array([0.0, 1.0, 0.0])
    for index in (0, 1):
        chosen = jax.value_and_grad(lambda x, i=index: activations.select(jnp.array(i), functions, x, labels))(logits)
        alone = jax.value_and_grad(lambda x, f=functions[index]: f(x, labels))(logits)
        for found, expected in zip(chosen, alone, strict=True):
            assert bool(jnp.all(jnp.isfinite(expected)))
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def reference_update(name, gradient, parameter, memory, step):
    """One update of a scalar in plain Python, from each method's paper; `memory` is a dict."""
    rate, decay = 0.1, 0.05
    coupled = gradient + decay * parameter
    if name == "sgd":
        return -rate * coupled
    if name in ("momentum", "nesterov"):
        memory["v"] = 0.9 * memory.get("v", 0.0) + coupled
        return -rate * (coupled + 0.9 * memory["v"] if name == "nesterov" else memory["v"])
    if name == "rmsprop":
        memory["s"] = 0.9 * memory.get("s", 0.0) + 0.1 * coupled**2
        return -rate * coupled / (np.sqrt(memory["s"]) + 1e-8)
    if name == "lion":
        direction = np.sign(0.9 * memory.get("m", 0.0) + 0.1 * gradient)
        memory["m"] = 0.99 * memory.get("m", 0.0) + 0.01 * gradient
        return -rate * (direction + decay * parameter)
    used = coupled if name == "adam" else gradient
    memory["m"] = 0.9 * memory.get("m", 0.0) + 0.1 * used
    memory["s"] = 0.999 * memory.get("s", 0.0) + 0.001 * used**2
    direction = memory["m"] / (1 - 0.9**step) / (np.sqrt(memory["s"] / (1 - 0.999**step)) + 1e-8)
    return -rate * (direction + (decay * parameter if name == "adamw" else 0.0))


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_optimizer_is_its_papers(name):
    gradients = [0.5, -1.0, 2.0, 0.1, -0.3]
    params, expected, memory = jnp.array(1.5), 1.5, {}
    make = optimizers.OPTIMIZERS[name]
    state = make(0.1, weight_decay=0.05).init(params)

    @jax.jit
    def update(gradient, state, params, rate, decay):  # traced, as in a sweep
        updates, state = make(rate, weight_decay=decay).update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for step, gradient in enumerate(gradients, start=1):
        params, state = update(jnp.array(gradient), state, params, 0.1, 0.05)
        expected += reference_update(name, gradient, expected, memory, step)
        assert float(params) == pytest.approx(expected, rel=2e-5), f"after step {step}"


STEPS = 90
SCHEDULE_REFERENCES = {
    "constant": optax.constant_schedule(1.0),
    "cosine": optax.cosine_decay_schedule(1.0, STEPS),
    "warmup_cosine": optax.warmup_cosine_decay_schedule(0.0, 1.0, STEPS // 10, STEPS),
    "step": optax.piecewise_constant_schedule(1.0, {STEPS // 3: 0.1, 2 * STEPS // 3: 0.1}),
    "linear": optax.linear_schedule(1.0, 0.0, STEPS),
}


@pytest.mark.parametrize("name", optimizers.SCHEDULES)
def test_schedule_is_optaxs(name):
    for step in range(STEPS):
        found = optimizers.SCHEDULES[name](jnp.asarray(step) / STEPS)
        assert float(found) == pytest.approx(float(SCHEDULE_REFERENCES[name](step)), abs=1e-6), step


def test_final_factor_is_where_a_schedule_ends():
    for name in ("cosine", "linear", "warmup_cosine"):
        assert float(optimizers.SCHEDULES[name](jnp.array(1.0), final_factor=0.25)) == pytest.approx(0.25)


VARIANCES = {  # of a kernel [inputs, outputs]
    "he_normal": lambda n, m: 2 / n,
    "he_uniform": lambda n, m: 2 / n,
    "lecun_normal": lambda n, m: 1 / n,
    "lecun_uniform": lambda n, m: 1 / n,
    "glorot_normal": lambda n, m: 2 / (n + m),
    "glorot_uniform": lambda n, m: 2 / (n + m),
    "truncated_normal": lambda n, m: 0.03**2 * 0.7737,  # of a normal cut at two deviations
    "orthogonal": lambda n, m: 1 / n,
    "torch": lambda n, m: 1 / (3 * n),
}


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_initial_weights_have_their_variance(name):
    model = models.mlp(hidden=(200,), classes=3, init=name, init_scale=0.03)
    kernel = model.init(jax.random.key(0), jnp.zeros((1, 400)))["hidden_1"]["kernel"]
    assert kernel.shape == (400, 200)
    assert float(jnp.var(kernel)) == pytest.approx(VARIANCES[name](400, 200), rel=0.05)
    assert float(jnp.mean(kernel)) == pytest.approx(0.0, abs=4 * float(jnp.std(kernel)) / np.sqrt(kernel.size))


def test_torch_biases_are_uniform_within_the_root_of_fan_in():
    params = models.mlp(hidden=(500,), classes=3, bias_init="torch").init(jax.random.key(0), jnp.zeros((1, 25)))
    bias = params["hidden_1"]["bias"]
    assert 0.18 < float(jnp.max(jnp.abs(bias))) <= 0.2
    assert float(jnp.max(jnp.abs(params["output"]["bias"]))) <= 500**-0.5


def test_model_is_its_matrix_products():
    model = models.mlp(hidden=(5, 4), classes=3, bias_init="torch")
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    params = jax.tree.map(np.asarray, model.init(jax.random.key(1), x))
    logits, layers = model.apply(params, x, jnp.tanh)
    value = x.reshape(7, 6)
    for name in ("hidden_1", "hidden_2"):
        pre = value @ params[name]["kernel"] + params[name]["bias"]
        value = np.tanh(pre)
        np.testing.assert_allclose(layers[name].pre_activation, pre, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(layers[name].activation, value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, value @ params["output"]["kernel"] + params["output"]["bias"], rtol=1e-4)


def test_plugins_are_found_by_their_path():
    assert activations.resolve("jax.numpy:arctan") is jnp.arctan
    assert optimizers.resolve_optimizer("optax:adam") is optax.adam


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reluu", "did you mean relu?"),
        ("jax.numpy:arctann", "did you mean arctan"),
        ("no_such_package:thing", "cannot import 'no_such_package'"),
        ("jax.numpy:pi", "cannot be called"),
    ],
)
def test_names_that_are_not_there_say_what_is(name, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        registry.resolve(name, activations.ACTIVATIONS, "activation")
