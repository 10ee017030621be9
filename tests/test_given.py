"""A function may be given wherever a name may, from Python."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import BASE, blobs, recipe

from jaxcompare.config import given
from jaxcompare.config.errors import ConfigError
from jaxcompare.engine import train_step
from jaxcompare.execution.compare import compare
from jaxcompare.execution.program_cache import ProgramCache

pytestmark = pytest.mark.usefixtures("quick_compilation")
SMALL = {**BASE, "epochs": 1, "seeds": 1}


def bent(x):
    return jnp.tanh(x) + 0.1 * x


def scaled(share):
    return lambda x: jnp.tanh(x) + share * x


def test_a_recipe_of_functions_is_that_of_their_names():
    batch, hparams = blobs(), train_step.make_hparams(0.1, total_steps=10)
    states = []
    for made in (
        recipe(
            optimizer=optax.adabelief, loss=optax.softmax_cross_entropy, activation=(jnp.tanh, bent), schedule=jnp.cos
        ),
        recipe(
            optimizer="optax:adabelief",
            loss="optax:softmax_cross_entropy",
            activation=["jax.numpy:tanh", f"{__name__}:bent"],
            schedule="jax.numpy:cos",
        ),
    ):
        state = train_step.init_state(jax.random.key(0), made, hparams, batch.x)
        states.append(jax.jit(train_step.make_train_step(made))(state, batch, hparams)[0].params)
    jax.tree.map(np.testing.assert_array_equal, *states)


def losses_of(tables):
    """The validation loss of each replica after training, in the order of the variants."""
    history = tables["history"]
    last = history[history["epoch"] == history["epoch"].max()].set_index("replica_id")["validation_loss"]
    return last[tables["replicas"]["replica_id"]].to_numpy()


def study(**grid):
    return [{"grid": grid}]


def test_a_comparison_of_functions_is_that_of_their_names():
    grid = {"activation": ["tanh", bent], "optimizer": [optax.adabelief, "sgd"]}
    by_name = {"activation": ["tanh", f"{__name__}:bent"], "optimizer": ["optax._src.alias:adabelief", "sgd"]}
    found, wanted = (compare({"base": SMALL, "study": study(**each)}) for each in (grid, by_name))
    assert list(found["replicas"]["activation"]) == list(wanted["replicas"]["activation"])
    np.testing.assert_array_equal(losses_of(found), losses_of(wanted))


def test_functions_without_a_name_are_told_from_each_other_and_forgotten():
    functions = [scaled(0.1), scaled(0.5), partial(jax.nn.leaky_relu, negative_slope=0.2), lambda x: jnp.sin(x)]
    tables = compare({"base": SMALL, "study": study(activation=functions)})
    names = ["function", "function_2", "leaky_relu", "function_3"]
    assert list(tables["replicas"]["activation"]) == [f"{given.MODULE}:{name}" for name in names]
    assert len(set(losses_of(tables))) == 4
    assert given.MODULE not in sys.modules


def test_a_function_that_was_defined_again_is_compiled_again(monkeypatch):
    """As in a notebook, whose cells define one name again and again."""
    notebook, programs, losses = ModuleType("notebook_of_this_test"), ProgramCache(), []
    monkeypatch.setitem(sys.modules, notebook.__name__, notebook)
    for share in (0.1, 0.5, 0.1):
        exec(f"import jax.numpy as jnp\ndef f(x):\n    return jnp.tanh(x) + {share} * x", notebook.__dict__)
        base = {**SMALL, "activation": f"{notebook.__name__}:f"}
        tables = compare({"base": base, "study": study(optimizer=["sgd"])}, programs=programs)
        losses.append(losses_of(tables)[0])
    assert losses[0] == losses[2] != losses[1]


def test_a_function_that_other_processes_cannot_import_is_an_error():
    with ThreadPoolExecutor() as executor, pytest.raises(ConfigError) as caught:
        compare({"base": SMALL, "study": study(activation=[scaled(0.1)])}, executor=executor)
    assert "activation = 'jaxcompare_given:function' has no name by which an executor's processes" in str(caught.value)


def test_a_function_where_none_may_be_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match=rf"base.learning_rate = '{__name__}:bent' is not a number"):
        compare({"base": {**SMALL, "learning_rate": bent}, "study": study(optimizer=["sgd"])})
