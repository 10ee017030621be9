"""Names to functions: a module-level dict, or `"package.module:attribute"` for a user's own function."""

from __future__ import annotations

import difflib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MANY = 24  # an error lists all known names up to this number, and the closest names beyond


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the closest known name, then all known names, or the closest of many.

    >>> nearest("adam_w", ["sgd", "adamw"])
    'did you mean adamw? (known: sgd, adamw)'
    """
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    few = known if len(known) <= MANY else difflib.get_close_matches(str(name), known, n=5, cutoff=0.0)
    listed = f"known: {', '.join(few)}{'' if few is known else ', ...'}"
    return f"did you mean {close[0]}? ({listed})" if close else listed


def is_plugin(name: str) -> bool:
    """Return whether `name` points at a user's own function, `"package.module:attribute"`."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def resolve(name: str, registry: Mapping[str, Callable[..., Any]], kind: str) -> Callable[..., Any]:
    """Return the function called `name`.

    Args:
        name: a key of `registry`, or `"package.module:attribute"`, which is imported.
        registry: the built-in functions.
        kind: the kind of function in words, for the error.

    Raises:
        ValueError: no such name, module or attribute, or the attribute cannot be called.
    """
    if name in registry:
        return registry[name]
    if not is_plugin(name):
        raise ValueError(f"{kind}: no {name!r}; {nearest(name, registry)}")
    module, _, attribute = name.partition(":")
    try:
        function = pkgutil.resolve_name(name)
    except ImportError as error:
        raise ValueError(f"{kind}: cannot import {module!r} for {name!r}: {error}") from error
    except AttributeError as error:
        if module not in sys.modules:  # the module's own code failed
            raise
        raise ValueError(
            f"{kind}: {module!r} has no {attribute!r}; {nearest(error.name or attribute, public(error.obj))}"
        ) from error
    if not callable(function):
        raise ValueError(f"{kind}: {name!r} is a {type(function).__name__} and cannot be called")
    return function


def public(module: Any) -> list[str]:
    """Return the names that a module offers."""
    return [name for name in dir(module) if not name.startswith("_")]
