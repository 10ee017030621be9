"""`--set KEY=VALUE` and its shorthands: a config changed from the command line, before it is checked."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.parse import STUDY_KEYS, TOP_KEYS, studies_of
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import KEYS


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """`base.epochs=3` as its path and value; the value is TOML, or a bare word.

    Raises:
        ConfigError: there is no `=`, or no key before it.
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise ConfigError(f"--set {text}: not of the form KEY=VALUE, base.epochs=3 say")
    try:
        return path, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return path, value.strip()


def apply(
    configs: Mapping[str, dict[str, Any]], assignments: Sequence[str], tell: Callable[[str], None] = lambda text: None
) -> dict[str, dict[str, Any]]:
    """Every config with the assignments made.

    Claims about a level that an assignment takes out of the grids go with it, and `tell` hears of them.

    A path is `title`, `target`, `base.KEY`, `study.NAME.base.KEY`, `study.NAME.grid.KEY` (`grid.2.KEY` for the second of
    several), `study.NAME.roles.KEY`, `study.NAME.confirm`, or any of these after a comparison's name, and is then set in
    that one alone.
    `base.KEY` reaches the studies that set the key themselves, too: what was asked for on the command line is what is run.

    Raises:
        ConfigError: a path that fits no config.
    """
    changed = {name: copy.deepcopy(config) for name, config in configs.items()}
    for text in assignments:
        path, value = parse_assignment(text)
        chosen = list(changed)
        if path[0] in changed and len(path) > 1:
            chosen, path = [path[0]], path[1:]
        errors = []
        for name in chosen:
            try:
                _assign(changed[name], path, value, f"--set {text}")
                if path[0] == "study" and path[2:3] == ["grid"]:
                    _drop_claims(changed[name], path, partial(_tell_of, name, tell))
            except _ElsewhereError as error:
                errors.append(error)
        if len(errors) == len(chosen):
            raise ConfigError(str(errors[0]))
    return changed


def _tell_of(name: str, tell: Callable[[str], None], study: str, claim: Mapping[str, Any]) -> None:
    """Says that a claim was left out."""
    sides = f"{claim['better']} better than {claim['than']}"
    tell(f"{name}: study {study!r}: the claim {claim['factor']}: {sides} is left out, since --set changed its grid")


def _drop_claims(config: dict[str, Any], path: Sequence[str], told: Callable[[str, Mapping[str, Any]], None]) -> None:
    study = next(study for study in config["study"] if study["name"] == path[1])
    factor = path[-1] if "options" not in path else ".".join(path[-2:])
    values = [grid[factor] for grid in study["grid"] if isinstance(grid.get(factor), list)]
    levels = [level for each in values for level in each]
    kept = []
    for claim in study["claims"] if isinstance(study["claims"], list) else []:
        whole = isinstance(claim, Mapping) and {"factor", "better", "than"} <= claim.keys()
        if (
            whole
            and claim["factor"] == factor
            and not {repr(claim["better"]), repr(claim["than"])} <= set(map(repr, levels))
        ):
            told(study["name"], claim)
        else:
            kept.append(claim)
    if len(kept) < len(study["claims"]):
        study["claims"] = kept


class _ElsewhereError(ConfigError):
    """It cannot be set in this config, but perhaps in another."""


def _assign(config: dict[str, Any], path: Sequence[str], value: Any, where: str) -> None:
    head, *rest = path
    if head not in TOP_KEYS:
        raise ConfigError(f"{where}: no {head!r}; {nearest(head, [*TOP_KEYS, *(f'base.{key}' for key in KEYS)])}")
    if head == "base":
        _assign_base(config, rest, value, where)
    elif head == "study":
        _assign_study(config, rest, value, where)
    elif rest:
        raise ConfigError(f"{where}: {head} has no parts")
    else:
        config[head] = value


def _assign_base(config: dict[str, Any], rest: Sequence[str], value: Any, where: str) -> None:
    key = _key(rest, where)
    if key not in KEYS and not key.startswith("options."):
        raise ConfigError(f"{where}: no key {key!r} in base; {nearest(key, KEYS)}")
    for study in studies_of(config, where):
        if any(key in grid for grid in study["grid"]):
            raise _ElsewhereError(
                f"{where}: {key} varies in study {study['name']!r}; set study.{study['name']}.grid.{key}=[...]"
            )
    config.setdefault("base", {})[key] = value
    for study in config.get("study", []):
        if key in study.get("base", {}):
            study["base"][key] = value


def _assign_study(config: dict[str, Any], rest: Sequence[str], value: Any, where: str) -> None:
    studies = studies_of(config, where)
    whole = ("claims", "confirm")  # have no keys of their own
    if len(rest) < (2 if rest[1:2] and rest[1] in whole else 3):
        raise ConfigError(f"{where}: not a path into a study; study.NAME.grid.KEY or study.NAME.base.KEY")
    name, part, *inner = rest
    found = next((study for study in studies if study["name"] == name), None)
    if found is None:
        raise _ElsewhereError(f"{where}: no study {name!r}; {nearest(name, [study['name'] for study in studies])}")
    if part not in STUDY_KEYS[1:]:
        raise ConfigError(f"{where}: no {part!r} in a study; {nearest(part, STUDY_KEYS[1:])}")
    if part in whole:
        if inner:
            raise ConfigError(f"{where}: {part} has no parts")
        found[part] = value
        config["study"] = studies
        return
    target = found[part]
    if part == "grid":
        number = int(inner.pop(0)) if inner[0].isdecimal() else 1 if len(target) == 1 else 0
        if not 1 <= number <= len(target) or not inner:
            raise ConfigError(f"{where}: study {name!r} has {len(target)} grids; name one, grid.1.KEY say")
        target = target[number - 1]
    target[_key(inner, where)] = value
    config["study"] = studies


def _key(parts: Sequence[str], where: str) -> str:
    if not parts:
        raise ConfigError(f"{where}: a key is missing after the last point")
    return ".".join(parts)
