"""Names to functions: a module-level dict, or `"package.module:attribute"` for a user's own function."""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxcompare.config.elsewhere import closest, full_name
from jaxcompare.config.errors import LONGEST, ConfigError
from jaxcompare.config.names import DATA_SOURCES

MANY = 24  # an error lists all known names up to this number, and the closest names beyond


def nearest(name: str, known: Iterable[str], kind: str = "") -> str:
    """Return the end of an error message: the closest known name, then all known names, or the closest of many.

    Args:
        name: that is not known.
        known: the names there are.
        kind: of a custom function: names of Optax and JAX count too.

    Example:
        >>> nearest("adam_w", ["sgd", "adamw"]), nearest("muon", ["sgd", "momentum"], "optimizer")
        ('did you mean adamw? (known: sgd, adamw)', 'did you mean optax.contrib:muon? (known: sgd, momentum)')
    """
    known, name = list(known), str(name)[:LONGEST]
    close = [found] if (found := closest(kind, name, known)) else []
    few = known if len(known) <= MANY else difflib.get_close_matches(name, known, n=5, cutoff=0.0)
    listed = f"known: {', '.join(few)}{'' if few is known else ', ...'}"
    return f"did you mean {close[0]}? ({listed})" if close else listed


def is_plugin(name: str) -> bool:
    """Return whether `name` points at a user's own function, `"package.module:attribute"`; `"sklearn:load_wine"` does not."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and module not in DATA_SOURCES and all(part.isidentifier() for part in parts)


def resolve(
    name: str | Callable[..., Any], registry: Mapping[str, Callable[..., Any]], kind: str
) -> Callable[..., Any]:
    """Return the function called `name`.

    Args:
        name: a key of `registry`, or `"package.module:attribute"`, which is imported. A function is returned as it is.
        registry: the built-in functions.
        kind: the kind of function in words, for the error.

    Raises:
        ConfigError: no such name, module or attribute, the module's own code fails, or the attribute cannot be called.
    """
    if callable(name):
        return name
    if name in registry:
        return registry[name]
    if not is_plugin(name):
        raise ConfigError(f"{kind}: no {name!r}; {nearest(name, registry, kind)}")
    module, _, attribute = name.partition(":")
    try:
        holder = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        hint = f"; did you mean {found}?" if (found := full_name(kind, attribute)) else ""
        raise ConfigError(f"{kind}: cannot import {module!r} for {name!r}: {reason(error)}{hint}") from error
    try:
        function = functools.reduce(getattr, attribute.split("."), holder)
    except AttributeError as error:
        place = full_name(kind, attribute)
        hint = f"did you mean {place}?" if place else nearest(error.name or attribute, public(error.obj))
        raise ConfigError(f"{kind}: {module!r} has no {attribute!r}; {hint}") from error
    if not callable(function):
        raise ConfigError(f"{kind}: {name!r} is a {type(function).__name__} and cannot be called")
    return function


def reason(error: BaseException) -> str:
    r"""Return in one line why a user's code failed.

    >>> reason(SystemExit(3)), reason(ValueError("two\nlines"))
    ('SystemExit: 3', 'ValueError: two lines')
    """
    text = " ".join(str(error).split())
    return text if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: {text}".rstrip(": ")


def public(module: Any) -> list[str]:
    """Return the names that a module offers."""
    return [name for name in dir(module) if not name.startswith("_")]
