"""Which training choice is better, by how much, and why? Honest comparisons, trained as one vmapped JAX program.

Where to begin:

- `compare(config)` trains a whole comparison and returns its tables; `python -m jaxcompare.run` does the same with files.
- `make_recipe`, `make_hparams`, `init_state` and `make_train_step` train one replica, as pure functions.
- `make_step`, `init_states` and `stack_hparams` train many replicas (seeds x variants) in one jitted step.
- `observe` and the functions of `diagnostics` measure what happens inside a network.
- `mlp` and `cnn` are networks; a `Model` makes one from two pure functions.

Every name is imported at its first use, so that `import jaxcompare` takes milliseconds.
"""

# ruff: noqa: F401 - the names of __all__, for type checkers; __getattr__ imports them

import importlib
from typing import TYPE_CHECKING, Any

from jaxcompare.system import current_folder

current_folder.leave_out(
    __name__, __file__
)  # of a command alone; a program that imports the package keeps its own path

if TYPE_CHECKING:
    from jaxcompare import diagnostics
    from jaxcompare.components.models import Model, cnn, mlp
    from jaxcompare.config.errors import ConfigError, InputError
    from jaxcompare.data.base import DataError
    from jaxcompare.engine.sweep import init_states, make_step, stack_hparams
    from jaxcompare.engine.train_step import (
        Recipe,
        evaluate,
        evaluation_params,
        init_state,
        make_hparams,
        make_recipe,
        make_train_step,
        observe,
        predict,
    )
    from jaxcompare.execution.compare import compare
    from jaxcompare.execution.places import local_places
    from jaxcompare.execution.program_cache import ProgramCache
    from jaxcompare.types import Batch, Hparams, Layer, Observation, TrainState

__version__ = "0.1.0"

_WHERE = {
    "components.models": ("Model", "cnn", "mlp"),
    "config.errors": ("ConfigError", "InputError"),
    "data.base": ("DataError",),
    "engine.sweep": ("init_states", "make_step", "stack_hparams"),
    "engine.train_step": (
        *("Recipe", "evaluate", "evaluation_params", "init_state", "make_hparams", "make_recipe"),
        *("make_train_step", "observe", "predict"),
    ),
    "execution.compare": ("compare",),
    "execution.places": ("local_places",),
    "execution.program_cache": ("ProgramCache",),
    "types": ("Batch", "Hparams", "Layer", "Observation", "TrainState"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(["diagnostics", *_MODULE_OF])


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "diagnostics":
        return importlib.import_module("jaxcompare.diagnostics")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'jaxcompare' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"jaxcompare.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
