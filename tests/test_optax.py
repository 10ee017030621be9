"""Optimizers of Optax train here as in a plain Optax loop, those too that ask for more than gradient and parameters."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from problems import blobs, comparison, programs, recipe

from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning.recipes import check_custom_functions, make_hparams, make_recipe
from jaxcompare.types import Batch

pytestmark = pytest.mark.usefixtures("quick_compilation")  # what is compared is compiled alike

HERE = f"{__name__}:"


class Slow(NamedTuple):
    fast: Any  # the state of the optimizer within
    params: Any
    step: jax.Array


def lookahead(learning_rate, *, period=5, share=0.5):
    """Zhang et al. 2019, with the slow parameters in the state."""
    fast = optax.adam(learning_rate)

    def init(params):
        return Slow(fast.init(params), params, jnp.zeros((), jnp.int32))

    def update(gradients, state, params):
        updates, inner = fast.update(gradients, state.fast, params)
        now = (state.step + 1) % period == 0
        stepped = optax.apply_updates(params, updates)
        slow = jax.tree.map(lambda s, f: jnp.where(now, s + share * (f - s), s), state.params, stepped)
        updates = jax.tree.map(lambda s, f, p: jnp.where(now, s, f) - p, slow, stepped, params)
        return updates, Slow(inner, slow, state.step + 1)

    return optax.GradientTransformation(init, update)


lookahead.evaluation_params = lambda state, params: state.params

# Optimizer -> its options. The line search of lbfgs, and signs, jump at the least difference: they are compared in float64.
OPTIMIZERS = {
    "optax.contrib:muon": {},
    "optax:lbfgs": {},
    "optax.contrib:schedule_free_adamw": {"b1": 0.9},
    "optax:adafactor": {},
    "optax.contrib:prodigy": {},
    "optax:polyak_sgd": {},
    "optax.contrib:momo": {},
    f"{HERE}lookahead": {"share": 0.6},
    "optax:adabelief": {"b1": 0.8},
    "optax:lamb": {"weight_decay": 0.1},
    "optax:sign_sgd": {},
    "optax:novograd": {},
}
ASK_FOR_MORE = ("optax:lbfgs", "optax.contrib:momo", "optax:polyak_sgd")
IN_FLOAT64 = (*ASK_FOR_MORE, "optax:sign_sgd")
RATES = {"optax.contrib:prodigy": 1.0, "optax:lbfgs": 1.0}


def problem(kind):
    batch = blobs()
    return Batch(batch.x.astype(kind), batch.y)


def plain(optimizer, params, batch, steps=20):
    """The parameters after some steps of the loop in Optax's documentation, and the optimizer's state."""

    def loss(params):
        value = batch.x
        for name in ("hidden_1", "hidden_2"):
            value = jax.nn.relu(value @ params[name]["kernel"] + params[name]["bias"])
        logits = value @ params["output"]["kernel"] + params["output"]["bias"]
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(batch.y, 3)).mean()

    @jax.jit
    def step(params, state):
        value, gradients = jax.value_and_grad(loss)(params)
        asked = {"value": value, "grad": gradients, "value_fn": loss}
        updates, state = optax.with_extra_args_support(optimizer).update(gradients, state, params, **asked)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def assert_close(found, wanted, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def started(name, batch, rate=0.05, **options):
    """A recipe, traced choices, and a state in the type of the batch."""
    made = recipe(optimizer=name, **options)
    hparams = train_step.make_hparams(rate, optimizer_options=OPTIMIZERS[name])
    state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
    params = jax.tree.map(lambda leaf: leaf.astype(batch.x.dtype), state.params)
    return made, hparams, state._replace(params=params, opt_state=made.optimizer(rate, **OPTIMIZERS[name]).init(params))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_optax_trains_as_in_a_plain_loop(name):
    double, rate = name in IN_FLOAT64, RATES.get(name, 0.05)
    with jax.enable_x64(double):
        batch = problem(jnp.float64 if double else jnp.float32)
        made, hparams, state = started(name, batch, rate)
        wanted, _ = plain(made.optimizer(rate, **OPTIMIZERS[name]), state.params, batch)
        step = jax.jit(train_step.make_train_step(made))
        losses = []
        for _ in range(20):
            state, metrics = step(state, batch, hparams)
            losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    assert_close(state.params, wanted)


@pytest.mark.parametrize("name", ASK_FOR_MORE)
def test_what_an_optimizer_asks_for_is_the_same_in_micro_batches(name):
    with jax.enable_x64(True):
        batch = problem(jnp.float64)
        states = []
        for count in (1, 4):
            made, hparams, state = started(name, batch, micro_batches=count)
            step = jax.jit(train_step.make_train_step(made))
            for _ in range(3):
                state, _ = step(state, batch, hparams)
            states.append(state.params)
    assert_close(*states, tolerance=1e-9)


@pytest.mark.parametrize("name", ["optax:lbfgs", "optax.contrib:schedule_free_adamw"])
def test_replicas_side_by_side_are_those_one_by_one(name):
    with jax.enable_x64(True):
        batch = problem(jnp.float64)
        made, hparams, state = started(name, batch)
        others = [hparams._replace(learning_rate=jnp.asarray(rate)) for rate in (0.05, 0.2)]
        step = train_step.make_train_step(made)
        one_by_one = []
        for each in others:
            last = state
            for _ in range(3):
                last, _ = jax.jit(step)(last, batch, each)
            one_by_one.append(last.params)
        together, both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state), sweep.stack_hparams(others)
        for _ in range(3):
            together, _ = jax.jit(jax.vmap(step, in_axes=(0, None, 0)))(together, batch, both)
    for index, wanted in enumerate(one_by_one):
        assert_close(jax.tree.map(lambda leaf, index=index: leaf[index], together.params), wanted, tolerance=1e-9)


@pytest.mark.parametrize(
    ("name", "averaged"),
    [
        ("optax.contrib:schedule_free_adamw", optax.contrib.schedule_free_eval_params),
        (f"{HERE}lookahead", lambda state, params: state.params),
        ("optax:adabelief", lambda state, params: params),
    ],
)
def test_a_replica_is_measured_at_the_parameters_that_its_optimizer_gives(name, averaged):
    (program,) = programs(comparison({"learning_rate": [0.1, 0.3]}, optimizer=name, options=OPTIMIZERS[name]))
    made, hparams = make_recipe(program), make_hparams(program, program.settings)
    data, ranges = jax.tree.map(jnp.asarray, program.material.data), segment.activation_ranges("relu")
    carry = segment.init_carry(made, 0, hparams, data)
    batch = Batch(train_step.scale(data.probe.x, data.scaling), data.probe.y)
    step = jax.jit(train_step.make_train_step(made))
    for _ in range(7):
        carry = carry._replace(state=step(carry.state, batch, hparams)[0])
    state = carry.state
    wanted = averaged(state.opt_state, state.params)
    found = jax.jit(partial(segment.measure, made, steps_per_epoch=7))(carry, data, hparams, ranges)
    (validation,) = train_step.evaluate(made, wanted, [data.validation], hparams, data.scaling)
    assert float(found["figures"]["validation_loss"]) == pytest.approx(float(validation["loss"]), rel=1e-6)
    field = train_step.predict(made, wanted, train_step.scale(data.grid, data.scaling), hparams)[:, 1]
    np.testing.assert_allclose(found["snapshot"]["field"], field, atol=1e-3)
    observed = train_step.observe(made, state, batch, hparams)
    _, layers = train_step.forward(made, wanted, batch.x, hparams)
    assert_close(observed.layers["hidden_2"].activation, layers["hidden_2"].activation)
    assert observed.params is state.params
    # The averages are other parameters than those that train: the test would notice an evaluation at the latter.
    differs = any(bool(jnp.any(a != b)) for a, b in zip(*map(jax.tree.leaves, (wanted, state.params)), strict=True))
    assert differs == (name != "optax:adabelief")


@pytest.mark.parametrize(
    "name", ["optax:lbfgs", "optax.contrib:schedule_free_adamw", "optax.contrib:muon", f"{HERE}lookahead"]
)
def test_an_optimizer_of_optax_keeps_its_contract(name):
    made = comparison({"optimizer": [name], "learning_rate": [0.1, 0.3]}, options=OPTIMIZERS[name])
    for program in programs(made):
        check_custom_functions(program)


def half(learning_rate):
    return optax.sgd(learning_rate)


half.evaluation_params = lambda state, params: params["output"]


def test_other_parameters_of_another_structure_are_an_error():
    (program,) = programs(comparison({"optimizer": [f"{HERE}half"]}))
    with pytest.raises(ConfigError, match="gives evaluation_params of another structure than the parameters"):
        check_custom_functions(program)
