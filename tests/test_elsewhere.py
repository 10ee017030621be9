"""A name that is not built in, and that Optax or JAX has, is suggested with its place."""

import importlib
import subprocess
import sys

import optax
import optax.contrib
import pytest

from jaxcompare.config import elsewhere
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import parse
from jaxcompare.config.registry import resolve


@pytest.mark.parametrize(
    ("kind", "written", "place"),
    [
        ("optimizer", "muon", "optax.contrib:muon"),
        ("optimizer", "lbfgs", "optax:lbfgs"),
        ("optimizer", "LAMB", "optax:lamb"),
        ("optimizer", "schedule-free-adamw", "optax.contrib:schedule_free_adamw"),
        ("optimizer", "adabelif", "optax:adabelief"),
        ("optimizer", "sdg", "sgd"),
        ("loss", "sigmoid_focal_loss", "optax.losses:sigmoid_focal_loss"),
        ("activation", "softplus", "jax.nn:softplus"),
        ("activation", "geluu", "gelu"),
    ],
)
def test_a_wrong_name_is_answered_with_its_place(kind, written, place):
    with pytest.raises(ConfigError) as caught:
        parse("mine", {"base": {kind: written}, "study": [{"grid": {"learning_rate": [0.1, 0.2]}}]})
    assert f"did you mean {place}?" in str(caught.value)


@pytest.mark.parametrize("name", ["optax:muon", "optax.contribs:muon", "muon:muon"])
def test_a_name_in_the_wrong_module_is_answered_with_its_place(name):
    with pytest.raises(ConfigError, match=r"did you mean optax\.contrib:muon\?"):
        resolve(name, {}, "optimizer")


@pytest.mark.parametrize("kind", elsewhere.MODULES)
def test_every_place_is_there(kind):
    places = elsewhere._names(kind).values()
    assert len(places) > 10
    for place in places:
        module, _, attribute = place.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute)), place


def test_every_alias_of_optax_is_known():
    aliases = {name for name in dir(optax) if name in dir(optax._src.alias) and name.islower() and name[0] != "_"}
    functions = {
        name for name in aliases if callable(getattr(optax, name)) and not isinstance(getattr(optax, name), type)
    }
    assert functions
    assert functions <= set(elsewhere._names("optimizer"))


def test_nothing_is_imported_for_a_suggestion():
    code = "import sys; from jaxcompare.config.elsewhere import full_name; print(full_name('optimizer', 'muon'), "
    code += "[name for name in ('jax', 'optax', 'numpy') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "optax.contrib:muon []\n"
