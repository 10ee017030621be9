"""Options of custom functions: the default in a function's signature decides an option's type, and whether it is traced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxcompare.components import optimizers
from jaxcompare.config.comparison import Study, Variant
from jaxcompare.config.errors import ConfigError, every, shown
from jaxcompare.config.registry import is_plugin, nearest, resolve
from jaxcompare.config.settings import OPTION_TABLES, Settings

ARGUMENTS = {"loss": 2}  # of a function before its options; of the other kinds 1
KINDS = {bool: "true or false", int: "a whole number", str: "a text", float: "a number"}


def typed(comparison: str, study: Study) -> Study:
    """Return a study whose variants have the options that their functions take, in the functions' types.

    An option in a base serves the functions that have it.

    Raises:
        ConfigError: an option that no function of the study has, one that varies where the function lacks it, or a value of
            another type than the function's default.
    """
    settings = [variant.settings for variant in study.variants]
    if not any(getattr(one, table) for one in settings for table in OPTION_TABLES.values()):
        return study
    taken = {kind: _taken(kind, settings) for kind in OPTION_TABLES}
    where = f"{comparison}: study {study.name!r}"

    def check(variant: Variant) -> Variant:
        tables: dict[str, Any] = {
            table: _typed(
                kind,
                getattr(variant.settings, kind),
                getattr(variant.settings, table),
                taken[kind],
                study.varied,
                where,
            )
            for kind, table in OPTION_TABLES.items()
        }
        return replace(variant, settings=replace(variant.settings, **tables))

    return replace(study, variants=tuple(every(check, study.variants)))


def static(settings: Settings, kind: str) -> dict[str, Any]:
    """Return the typed options of a kind that are part of the compiled program: those that are true or false, whole or text."""
    return {key: value for key, value in getattr(settings, OPTION_TABLES[kind]).items() if not isinstance(value, float)}


def traced(settings: Settings, kind: str) -> tuple[str, ...]:
    """Return the names of the typed options of a kind that are arguments of the compiled program."""
    return tuple(key for key, value in getattr(settings, OPTION_TABLES[kind]).items() if isinstance(value, float))


def _taken(kind: str, settings: Sequence[Settings]) -> dict[str, Mapping[str, Any] | None]:
    """Return the options of each custom function of a kind with their defaults; None: the function takes any."""
    names = dict.fromkeys(name for one in settings if is_plugin(name := getattr(one, kind)))
    return {name: optimizers.defaults_of(resolve(name, {}, kind), ARGUMENTS.get(kind, 1)) for name in names}


def _typed(
    kind: str,
    name: str,
    given: Mapping[str, Any],
    taken: Mapping[str, Mapping[str, Any] | None],
    varied: Iterable[str],
    where: str,
) -> dict[str, Any]:
    table, found = OPTION_TABLES[kind], {}
    for option, value in given.items():
        defaults, key = taken[name], f"{table}.{option}"
        if defaults is None or option in defaults:
            found[option] = _in_type(value, (defaults or {}).get(option), f"{where}: {key}", f"{kind} {name!r}")
        elif key in varied or not any(other is None or option in other for other in taken.values()):
            raise ConfigError(f"{where}: {kind} {name!r} has no option {option!r}; {nearest(option, defaults)}")
    return found


def _in_type(value: Any, default: Any, key: str, function: str) -> Any:
    """Return a value in the type of an option's default; without a default a number is traced, whole or not.

    Raises:
        ConfigError: the default has another type.
    """
    kind = type(default)
    if kind not in KINDS:  # no default, or None, or an array
        return (
            float(value)
            if isinstance(value, float) or (isinstance(value, int) and default is optimizers.NEEDED)
            else value
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and value == int(value):
        return int(value)
    if kind is type(value):
        return value
    raise ConfigError(f"{key} = {shown(value)} is not {KINDS[kind]}, as the default {default!r} of {function} is")
