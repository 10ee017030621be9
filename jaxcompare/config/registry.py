"""Names to functions: a module-level dict, or `"package.module:attribute"` for a user's own."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MANY = 24  # names that are still read


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the closest known name, then all of them, or the closest of many.

    >>> nearest("adam_w", ["sgd", "adamw"])
    'did you mean adamw? (known: sgd, adamw)'
    """
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    few = known if len(known) <= MANY else difflib.get_close_matches(str(name), known, n=5, cutoff=0.0)
    everything = f"known: {', '.join(few)}{'' if few is known else ', ...'}"
    return f"did you mean {close[0]}? ({everything})" if close else everything


def is_plugin(name: str) -> bool:
    """Whether `name` points at a user's own function, `"package.module:attribute"`."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def resolve(name: str, registry: Mapping[str, Callable[..., Any]], kind: str) -> Callable[..., Any]:
    """The function called `name`.

    Args:
        name: a key of `registry`, or `"package.module:attribute"`, which is imported.
        registry: the built-in functions.
        kind: what is looked for, in words, for the error.

    Raises:
        ValueError: no such name, module or attribute, or it cannot be called.
    """
    if name in registry:
        return registry[name]
    if not is_plugin(name):
        raise ValueError(f"{kind}: no {name!r}; {nearest(name, registry)}")
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{kind}: cannot import {module_name!r} for {name!r}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{kind}: {module_name!r} has no {attribute!r}; {nearest(part, public(found))}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{kind}: {name!r} is a {type(found).__name__} and cannot be called")
    return found


def public(module: Any) -> list[str]:
    """The names that a module offers."""
    return [name for name in dir(module) if not name.startswith("_")]
