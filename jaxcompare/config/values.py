"""Values of settings: each one checked, and what a config leaves out filled in. Standard library only."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import is_plugin, nearest
from jaxcompare.config.settings import AUTO, KEYS, OPTIONS, Settings


def check_value(key: str, value: Any, where: str) -> Any:
    """`value` as the key's own type.

    Raises:
        ConfigError: an unknown key, a wrong type, a name that there is not, or a number out of range.
    """
    if key.startswith("options."):
        return _check_number(key, value, float, {"low": -math.inf, "high": math.inf}, where)
    if key not in KEYS:
        raise ConfigError(f"{where}: no key {key!r}; {nearest(key, KEYS)}")
    rule = KEYS[key].metadata
    kind = rule["kind"]
    if kind is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: {key} = {value!r} is not a table of numbers")
        return {name: check_value(f"{key}.{name}", number, where) for name, number in value.items()}
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value:  # a network without hidden layers has nothing to look into
            raise ConfigError(f"{where}: {key} = {value!r} is not a list of at least one whole number, [256, 128] say")
        return tuple(_check_number(key, number, int, rule, where) for number in value)
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: {key} = {value!r} is neither true nor false")
        return value
    if kind is str:
        return _check_name(key, value, rule, where)
    return _check_number(key, value, kind, rule, where)


def _check_name(key: str, value: Any, rule: Mapping[str, Any], where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} = {value!r} is not a name; {nearest(str(value), rule['choices'])}")
    if value in rule["choices"] or (rule["plugin"] and is_plugin(value)):
        return value
    own = ', or "package.module:attribute" for one of your own' if rule["plugin"] else ""
    raise ConfigError(f"{where}: no {key} {value!r}; {nearest(value, rule['choices'])}{own}")


def _check_number(key: str, value: Any, kind: Any, rule: Mapping[str, Any], where: str) -> Any:
    whole, words = kind is int, rule.get("words", {})
    if isinstance(value, str) and value in words:
        return words[value]
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ConfigError(f"{where}: {key} = {value!r} is not a {'whole ' if whole else ''}number{_or(words)}")
    low, high = rule["low"], rule["high"]
    below = value <= low if rule.get("open_low") else value < low
    above = value >= high if rule.get("open_high") else value > high
    if math.isnan(value) or below or above:
        raise ConfigError(f"{where}: {key} = {value} is out of range; it must be {_range(rule)}{_or(words)}")
    return kind(value)


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
    """Settings with every default filled in, and the options that this optimizer, schedule or data set lacks left out.

    Args:
        given: checked values by key, base and grid together.
        varied: the keys of the grid. An option in [base] serves those that have it; one that is varied must have an effect.
        where: for the error.

    Raises:
        ConfigError: a varied option that has no effect.
    """
    values = {key: value for key, value in given.items() if not key.startswith("options.")}
    own = {key.removeprefix("options."): value for key, value in given.items() if key.startswith("options.")}
    values["options"] = {**values.get("options", {}), **own}
    settings = Settings(**values)
    chosen: dict[str, Any] = {}
    for kind, (registered, option_keys) in OPTIONS.items():
        name = getattr(settings, kind)
        if name not in registered:
            continue  # a user's own: what it takes is known once it is imported
        for key in option_keys:
            value = getattr(settings, key)
            if key in registered[name]:
                chosen[key] = registered[name][key] if value is None else value
            elif value is not None and key in varied:
                raise ConfigError(
                    f"{where}: {key} = {value} has no effect on {kind} {name!r}; give it a [[study.grid]] of its own"
                )
            else:
                chosen[key] = None
    if "init_scale" in varied and settings.init != "truncated_normal":
        raise ConfigError(f"{where}: init_scale = {settings.init_scale} has no effect on init {settings.init!r}")
    if settings.options and settings.optimizer in names.OPTIMIZERS:
        known = names.OPTIMIZERS[settings.optimizer]
        option = next(iter(settings.options))
        raise ConfigError(
            f"{where}: options.{option} is for an optimizer of your own; {settings.optimizer}'s are keys: "
            f"{nearest(option, known)}"
        )
    settings = dataclasses.replace(settings, **chosen)
    _check_images(settings, where)
    _check_scaling(settings, where)
    _check_micro_batches(settings, where)
    return settings


def _check_images(settings: Settings, where: str) -> None:
    """Raises ConfigError for a cnn on data that are no images, or that are too small for its poolings."""
    if settings.channels is None:
        return
    if settings.dataset not in names.IMAGES:
        raise ConfigError(
            f"{where}: model {settings.model!r} needs images, and dataset {settings.dataset!r} has none; "
            f"{nearest(settings.dataset, names.IMAGES)}"
        )
    side = names.IMAGES[settings.dataset]
    if side >> len(settings.channels) == 0:
        raise ConfigError(
            f"{where}: channels = {list(settings.channels)} halves an image {len(settings.channels)} times, and those of "
            f"{settings.dataset} are {side} by {side}; it must be at most {side.bit_length() - 1} long"
        )


def _check_scaling(settings: Settings, where: str) -> None:
    """Raises ConfigError for a loss scale that starts below its floor."""
    initial, floor = settings.loss_scale_initial, settings.loss_scale_floor
    if initial is not None and floor is not None and initial < floor:
        raise ConfigError(f"{where}: loss_scale_initial = {initial:g} is below loss_scale_floor = {floor:g}; raise it")


def _check_micro_batches(settings: Settings, where: str) -> None:
    count = settings.micro_batches
    if settings.batch_size == AUTO and count & (count - 1):
        raise ConfigError(f'{where}: micro_batches = {count} is not a power of two, as batch_size = "auto" will be')
    if settings.batch_size % settings.micro_batches:
        raise ConfigError(
            f"{where}: micro_batches = {settings.micro_batches} does not divide batch_size = {settings.batch_size} "
            "into equal parts"
        )
