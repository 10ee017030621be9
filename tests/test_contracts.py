"""What a custom loss, activation, schedule or optimizer must give is checked before any training, and named in one line."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest
from problems import comparison, programs

from jaxcompare.config.errors import ConfigError
from jaxcompare.planning.recipes import check_custom_functions


def mean_loss(logits, labels):
    return jnp.mean(optax.softmax_cross_entropy(logits, labels))


def class_loss(logits, labels):
    return jnp.mean((logits - labels) ** 2, axis=0)


def whole_loss(logits, labels):
    return jnp.argmax(logits, axis=-1) - jnp.argmax(labels, axis=-1)


def pair_loss(logits, labels):
    return optax.softmax_cross_entropy(logits, labels), logits


def glu(x):
    return x[..., ::2]


def upcast(x):
    return x.astype(jnp.float32)


decay = optax.cosine_decay_schedule(1.0, 1000)


def counted(step):
    return 0.99**step


def needs_floor(progress, *, floor):
    return jnp.maximum(1 - progress, floor)


def two_factors(progress):
    return jnp.stack([progress, progress])


def not_an_optimizer(learning_rate):
    return learning_rate


def flat(learning_rate):
    def update(gradients, state, params=None):
        return jax.flatten_util.ravel_pytree(gradients)[0], state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def transposed(learning_rate):
    return optax.stateless(lambda gradients, params: jax.tree.map(jnp.transpose, gradients))


class Count(NamedTuple):
    value: jax.Array


def restless(learning_rate):
    return optax.GradientTransformation(
        lambda params: Count(jnp.zeros((), jnp.int32)), lambda g, state, params=None: (g, Count(state.value + 0.5))
    )


def growing(learning_rate):
    return optax.GradientTransformation(lambda params: (), lambda g, state, params=None: (g, (*state, 1)))


def needs_beta(learning_rate, beta):
    return optax.sgd(learning_rate, beta)


def any_option(learning_rate, **options):
    return optax.adam(learning_rate, **options)


def check(**base):
    for program in programs(comparison({"learning_rate": [0.1, 0.3]}, **base)):
        check_custom_functions(program)


HERE = f"{__name__}:"
BAD = {
    "loss": {
        "mean_loss": "gives float32 [] for 5 examples of 2 classes; it must give a number for each example, [5]; leave out",
        "class_loss": "gives float32 [2] for 5 examples",
        "whole_loss": "gives int32 [5]",
        "pair_loss": "gives a tuple",
        "optax:sigmoid_binary_cross_entropy": "gives float32 [5, 2] for 5 examples of 2 classes; it must give a number for each"
        " example, [5]; take the mean or sum over the classes",
    },
    "activation": {
        "glu": "gives float32 [11, 4] for float32 [11, 8]; it must be elementwise",
        "jax.numpy:sum": "gives float32 [] for float32 [11, 8]",
    },
    "schedule": {
        "decay": "expects a count of steps",
        "counted": "expects a count of steps",
        "two_factors": "gives float32 [2] for a progress []",
        "optax:cosine_decay_schedule": "expects a count of steps",
        "needs_floor": "needs its option 'floor'",
        "optax:constant_schedule": "expects a count of steps",
    },
    "optimizer": {
        "not_an_optimizer": "it must give an optax.GradientTransformation",
        "flat": "gives updates of another structure than the parameters",
        "transposed": "gives updates float32 [8, 2] at 'hidden_1.kernel'; it must be float32 [2, 8]",
        "restless": "gives state float32 [] at 'value'; it must be int32 []",
        "growing": "gives state of another structure",
        "needs_beta": "needs its option 'beta'",
    },
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in BAD.items() for name in names])
def test_a_function_that_breaks_its_contract_is_one_line_before_training(kind, name):
    full = name if ":" in name else HERE + name
    with pytest.raises(ConfigError) as caught:
        check(**{kind: full})
    message = str(caught.value)
    assert "\n" not in message
    assert BAD[kind][name] in message
    assert kind in message
    assert repr(full) in message


def test_an_activation_keeps_the_type_that_the_network_computes_in():
    check(activation=f"{HERE}upcast")
    with pytest.raises(ConfigError, match=r"gives float32 \[11, 8\] for bfloat16 \[11, 8\]"):
        check(activation=f"{HERE}upcast", precision="bfloat16")


def test_each_function_that_breaks_its_contract_has_its_line():
    with pytest.raises(ConfigError) as caught:
        check(loss=f"{HERE}mean_loss", activation=f"{HERE}glu", optimizer=f"{HERE}transposed")
    lines = str(caught.value).splitlines()
    assert [kind in line for kind, line in zip(("loss", "activation", "optimizer"), lines, strict=True)] == [True] * 3


def test_an_unknown_option_names_those_there_are():
    with pytest.raises(ConfigError, match=r"optimizer 'optax:nadam' has no option 'b3'; did you mean b2\?"):
        check(optimizer="optax:nadam", options={"b3": 0.5})


@pytest.mark.parametrize(
    "base",
    [
        {"loss": "optax:softmax_cross_entropy", "precision": "bfloat16"},
        {"loss": "optax.losses:poly_loss_cross_entropy"},
        {"activation": "jax.nn:hard_swish"},
        {"activation": "jax.nn:relu6", "precision": "float16"},
        {"schedule": "jax.numpy:cos"},
        {"optimizer": "optax:adabelief", "options": {"b1": 0.8}},
        {"optimizer": f"{HERE}any_option", "options": {"b1": 0.8}},
    ],
)
def test_a_function_that_keeps_its_contract_passes(base):
    check(**base)
