"""Functions in a config made in Python: each gets a name, by which it is found while the config trains.

Standard library only.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

MODULE = "jaxcompare_given"  # in `sys.modules` only while a config with such functions trains
_LOCK = threading.Lock()


@contextmanager
def named(config: Mapping[str, Any]) -> Iterator[Any]:
    """Give the config with a name, `"module:attribute"`, in place of each function, until the block ends.

    A function that its module has under its own name keeps that name, `"__main__:f"` in a notebook. Every other function (a
    lambda, a closure, a partial) is an attribute of a module of this call.

    >>> with named({"base": {"activation": abs, "loss": lambda logits, labels: 0.0}}) as config:
    ...     config["base"]
    {'activation': 'builtins:abs', 'loss': 'jaxcompare_given:function'}
    """
    mine: dict[str, Any] = {}

    def name_of(function: Any) -> str:
        module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if module in sys.modules and _at(sys.modules[module], path) is function:
            return f"{module}:{path}"
        return f"{MODULE}:{_kept(function, mine)}"

    try:
        yield _replaced(config, name_of)
    finally:
        with _LOCK:
            for name in mine:
                delattr(sys.modules[MODULE], name)
            if MODULE in sys.modules and not _names(sys.modules[MODULE]):
                del sys.modules[MODULE]


def is_given(name: Any) -> bool:
    """Return whether a name is that of a function which this process alone can find."""
    return isinstance(name, str) and name.startswith(f"{MODULE}:")


def _at(module: ModuleType, path: str) -> Any:
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError:  # a lambda, or a function inside a function
        return None


def _kept(function: Any, mine: dict[str, Any]) -> str:
    """Return the attribute by which the module has a function; a second function of one name gets a number."""
    for name, other in mine.items():
        if other is function:
            return name
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    given = getattr(inner, "__name__", type(inner).__name__)
    stem = given if given.isidentifier() else "function"
    with _LOCK:
        module = sys.modules.setdefault(MODULE, ModuleType(MODULE))
        name, number = stem, 1
        while name in _names(module):
            number += 1
            name = f"{stem}_{number}"
        setattr(module, name, function)
        mine[name] = function
    return name


def _names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("__")]


def _replaced(value: Any, name_of: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(part, name_of) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(part, name_of) for part in value]
    return name_of(value) if callable(value) else value
