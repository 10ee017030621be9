"""A comparison as data: a config is parsed, checked and expanded into variants. Standard library only.

config file -> load -> (override, quick) -> parse -> Comparison -> expand -> [Study of Variants]
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.claims import check_claims, check_roles
from jaxcompare.config.comparison import Comparison, Study, Variant, label, value_of, variant_id
from jaxcompare.config.confirmation import check_confirm
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.names import AUTO_PRECISION
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import AUTO, KEYS, NOT_FACTORS, Settings
from jaxcompare.config.values import check_value, resolve_defaults

TOP_KEYS = ("title", "question", "target", "words", "base", "study")
TEXTS = ("title", "question")
STUDY_KEYS = ("name", "base", "grid", "roles", "claims", "confirm")
QUICK_EPOCHS, QUICK_SEEDS = 0.2, 2  # what --quick leaves: a share of the epochs, at least one; so many seeds


def studies_of(config: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The config's study tables, each with its name and its grids as a list.

    Raises:
        ConfigError: they are not a list of tables, or two have one name.
    """
    tables = config.get("study")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{where}: no [[study]]; a comparison needs at least one, with a name and a grid")
    studies = []
    for number, table in enumerate(tables):
        known(table, STUDY_KEYS, f"{where}: study {number + 1}")
        grids = table.get("grid", {})
        grids = grids if isinstance(grids, list) else [grids]
        if not all(isinstance(grid, dict) for grid in grids):
            raise ConfigError(f"{where}: study {number + 1}: grid is not a table")
        defaults = {"base": {}, "roles": {}, "claims": [], "confirm": 0}
        studies.append({**defaults, **table, "name": table.get("name", "main"), "grid": grids})
    found = [study["name"] for study in studies]
    for name in found:
        if not isinstance(name, str) or found.count(name) > 1 or not re.fullmatch(r"\w[\w -]*", name):
            raise ConfigError(
                f"{where}: study name {name!r} is not a word of its own (letters, digits, _ and -); every study needs one"
            )
    return studies


def known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raises ConfigError for the first key of `table` that is not in `keys`."""
    keys = tuple(keys)
    for key in table:
        if key not in keys:
            raise ConfigError(f"{where}: no key {key!r}; {nearest(key, keys)}")


def check_shape(config: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError unless the config's tables are tables, so that it may be changed before it is checked."""
    for name, table in [("base", config.get("base", {}))] + [
        (f"study {study['name']!r}: base", study["base"]) for study in studies_of(config, where)
    ]:
        if not isinstance(table, Mapping):
            raise ConfigError(f"{where}: {name} = {table!r} is not a table")


def quick(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with fewer epochs and seeds and the same grids, so that every file is still written."""
    changed = copy.deepcopy(dict(config))
    base = changed.setdefault("base", {})
    epochs, seeds = (base.get(key, KEYS[key].default) for key in ("epochs", "seeds"))
    base.update(_quick(epochs, seeds))
    for study in changed.get("study", []):
        own = study.get("base", {})
        own.update({k: v for k, v in _quick(own.get("epochs", epochs), own.get("seeds", seeds)).items() if k in own})
        if isinstance(study.get("confirm"), int):
            study["confirm"] = min(study["confirm"], QUICK_SEEDS)
    return changed


def _quick(epochs: int, seeds: int) -> dict[str, int]:
    return {"epochs": max(1, round(epochs * QUICK_EPOCHS)), "seeds": min(seeds, QUICK_SEEDS)}


def asks_precision(config: Mapping[str, Any]) -> bool:
    """Whether a checked config leaves a precision to the device: `precision = "auto"`."""
    tables = [config.get("base", {}), *(study.get("base", {}) for study in config.get("study", ()))]
    return any(table.get("precision") == AUTO_PRECISION for table in tables)


def parse(name: str, config: Mapping[str, Any], *, precision: str = "float32") -> Comparison:
    """A checked and expanded comparison.

    Args:
        name: `a`, `b`, `c` or a file's stem.
        config: as read from its file.
        precision: what `precision = "auto"` comes to.

    Raises:
        ConfigError: whatever is wrong with it, with the field, the value and the nearest valid one.
    """
    known(config, TOP_KEYS, name)
    target = config.get("target")
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float) or not 0 < target <= 1):
        raise ConfigError(f"{name}: target = {target!r} is not an accuracy between 0 and 1")
    texts = {}
    for key in TEXTS:
        texts[key] = config.get(key, name)
        if not isinstance(texts[key], str):
            raise ConfigError(f"{name}: {key} = {texts[key]!r} is not a text")
    base = config.get("base", {})
    tables = studies_of(config, name)
    for study in tables:
        where = f"{name}: study {study['name']!r}"
        check_confirm(study["confirm"], study["name"], [other["name"] for other in tables], where)
    studies = tuple(expand(name, study, base, precision) for study in tables)
    _check_scaling(name, base, tables, studies)
    return Comparison(name, texts["title"], texts["question"], target, studies, _words(name, config))


def _words(name: str, config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """`[words.ko]`: title and question in other languages.

    Raises:
        ConfigError: a language, a key or a value that cannot be.
    """
    tables = config.get("words", {})
    for where, table, keys in [(f"{name}: words", tables, names.LANGUAGES)] + [
        (f"{name}: words.{language}", table, TEXTS)
        for language, table in (tables.items() if isinstance(tables, Mapping) else ())
    ]:
        if not isinstance(table, Mapping):
            raise ConfigError(f"{where} = {table!r} is not a table")
        known(table, keys, where)
    for language, table in tables.items():
        for key, text in table.items():
            if not isinstance(text, str):
                raise ConfigError(f"{name}: words.{language}.{key} = {text!r} is not a text")
    return {language: dict(table) for language, table in tables.items()}


def _check_scaling(name: str, base: Mapping[str, Any], tables: Iterable[Any], studies: Iterable[Study]) -> None:
    """Raises ConfigError for a key of loss scaling that no variant can have."""
    own = [
        (f"{name}: study {study.name!r}: base", table["base"], [study])
        for table, study in zip(tables, studies, strict=True)
    ]
    for where, given, belonging in [(f"{name}: base", base, list(studies)), *own]:
        scaled = any(v.settings.loss_scale_initial is not None for study in belonging for v in study.variants)
        scaled |= given.get("precision") == AUTO_PRECISION  # on another device they may have one
        for key in names.LOSS_SCALING:
            if key in given and not scaled:
                raise ConfigError(f"{where}: {key} = {given[key]} has no effect: no variant has precision 'float16'")


def expand(comparison: str, study: Mapping[str, Any], base: Mapping[str, Any], precision: str = "float32") -> Study:
    """A study's variants: the union of the products of its grids; `precision` is what "auto" comes to.

    Raises:
        ConfigError: a wrong key or value, an empty list, a variant that stands twice.
    """
    where = f"{comparison}: study {study['name']!r}"
    shared = _checked(base, f"{comparison}: base") | _checked(study["base"], f"{where}: base")
    if shared.get("precision") == AUTO_PRECISION:
        shared["precision"] = precision
    found: dict[str, Settings] = {}
    for grid in study["grid"]:
        axes = {key: _axis(key, values, where) for key, values in _flatten(grid).items()}
        for cell in itertools.product(*axes.values()):
            settings = resolve_defaults(shared | dict(zip(axes, cell, strict=True)), axes, where)
            if repr(settings) in found:
                raise ConfigError(
                    f"{where}: the variant {dict(zip(axes, cell, strict=True))} stands twice in its grids"
                )
            found[repr(settings)] = settings
    if not found:
        raise ConfigError(f"{where}: grid = [] has no variants; leave it out for a single one")
    everything = list(found.values())
    gridded = dict.fromkeys(key for grid in study["grid"] for key in _flatten(grid))
    varied = tuple(key for key in gridded if len({repr(value_of(s, key)) for s in everything}) > 1)
    labelled = [key for key in varied if key != "dataset"]
    variants = tuple(Variant(variant_id(comparison, study["name"], s), label(s, labelled), s) for s in everything)
    roles = check_roles(study["roles"], varied, where)
    levels = {key: list(dict.fromkeys(value_of(s, key) for s in everything)) for key in varied}
    claims = check_claims(study["claims"], levels, roles, where)
    return Study(study["name"], variants, varied, roles, claims, study["confirm"])


def _checked(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is not a table")
    return {key: check_value(key, value, where) for key, value in table.items()}


def _flatten(grid: Mapping[str, Any]) -> dict[str, Any]:
    """`options = {b1 = [...]}` as `options.b1`."""
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
    found = [check_value(key, value, f"{where}: grid") for value in values]
    if (key == "batch_size" and AUTO in found) or (key == "precision" and AUTO_PRECISION in found):
        raise ConfigError(
            f'{where}: grid.{key} = {values!r}: "auto" cannot stand in a grid: what it comes to depends on the '
            "machine, and may be another value of the grid; name the values here, or set it in [base]"
        )
    return found
