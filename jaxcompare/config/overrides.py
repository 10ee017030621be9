"""`--set KEY=VALUE` and its shorthands change a config from the command line. Standard library only."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxcompare.config.claims import CLAIM_KEYS, against_each
from jaxcompare.config.comparison import key_of
from jaxcompare.config.errors import ConfigError, brief, shown
from jaxcompare.config.load import toml
from jaxcompare.config.parse import STUDY_KEYS, TOP_KEYS, studies_of
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import KEYS, is_option

WHOLE = ("claims", "confirm")  # parts of a study without keys of their own
# `.5`, `5.` and `.5e-3`, which TOML does not take.
PLAIN_NUMBER = re.compile(r"[-+]?(\d+\.|\.\d+)([eE][-+]?\d+)?", re.ASCII)
# A word outside quotes that is no key of an inline table.
BARE_WORD = re.compile(r"""(?<![\w."'+-])(?!(?:true|false|inf|nan)\b)([A-Za-z_][\w.:-]*)(?![\w.:-]*\s*=)""")


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """Return the path and the value of `base.epochs=3`; the value is TOML, or a bare word.

    Raises:
        ConfigError: no `=`, or no key before it; a list or table that is not TOML.

    >>> parse_assignment("base.optimizer=sgd")
    (['base', 'optimizer'], 'sgd')
    """
    if len(text.splitlines()) > 1:
        raise ConfigError(f"--set {brief(text)}: has more than one line; write one --set for each key")
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise ConfigError(f"--set {brief(text)}: not of the form KEY=VALUE, base.epochs=3 for example")
    try:
        return path, toml(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        word = value.strip()
        if word[:1] in ("[", "{"):
            raise ConfigError(f"--set {brief(text)}: {_unquoted(key, word)} ({brief(str(error))})") from error
        return path, float(word) if PLAIN_NUMBER.fullmatch(word) else word


def _unquoted(key: str, value: str) -> str:
    """Say how to write a list or table that is not TOML, most often since the shell took the quotes away."""
    kind = "list" if value[0] == "[" else "table"
    quoted = BARE_WORD.sub(r'"\1"', value)
    try:
        toml(f"value = {quoted}")
    except tomllib.TOMLDecodeError:
        return f"is not a {kind} in TOML; names need double quotes, and the shell needs single quotes around the whole"
    return f"is not a {kind} in TOML; were the quotes taken by the shell? Write --set '{brief(f'{key}={quoted}')}'"


def apply(
    configs: Mapping[str, dict[str, Any]], assignments: Sequence[str], warn: Callable[[str], None] = lambda text: None
) -> dict[str, dict[str, Any]]:
    """Return every checked config with the assignments applied.

    A path is `title`, `target`, `base.KEY`, `study.NAME.base.KEY`, `study.NAME.grid.KEY` (`grid.2.KEY` for the second of
    several grids), `study.NAME.roles.KEY`, `study.NAME.claims` or `study.NAME.confirm`. After a comparison's name, a path
    applies to that comparison only. `base.KEY` also reaches the studies that set the key themselves: a run follows the
    command line. A claim about a level that an assignment removes from the grids is dropped, and `warn` gets a message.

    Raises:
        ConfigError: a path that fits no config.
    """
    changed = {name: copy.deepcopy(config) for name, config in configs.items()}
    for text in assignments:
        path, value = parse_assignment(text)
        chosen, path = _addressed(path, changed)
        errors = []
        for name in chosen:
            try:
                _assign(changed[name], path, value, f"--set {brief(text)}")
                if path[0] == "study" and path[2:3] == ["grid"]:
                    for message in _drop_claims(changed[name], path):
                        warn(f"{name}: {message}")
            except _ElsewhereError as error:
                errors.append(error)
        if len(errors) == len(chosen):
            raise ConfigError(str(errors[0]))
    return changed


def _addressed(path: list[str], names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the comparisons that a path is for, and the path without the name of a comparison before it."""
    every = list(names)
    for name in every:
        parts = name.split(".")
        if (
            path[: len(parts)] == parts and len(path) > len(parts) and name not in TOP_KEYS
        ):  # `base.toml` is a name, too
            return [name], path[len(parts) :]
    return every, path


def _drop_claims(config: dict[str, Any], path: Sequence[str]) -> list[str]:
    """Drop the claims about levels that the grids no longer have, and return a message for each."""
    study = next(study for study in config["study"] if study["name"] == path[1])
    claims = study["claims"]
    if not isinstance(claims, list) or not all(
        isinstance(claim, Mapping) and {*CLAIM_KEYS} <= claim.keys() for claim in claims
    ):
        return []  # an earlier assignment to `claims`: the whole config is checked at the end
    factor = ".".join(path[-2:]) if is_option(".".join(path[-2:])) else path[-1]
    values = [grid[factor] for grid in study["grid"] if isinstance(grid.get(factor), list)]
    levels = {key_of(level) for each in values for level in each}

    def lost(claim: Mapping[str, Any]) -> bool:
        return claim["factor"] == factor and not {key_of(claim["better"]), key_of(claim["than"])} <= levels

    claims = [one for claim in claims for one in against_each(claim)]
    messages = [
        f"study {study['name']!r}: the claim {factor}: {claim['better']} better than {claim['than']} is left out, "
        "since --set changed its grid"
        for claim in claims
        if lost(claim)
    ]
    study["claims"] = [claim for claim in claims if not lost(claim)]
    return messages


class _ElsewhereError(ConfigError):
    """A path that this config lacks and that another config may have."""


def _assign(config: dict[str, Any], path: Sequence[str], value: Any, where: str) -> None:
    head, *rest = path
    if head not in TOP_KEYS:
        studies = [study["name"] for study in studies_of(config, where)]
        near = {**dict.fromkeys(TOP_KEYS), **{f"base.{key}": None for key in KEYS}}
        hint = f"did you mean study.{'.'.join(path)}?" if head in studies and rest else nearest(head, near)
        raise ConfigError(f"{where}: no {shown(head)}; {hint}")
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
    if key not in KEYS and not is_option(key):
        raise ConfigError(f"{where}: no key {shown(key)} in base; {nearest(key, KEYS)}")
    for study in studies_of(config, where):
        if any(key in grid for grid in study["grid"]):
            raise _ElsewhereError(
                f"{where}: {key} varies in study {study['name']!r}; set study.{study['name']}.grid.{key}=[...]"
            )
    config.setdefault("base", {})[key] = value
    for study in config.get("study", []):
        own = study.get("base", {})
        table, _, option = key.partition(".")
        if key in own:
            own[key] = value
        if is_option(key) and option in own.get(table, {}):
            own[table][option] = value


def _assign_study(config: dict[str, Any], rest: Sequence[str], value: Any, where: str) -> None:
    studies = studies_of(config, where)
    if len(rest) < (2 if rest[1:2] and rest[1] in WHOLE else 3):
        raise ConfigError(f"{where}: not a path into a study; study.NAME.grid.KEY or study.NAME.base.KEY")
    name, part, *inner = rest
    study = next((study for study in studies if study["name"] == name), None)
    if study is None:
        raise _ElsewhereError(f"{where}: no study {shown(name)}; {nearest(name, [study['name'] for study in studies])}")
    if part not in STUDY_KEYS[1:]:
        raise ConfigError(f"{where}: no {shown(part)} in a study; {nearest(part, STUDY_KEYS[1:])}")
    config["study"] = studies
    if part in WHOLE:
        if inner:
            raise ConfigError(f"{where}: {part} has no parts")
        study[part] = value
        return
    target = study[part]
    if part == "grid":
        number = int(inner.pop(0)[:9]) if inner[0].isdecimal() else 1 if len(target) == 1 else 0
        if not 1 <= number <= len(target) or not inner:
            raise ConfigError(f"{where}: study {name!r} has {len(target)} grids; name one, grid.1.KEY for example")
        target = target[number - 1]
    target[_key(inner, where)] = value


def _key(parts: Sequence[str], where: str) -> str:
    if not parts:
        raise ConfigError(f"{where}: a key is missing after the last point")
    return ".".join(parts)
