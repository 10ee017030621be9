"""Check the values of settings and fill in defaults. Standard library only."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.comparison import as_trained
from jaxcompare.config.errors import ConfigError, every, shown
from jaxcompare.config.limits import MOST_STEPS
from jaxcompare.config.registry import is_plugin, nearest
from jaxcompare.config.settings import AUTO, KEYS, OPTION_TABLES, OPTIONS, Settings, is_option

COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
ANY_NUMBER = {"low": -math.inf, "high": math.inf}
LEAST, MOST = 2.0**-126, 2.0**128 - 2.0**104  # the ends of float32; smaller numbers are computed as 0


def check_value(key: str, value: Any, where: str, given: Mapping[str, Collection[str]] = {}) -> Any:
    """Return `value` in the key's own type.

    Args:
        key: a key of `KEYS`, or `options.NAME`.
        value: as the config has it.
        where: the table, for the error.
        given: key -> names that are valid beside the built-in ones.

    Raises:
        ConfigError: an unknown key, a wrong type, an unknown name, or a number out of range.
    """
    if is_option(key):
        return _check_option(key, value, where)
    if key not in KEYS:
        raise ConfigError(f"{where}: no key {shown(key)}; {nearest(key, KEYS)}")
    rule = KEYS[key].metadata
    kind = rule["kind"]
    if kind is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{where}.{key} = {shown(value)} is not a table{'' if rule.get('any') else ' of options'}"
            )
        if rule.get("any"):
            return dict(
                zip(value, every(lambda name: _check_any(f"{key}.{name}", value[name], where), value), strict=True)
            )
        checked = every(lambda name: check_value(f"{key}.{name}", value[name], where), value)
        return dict(zip(value, checked, strict=True))
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value:  # diagnostics need at least one hidden layer
            raise ConfigError(
                f"{where}.{key} = {shown(value)} is not a list of at least one whole number, [256, 128] for example"
            )
        if len(value) > rule["longest"]:
            raise ConfigError(f"{where}.{key} has {len(value)} layers; it must have at most {rule['longest']}")
        return tuple(every(lambda number: _check_number(key, number, int, rule, where), value))
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}.{key} = {shown(value)} is neither true nor false")
        return value
    if kind is str:
        return _check_name(key, value, rule, where, given.get(key, ()))
    return _check_number(key, value, kind, rule, where)


def _check_any(key: str, value: Any, where: str) -> Any:
    """Return a text, a number, true, false, or a list of these."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | bool | int | float) or one != one or one in (math.inf, -math.inf):
            raise ConfigError(
                f"{where}.{key} = {shown(value)} is not a text, a finite number, true, false or a list of these"
            )
    return value


def _check_option(key: str, value: Any, where: str) -> Any:
    """Return an option of a custom function as it is: a number, a text, true or false."""
    if isinstance(value, bool | str):
        return value
    if not isinstance(value, int | float):
        raise ConfigError(f"{where}.{key} = {shown(value)} is not a number, a text, true or false")
    checked = _check_number(key, value, float, ANY_NUMBER, where)
    return value if isinstance(value, int) else checked


def _check_name(key: str, value: Any, rule: Mapping[str, Any], where: str, given: Collection[str]) -> str:
    choices = (*rule["choices"], *given)
    if not isinstance(value, str):
        raise ConfigError(f"{where}.{key} = {shown(value)} is not a name; {nearest(str(value), choices)}")
    if value in choices or (rule["plugin"] and is_plugin(value)):
        return value
    source, colon, rest = value.partition(":")
    if colon and source in rule["sources"]:
        return _check_source(key, value, rest.strip(), rule["sources"][source][0], where)
    forms = ['"package.module:attribute"', *(f'"{word}:{rest}"' for word, (rest, _) in rule["sources"].items())]
    custom = f", or {' or '.join(forms)} for your own" if rule["plugin"] else ""
    raise ConfigError(
        f"{where}.{key} = {shown(value)}: no {key} {shown(value)}; {nearest(value, choices, key)}{custom}"
    )


def _check_source(key: str, value: str, rest: str, form: str, where: str) -> str:
    """Return `"csv:FILE"` and the like, where a name of a file or data set follows the colon."""
    if not rest or any(sign < " " for sign in rest):
        raise ConfigError(f"{where}.{key} = {shown(value)}: no {form} after the colon")
    if value.startswith("sklearn:") and rest not in names.SKLEARN_SETS:
        raise ConfigError(
            f"{where}.{key} = {shown(value)}: scikit-learn includes no such set with classes; "
            f"{nearest(rest, names.SKLEARN_SETS)}"
        )
    return value


def _check_number(key: str, value: Any, kind: Any, rule: Mapping[str, Any], where: str) -> Any:
    whole, words = kind is int, rule.get("words", {})
    if isinstance(value, str) and value in words:
        return words[value]
    if isinstance(value, str) and value in ("inf", "-inf"):  # JSON has no infinity: a manifest has this text
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        comma = "; write a point, not a comma" if COMMA.fullmatch(str(value)) and not whole else ""
        raise ConfigError(
            f"{where}.{key} = {shown(value)} is not a {'whole ' if whole else ''}number{_or(words)}{comma}"
        )
    low, high = rule["low"], rule["high"]
    given, value = value, value if whole else _in_float32(key, value, where)
    trained = as_trained(value)  # 0.99999999 trains as 1
    below = trained <= low if rule.get("open_low") else trained < low
    above = trained >= high if rule.get("open_high") else trained > high
    unordered = trained != trained  # NaN; math.isnan overflows for a long whole number
    if unordered or below or above:
        rounded = "" if trained == value or unordered else f", {trained:g} in float32,"
        raise ConfigError(
            f"{where}.{key} = {shown(given)}{rounded} is out of range; it must be {_range(rule)}{_or(words)}"
        )
    return value


def _in_float32(key: str, number: float, where: str) -> float:
    """Return a number that float32, in which is trained, can hold; -0.0 becomes 0.0.

    Raises:
        ConfigError: a number that would be infinite or zero.
    """
    if number in (0, math.inf, -math.inf) or number != number or LEAST <= abs(number) <= MOST:
        return float(number) + 0.0
    raise ConfigError(
        f"{where}.{key} = {shown(number)} is not a number of float32, from {LEAST:.2g} to {MOST:.2g} or 0"
    )


def _or(words: Iterable[str]) -> str:
    return "".join(f', or "{word}"' for word in words)


def _range(rule: Mapping[str, Any]) -> str:
    bounds = []
    if rule["low"] > -math.inf:
        bounds.append(f"{'greater than' if rule.get('open_low') else 'at least'} {rule['low']}")
    if rule["high"] < math.inf:
        bounds.append(f"{'less than' if rule.get('open_high') else 'at most'} {rule['high']}")
    return " and ".join(bounds) or "a number"


def resolve_defaults(given: Mapping[str, Any], varied: Iterable[str], where: str) -> Settings:
    """Return settings with every default filled in; options that a choice lacks become None.

    Args:
        given: key -> checked value, of base and grid together.
        varied: the keys of the grid. An option in [base] serves the choices that have it; a varied option must have an effect.
        where: the study, for the error.

    Raises:
        ConfigError: a varied option without an effect, or settings that contradict each other.
    """
    values = {key: value for key, value in given.items() if not is_option(key)}
    for key, value in given.items():
        if is_option(key):
            table, _, name = key.partition(".")
            values[table] = {**values.get(table, {}), name: value}
    settings = Settings(**values)
    settings = dataclasses.replace(settings, **_options(settings, varied, where))
    _check_init(settings, varied, where)
    settings = _custom_options(settings, varied, where)
    if settings.data_options:
        settings = dataclasses.replace(settings, data_options=_data_options(settings, varied, where))
    _check_images(settings, where)
    _check_scaling(settings, where)
    _check_micro_batches(settings, where)
    _check_steps(settings, where)
    return settings


def _options(settings: Settings, varied: Iterable[str], where: str) -> dict[str, Any]:
    """Return the options of the built-in optimizer, schedule, data set, model and precision, defaults filled in.

    Raises:
        ConfigError: a varied option that the choice lacks.
    """
    chosen: dict[str, Any] = {}
    for kind, (members, option_keys) in OPTIONS.items():
        name = getattr(settings, kind)
        if name not in members:
            continue  # a custom choice: its options are known once it is imported
        for key in option_keys:
            value = getattr(settings, key)
            if key in members[name]:
                chosen[key] = members[name][key] if value is None else value
            elif value is not None and key in varied:
                raise ConfigError(
                    f"{where}: {key} = {value} has no effect on {kind} {name!r}; give it a separate [[study.grid]]"
                )
            else:
                chosen[key] = None
    return chosen


def _check_init(settings: Settings, varied: Iterable[str], where: str) -> None:
    if "init_scale" in varied and settings.init != "truncated_normal":
        raise ConfigError(f"{where}: init_scale = {settings.init_scale} has no effect on init {settings.init!r}")


def _custom_options(settings: Settings, varied: Iterable[str], where: str) -> Settings:
    """Return settings without the tables of options for custom functions, where the choice is a built-in one.

    Raises:
        ConfigError: an option of such a table varies.
    """
    unused: dict[str, Any] = {}
    for kind, table in OPTION_TABLES.items():
        name = getattr(settings, kind)
        if is_plugin(name):
            continue
        unused[table] = {}
        for key in varied:
            if key.startswith(f"{table}."):
                raise ConfigError(f"{where}: {custom_only(kind, name, key)}")
    return dataclasses.replace(settings, **unused)


def custom_only(kind: str, name: str, key: str) -> str:
    """Say that an option is for a custom function, and which keys a built-in one has."""
    option = key.partition(".")[2]
    members = OPTIONS[kind][0][name] if kind in OPTIONS else {}
    known = f"the options of {name} are keys: {nearest(option, members)}" if members else f"{name} has no options"
    return f"{key} is for a custom {kind}; {known}"


def _data_options(settings: Settings, varied: Iterable[str], where: str) -> dict[str, Any]:
    """Return the options of a custom data set; none where a built-in set is a level beside it.

    Raises:
        ConfigError: options of a built-in set, or one that the source lacks.
    """
    if settings.dataset in names.DATASETS:
        if "dataset" in varied:
            return {}
        raise ConfigError(
            f"{where}: data_options.{next(iter(settings.data_options))} is for a custom data set; the options of "
            f"{settings.dataset} are keys: {', '.join(names.DATASETS[settings.dataset]) or 'it has none'}"
        )
    if not is_plugin(settings.dataset):  # the arguments of a function are known once it is imported
        _, known = names.DATA_SOURCES.get(settings.dataset.partition(":")[0], ("", ()))
        for name in settings.data_options:
            if name not in known:
                raise ConfigError(
                    f"{where}: data_options.{name} has no effect on dataset {shown(settings.dataset)}; "
                    f"{nearest(name, known) if known else 'it has no options'}"
                )
    return settings.data_options


def _check_images(settings: Settings, where: str) -> None:
    """Raise ConfigError for a cnn on data that are no images, or on images too small for its poolings.

    The shape of custom data is known once they are loaded: `planning` checks it.
    """
    if settings.channels is None or settings.dataset not in names.DATASETS:
        return
    if settings.dataset not in names.IMAGES:
        raise ConfigError(
            f"{where}: model {settings.model!r} needs images, and dataset {settings.dataset!r} has none; "
            f"{nearest(settings.dataset, names.IMAGES)}"
        )
    side = names.IMAGES[settings.dataset]
    if side >> len(settings.channels) == 0:
        raise ConfigError(
            f"{where}: channels = {list(settings.channels)} halves an image {len(settings.channels)} times, and images of "
            f"{settings.dataset} are {side} by {side}; it must be at most {side.bit_length() - 1} long"
        )


def _check_scaling(settings: Settings, where: str) -> None:
    """Raise ConfigError for a loss scale that starts below its floor."""
    initial, floor = settings.loss_scale_initial, settings.loss_scale_floor
    if initial is not None and floor is not None and initial < floor:
        raise ConfigError(f"{where}: loss_scale_initial = {initial:g} is below loss_scale_floor = {floor:g}; raise it")


def _check_micro_batches(settings: Settings, where: str) -> None:
    count = settings.micro_batches
    if settings.batch_size == AUTO and count & (count - 1):
        raise ConfigError(f'{where}: micro_batches = {count} is not a power of two, as batch_size = "auto" will be')
    if settings.batch_size % count:
        raise ConfigError(
            f"{where}: micro_batches = {count} does not divide batch_size = {settings.batch_size} into equal parts"
        )


def _check_steps(settings: Settings, where: str) -> None:
    """Raise ConfigError for more steps than an int32 can count; `planning` counts the steps of custom data."""
    if settings.dataset not in names.DATASETS:
        return
    examples = settings.samples or names.EXAMPLES[settings.dataset]
    steps = settings.epochs * -(-examples // max(settings.batch_size, 1))
    if settings.batch_size != AUTO and steps > MOST_STEPS:
        raise ConfigError(
            f"{where}: epochs = {settings.epochs} with batch_size = {settings.batch_size} and {examples} examples of "
            f"{settings.dataset} are {steps} steps; it must be at most {MOST_STEPS}"
        )
