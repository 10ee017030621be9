"""Options of custom functions: the function's defaults decide which are traced, and what their values may be."""

import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tomli_w
from problems import comparison, programs, train

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.execution.manifest import resolved
from jaxcompare.planning.recipes import check_custom_functions, make_hparams, make_recipe

HERE = f"{__name__}:"


def heavy(learning_rate, *, momentum=0.9, nesterov=False, dtype="float32", repeats=1):
    made = optax.sgd(learning_rate, momentum, nesterov=nesterov, accumulator_dtype=dtype)
    return optax.chain(*[optax.identity()] * (repeats - 1), made)


def focal(logits, labels, *, gamma=2.0, both=False):
    chance = jnp.sum(labels * jax.nn.softmax(logits), axis=-1)
    return (1 - chance) ** gamma * optax.softmax_cross_entropy(logits, labels) * (2 if both else 1)


def bent(x, *, share=0.1):
    return jnp.tanh(x) + share * x


def warm(progress, *, share=0.1, squared=False):
    factor = jnp.minimum(1.0, progress / share)
    return factor**2 if squared else factor


def no_default(learning_rate, beta):
    return optax.sgd(learning_rate, beta)


CUSTOM = {"optimizer": f"{HERE}heavy"}


def planned(grid, **base):
    found = programs(comparison(grid, **base))
    for program in found:
        check_custom_functions(program)
    return found


def test_true_or_false_whole_and_text_split_programs_and_numbers_do_not():
    assert len(planned({"options.momentum": [0.5, 0.9]}, **CUSTOM)) == 1
    for grid in (
        {"options.nesterov": [True, False]},
        {"options.repeats": [1, 2]},
        {"options.dtype": ["float32", "bfloat16"]},
    ):
        assert len(planned(grid, **CUSTOM)) == 2
    both = planned({"options": {"nesterov": [True, False], "momentum": [0.5, 0.9]}}, **CUSTOM)
    assert [[v.settings.options for v in program.variants] for program in both] == [
        [{"nesterov": nesterov, "momentum": momentum} for momentum in (0.5, 0.9)] for nesterov in (True, False)
    ]
    assert [program.optimizer_options for program in both] == [("momentum",)] * 2


@pytest.mark.parametrize(
    ("grid", "base", "reached"),
    [
        ({"loss_options.gamma": [1, 2.5]}, {"loss": f"{HERE}focal"}, lambda hparams: hparams.loss_options["gamma"]),
        (
            {"activation_options.share": [1, 2.5]},
            {"activation": f"{HERE}bent"},
            lambda h: h.activation_options["share"],
        ),
        ({"schedule_options.share": [1, 2.5]}, {"schedule": f"{HERE}warm"}, lambda h: h.schedule_options["share"]),
        ({"options.beta": [1, 2.5]}, {"optimizer": f"{HERE}no_default"}, lambda h: h.optimizer_options["beta"]),
    ],
)
def test_a_number_is_traced_whole_or_not(grid, base, reached):
    (program,) = planned(grid, **base)
    assert [float(reached(make_hparams(program, v.settings))) for v in program.variants] == [1.0, 2.5]


def test_options_reach_their_functions():
    logits, labels = jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 1.0]])
    for program in planned({"loss_options.both": [True, False]}, loss=f"{HERE}focal", loss_options={"gamma": 1}):
        both = program.settings.loss_options["both"]
        found = make_recipe(program).losses[0](logits, labels, gamma=1.0)
        np.testing.assert_allclose(found, focal(logits, labels, gamma=1.0, both=both))


def test_options_change_what_is_trained(quick_compilation):
    grid = {"loss": [f"{HERE}focal"], "loss_options.gamma": [0.0, 3.0], "loss_options.both": [True, False]}
    made = comparison(grid, epochs=1, seeds=1)
    tables = train(made, programs(made)).frames
    rows = tables["replicas"].set_index("replica_id")
    last = tables["history"].query("epoch == 1").set_index("replica_id")["validation_loss"]
    found = {(row["loss_options.gamma"], row["loss_options.both"]): last[name] for name, row in rows.iterrows()}
    assert len(set(found.values())) == 4
    plain = comparison({"loss": ["cross_entropy"]}, epochs=1, seeds=1)
    history = train(plain, programs(plain)).frames["history"].query("epoch == 1")
    assert found[0.0, False] == pytest.approx(history["validation_loss"].iloc[0], rel=1e-4)


def test_an_option_of_the_base_serves_the_functions_that_have_it():
    grid = {"optimizer": ["sgd", "optax:adam", "optax:rmsprop"]}
    found = planned(grid, options={"b1": 0.8, "decay": 0.7})
    assert {p.settings.optimizer: p.settings.options for p in found} == {
        "sgd": {}, "optax:adam": {"b1": 0.8}, "optax:rmsprop": {"decay": 0.7},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("grid", "base", "message"),
    [
        (
            {"options.nesterov": [0.5, 0.1]},
            CUSTOM,
            "options.nesterov = 0.5 is not true or false, as the default False of",
        ),
        ({"options.repeats": [1.5, 2]}, CUSTOM, "options.repeats = 1.5 is not a whole number, as the default 1 of"),
        ({"options.momentum": ["a", "b"]}, CUSTOM, "options.momentum = 'a' is not a number, as the default 0.9 of"),
        ({"options.momentum": [True]}, CUSTOM, "options.momentum = True is not a number"),
        ({"options.dtype": [1.0]}, CUSTOM, "options.dtype = 1.0 is not a text"),
        ({"loss_options.gama": [1, 2]}, {"loss": f"{HERE}focal"}, "has no option 'gama'; did you mean gamma?"),
        (
            {"options.b1": [0.5, 0.6], "optimizer": ["optax:adam", "optax:sgd"]},
            {},
            "optimizer 'optax:sgd' has no option 'b1'",
        ),
        (
            {"optimizer": ["optax:adam"]},
            {"options": {"b3": 1}},
            "optimizer 'optax:adam' has no option 'b3'; did you mean b",
        ),
        (
            {"learning_rate": [0.1]},
            {"loss_options": {"gamma": 1}},
            "base: loss_options.gamma is for a custom loss; cross_entropy",
        ),
        ({"loss_options.gamma": [1, 2]}, {}, "loss_options.gamma is for a custom loss; cross_entropy has no options"),
        ({"options.a": [[1], [2]]}, CUSTOM, "options.a = [1] is not a number, a text, true or false"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(grid, base, message):
    with pytest.raises(ConfigError) as caught:
        planned(grid, **base)
    assert message in str(caught.value)
    assert len(set(str(caught.value).splitlines())) <= 2  # a line a value


def test_a_saved_config_gives_the_same_variants():
    study = {
        "grid": [
            {"optimizer": ["mine:opt"], "options": {"nesterov": [True, False], "b": [1, 2]}},
            {"optimizer": ["sgd"]},
        ],
        "roles": {"options.b": "nuisance"},
    }
    made = parse("tiny", {"base": {"loss": "mine:loss", "loss_options": {"gamma": 1}}, "study": [study]})
    again = parse("tiny", tomllib.loads(tomli_w.dumps(resolved(made))))
    assert [v.variant_id for v in again.studies[0].variants] == [v.variant_id for v in made.studies[0].variants]
    # In a saved config options of built-in optimizers vary too.
    assert made.studies[0].roles.items() <= again.studies[0].roles.items()
