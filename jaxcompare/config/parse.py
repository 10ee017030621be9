"""Check a config and expand its studies into variants. Standard library only.

config file -> load -> parse -> (quick, overrides -> parse) -> Comparison of Studies of Variants
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from jaxcompare.config import files, names
from jaxcompare.config.claims import check_claims, check_roles
from jaxcompare.config.comparison import (
    Comparison,
    Study,
    Variant,
    as_trained,
    check_ids,
    label,
    value_of,
    variant_id,
)
from jaxcompare.config.confirmation import check_confirm
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.names import AUTO_PRECISION
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import AUTO, KEYS, NOT_FACTORS, Settings
from jaxcompare.config.values import check_value, resolve_defaults

TOP_KEYS = ("title", "question", "target", "words", "files", "base", "study")
TEXTS = ("title", "question")
STUDY_KEYS = ("name", "base", "grid", "roles", "claims", "confirm")
QUICK_EPOCHS, QUICK_SEEDS = 0.2, 2  # what --quick leaves: a share of the epochs, at least one; at most this many seeds


def parse(name: str, config: Mapping[str, Any], *, precision: str = "float32") -> Comparison:
    """Return the checked and expanded comparison.

    Args:
        name: a shipped comparison's name, or the stem of a user's file.
        config: as read from the file, or made in Python: NumPy's scalars and arrays count as numbers and lists.
        precision: the value of `precision = "auto"`.

    Raises:
        ConfigError: anything wrong with the config; the message names the field, the value and the nearest valid one.
    """
    config = plain(config)
    known(config, TOP_KEYS, name)
    target = config.get("target")
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float) or not 0 < target <= 1):
        raise ConfigError(f"{name}: target = {target!r} is not an accuracy between 0 and 1")
    texts = {key: _text(config.get(key, name), f"{name}: {key}") for key in TEXTS}
    base = config.get("base", {})
    tables = studies_of(config, name)
    for study in tables:
        where = f"{name}: study {study['name']!r}"
        check_confirm(study["confirm"], study["name"], [other["name"] for other in tables], where)
    studies = tuple(expand(name, study, base, precision) for study in tables)
    _check_scaling(name, base, tables, studies)
    check_ids(name, studies)
    return Comparison(
        name, **texts, target=target, studies=studies, words=_words(name, config), files=_files(name, config)
    )


def plain(value: Any) -> Any:
    """Return a config made in Python as a TOML file would give it: NumPy's values, tuples and ranges become plain ones."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple | range) else value


def known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise ConfigError for the first key of `table` that is not in `keys`."""
    keys = tuple(keys)
    for key in table:
        if key not in keys:
            place = f"{key} is a setting: it belongs in base, or as a list in a grid" if key in KEYS else ""
            raise ConfigError(f"{where}: no key {key!r}; {place or nearest(key, keys)}")


def _table(table: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} = {table!r} is not a table")
    return table


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"{where} = {text!r} is not a text")
    return text


def _words(name: str, config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return `[words.ko]` and the like: title and question in other languages."""
    tables = _table(config.get("words", {}), f"{name}: words")
    known(tables, names.LANGUAGES, f"{name}: words")
    for language, table in tables.items():
        where = f"{name}: words.{language}"
        known(_table(table, where), TEXTS, where)
        for key, text in table.items():
            _text(text, f"{where}.{key}")
    return {language: dict(table) for language, table in tables.items()}


def _files(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return `[files]`: kind of file -> pattern of its name, where a config departs from the default."""
    table = _table(config.get("files", {}), f"{name}: files")
    known(table, files.FILES, f"{name}: files")
    for kind, pattern in table.items():
        where = f"{name}: files.{kind}"
        if problem := files.problem(kind, _text(pattern, where)):
            raise ConfigError(f"{where} = {pattern!r} {problem}")
    return dict(table)


def studies_of(config: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the config's study tables, each with its name and with its grids as a list.

    Raises:
        ConfigError: the studies are not a list of tables, or two have one name.
    """
    tables = config.get("study")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        hint = ", in double brackets" if isinstance(tables, Mapping) else ""
        raise ConfigError(f"{where}: no [[study]]{hint}; a comparison needs at least one, with a name and a grid")
    studies = []
    for number, table in enumerate(tables):
        known(table, STUDY_KEYS, f"{where}: study {number + 1}")
        grids = table.get("grid", {})
        grids = grids if isinstance(grids, list) else [grids]
        if not all(isinstance(grid, dict) for grid in grids):
            raise ConfigError(f"{where}: study {number + 1}: grid is not a table")
        defaults = {"base": {}, "roles": {}, "claims": [], "confirm": 0}
        studies.append({**defaults, **table, "name": table.get("name", "main"), "grid": grids})
    given = [study["name"] for study in studies]
    for name in given:
        if not isinstance(name, str) or given.count(name) > 1 or not re.fullmatch(r"\w[\w -]*", name):
            raise ConfigError(
                f"{where}: study name {name!r} is not a unique word (letters, digits, _ and -); every study needs one"
            )
    return studies


def quick(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked config with fewer epochs and seeds and the same grids, so that every file is still written."""
    changed = copy.deepcopy(dict(config))
    base = changed.setdefault("base", {})
    epochs, seeds = (base.get(key, KEYS[key].default) for key in ("epochs", "seeds"))
    base.update(_quick(epochs, seeds))
    for study in changed["study"]:
        own = study.get("base", {})
        short = _quick(own.get("epochs", epochs), own.get("seeds", seeds))
        own.update({key: value for key, value in short.items() if key in own})
        if "confirm" in study:
            study["confirm"] = min(study["confirm"], QUICK_SEEDS)
    return changed


def _quick(epochs: int, seeds: int) -> dict[str, int]:
    return {"epochs": max(1, round(epochs * QUICK_EPOCHS)), "seeds": min(seeds, QUICK_SEEDS)}


def asks_precision(config: Mapping[str, Any]) -> bool:
    """Return whether a checked config leaves a precision to the device: `precision = "auto"`."""
    tables = [config.get("base", {}), *(study.get("base", {}) for study in config.get("study", ()))]
    return any(table.get("precision") == AUTO_PRECISION for table in tables)


def _check_scaling(name: str, base: Mapping[str, Any], tables: Iterable[Any], studies: Iterable[Study]) -> None:
    """Raise ConfigError for a key of loss scaling that no variant can have."""
    own = [
        (f"{name}: study {study.name!r}: base", table["base"], [study])
        for table, study in zip(tables, studies, strict=True)
    ]
    for where, given, belonging in [(f"{name}: base", base, list(studies)), *own]:
        scaled = any(v.settings.loss_scale_initial is not None for study in belonging for v in study.variants)
        scaled |= given.get("precision") == AUTO_PRECISION  # the variants may be scaled on another device
        for key in names.LOSS_SCALING:
            if key in given and not scaled:
                raise ConfigError(f"{where}: {key} = {given[key]} has no effect: no variant has precision 'float16'")


def expand(comparison: str, study: Mapping[str, Any], base: Mapping[str, Any], precision: str = "float32") -> Study:
    """Return a study with its variants: the union of the products of its grids; `precision` is the value of "auto".

    Raises:
        ConfigError: a wrong key or value, an empty list, a repeated variant.
    """
    where = f"{comparison}: study {study['name']!r}"
    shared = _checked(base, f"{comparison}: base") | _checked(study["base"], f"{where}: base")
    if shared.get("precision") == AUTO_PRECISION:
        shared["precision"] = precision
    cells = _cells(study["grid"], shared, where)
    gridded = dict.fromkeys(key for grid in study["grid"] for key in flatten(grid))
    varied = tuple(key for key in gridded if len({repr(value_of(cell, key)) for cell in cells}) > 1)
    labelled = [key for key in varied if key != "dataset"]
    levels = {key: list({repr(value_of(cell, key)): value_of(cell, key) for cell in cells}.values()) for key in varied}
    variants = tuple(
        Variant(variant_id(comparison, study["name"], cell), label(cell, labelled, levels), cell) for cell in cells
    )
    roles = check_roles(study["roles"], varied, where)
    claims = check_claims(study["claims"], levels, roles, where)
    return Study(study["name"], variants, varied, roles, claims, study["confirm"])


def _cells(grids: Iterable[Mapping[str, Any]], shared: Mapping[str, Any], where: str) -> list[Settings]:
    """Return the settings of every cell of the grids, in order."""
    cells: dict[str, Settings] = {}
    for grid in grids:
        axes = {key: _axis(key, values, where) for key, values in flatten(grid).items()}
        for values in itertools.product(*axes.values()):
            cell = dict(zip(axes, values, strict=True))
            settings = resolve_defaults({**shared, **cell}, axes, where)
            key = repr(as_trained(asdict(settings)))
            if key in cells:
                rounded = "" if cells[key] == settings else f" in float32, as {label(cells[key], axes)}"
                raise ConfigError(f"{where}: the variant {cell} is repeated in the grids{rounded}")
            cells[key] = settings
    if not cells:
        raise ConfigError(f"{where}: grid = [] has no variants; leave it out for a single one")
    return list(cells.values())


def _checked(table: Any, where: str) -> dict[str, Any]:
    return {key: check_value(key, value, where) for key, value in _table(table, where).items()}


def flatten(grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return a grid with `options = {b1 = [...]}` as `options.b1`."""
    flat: dict[str, Any] = {}
    for key, value in grid.items():
        if key == "options" and isinstance(value, Mapping):
            flat |= {f"options.{name}": values for name, values in value.items()}
        else:
            flat[key] = value
    return flat


def _axis(key: str, values: Any, where: str) -> list[Any]:
    if key in NOT_FACTORS:
        raise ConfigError(f"{where}: {key} = {values!r} cannot vary within a study; set it in [base]")
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}: grid.{key} = {values!r} is not a list of values, as in {key} = [...]")
    checked = [check_value(key, value, f"{where}: grid") for value in values]
    if (key == "batch_size" and AUTO in checked) or (key == "precision" and AUTO_PRECISION in checked):
        raise ConfigError(
            f'{where}: grid.{key} = {values!r}: "auto" cannot be in a grid: its value depends on the machine, and may be '
            "another value of the grid; name the values here, or set it in [base]"
        )
    return checked
