"""Check a config and expand its studies into variants. Standard library only.

config file -> load -> parse -> (quick, overrides -> parse) -> Comparison of Studies of Variants
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from jaxcompare.config.errors import ConfigError, every, shown, together
from jaxcompare.config.limits import MOST_DEPTH, MOST_REPLICAS, MOST_VARIANTS
from jaxcompare.config.names import AUTO_PRECISION
from jaxcompare.config.registry import is_plugin, nearest
from jaxcompare.config.settings import AUTO, KEYS, NOT_FACTORS, OPTION_TABLES, Settings
from jaxcompare.config.values import check_value, custom_only, resolve_defaults

TOP_KEYS = ("title", "question", "target", "words", "labels", "files", "base", "study")
TEXTS = ("title", "question")
STUDY_KEYS = ("name", "base", "grid", "roles", "claims", "confirm")
QUICK_EPOCHS, QUICK_SEEDS = 0.2, 2  # what --quick leaves: a share of the epochs, at least one; at most this many seeds


def parse(
    name: str,
    config: Mapping[str, Any],
    *,
    precision: str = "float32",
    given: Mapping[str, Collection[str]] = {},
) -> Comparison:
    """Return the checked and expanded comparison.

    Args:
        name: a shipped comparison's name, or the stem of a user's file.
        config: as read from the file, or made in Python: NumPy's scalars and arrays count as numbers and lists.
        precision: the value of `precision = "auto"`.
        given: key -> names that the caller gives a meaning, {"dataset": ["wine"]} for example.

    Raises:
        ConfigError: anything wrong with the config; the message names the field, the value and the nearest valid one.
    """
    check_depth(_table(config, name), name)
    config = plain(config)
    base = config.get("base", {})
    _, _, target, texts, words, labels, patterns, tables = together(
        lambda: known(config, TOP_KEYS, name),
        lambda: _checked(base, f"{name}: base", given),
        lambda: _target(config.get("target"), f"{name}: target"),
        lambda: dict(zip(TEXTS, every(lambda key: _text(config.get(key, name), f"{name}: {key}"), TEXTS), strict=True)),
        lambda: _words(name, config),
        lambda: _labels(name, config),
        lambda: _files(name, config),
        lambda: _checked_studies(name, config, base, given),
    )
    _check_replicas(tables)
    studies = tuple(every(lambda study: expand(name, study, precision, labels), tables))
    _check_labels(name, labels, studies)
    _check_scaling(name, base, tables, studies)
    _check_options(name, base, tables, studies)
    check_ids(name, studies)
    return Comparison(name, **texts, target=target, studies=studies, words=words, labels=labels, files=patterns)


def check_depth(value: Any, where: str) -> None:
    """Raise ConfigError for tables and lists that are deeper in each other than any setting is."""
    level = [value]
    for _ in range(MOST_DEPTH):
        inner = [part.values() if isinstance(part, Mapping) else part for part in level]
        level = [one for part in inner for one in part if isinstance(one, Mapping | list | tuple)]
        if not level:
            return
    raise ConfigError(f"{where}: tables and lists are more than {MOST_DEPTH} deep in each other")


def _target(target: Any, where: str) -> float | None:
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float) or not 0 < target <= 1):
        raise ConfigError(f"{where} = {shown(target)} is not an accuracy between 0 and 1")
    return target


def plain(value: Any) -> Any:
    """Return a config made in Python as a TOML file would give it: NumPy's values, tuples and ranges become plain ones."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple | range) else value


def known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise ConfigError for the keys of `table` that are not in `keys`."""
    keys = tuple(keys)

    def check(key: str) -> None:
        if key not in keys:
            place = f"{key} is a setting: it belongs in base, or as a list in a grid" if key in KEYS else ""
            raise ConfigError(f"{where}: no key {shown(key)}; {place or nearest(key, keys)}")

    every(check, table)


def _table(table: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} = {shown(table)} is not a table")
    return table


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"{where} = {shown(text)} is not a text")
    return text


def _words(name: str, config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return `[words.ko]` and the like: title and question in other languages."""
    tables = _table(config.get("words", {}), f"{name}: words")

    def check(language: str, table: Any) -> dict[str, str]:
        where = f"{name}: words.{language}"
        known(_table(table, where), TEXTS, where)
        every(lambda key: _text(table[key], f"{where}.{key}"), table)
        return dict(table)

    _, checked = together(
        lambda: known(tables, names.LANGUAGES, f"{name}: words"),
        lambda: every(check, tables.keys(), tables.values()),
    )
    return dict(zip(tables, checked, strict=True))


def _labels(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return `[labels]`: the names of levels, `"my:optimizer" = "Mine"`."""
    table = _table(config.get("labels", {}), f"{name}: labels")

    def check(level: str, text: Any) -> None:
        where = f"{name}: labels.{level!r}"
        if not _text(text, where).strip() or not text.isprintable():
            raise ConfigError(f"{where} = {shown(text)} is not a name on one line")
        if list(table.values()).count(text) > 1:
            raise ConfigError(f"{where} = {shown(text)} is the label of another level, too; labels must differ")

    every(check, table.keys(), table.values())
    return dict(table)


def _check_labels(name: str, labels: Mapping[str, str], studies: Iterable[Study]) -> None:
    """Raise ConfigError for the label of a level that no variant has, or that is another level's own name."""
    settings = [variant.settings for study in studies for variant in study.variants]
    levels = dict.fromkeys(value for one in settings for value in asdict(one).values() if isinstance(value, str))

    def check(level: str, text: str) -> None:
        if level not in levels:
            raise ConfigError(f"{name}: labels: no level {shown(level)}; {nearest(level, levels)}")
        if text in levels and text != level:
            raise ConfigError(f"{name}: labels.{level!r} = {shown(text)} is another level of this comparison")

    every(check, labels.keys(), labels.values())


def _files(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return `[files]`: kind of file -> pattern of its name, where a config departs from the default."""
    table = _table(config.get("files", {}), f"{name}: files")

    def check(kind: str, pattern: Any) -> None:
        where = f"{name}: files.{kind}"
        if kind in files.FILES and (problem := files.problem(kind, _text(pattern, where))):
            raise ConfigError(f"{where} = {shown(pattern)} {problem}")

    together(
        lambda: known(table, files.FILES, f"{name}: files"),
        lambda: every(check, table.keys(), table.values()),
    )
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
    given = Counter(name for table in tables if isinstance(name := table.get("name", "main"), str))

    def check(number: int, table: Mapping[str, Any]) -> dict[str, Any]:
        place = f"{where}: study.{number}"
        grids = table.get("grid", {})
        grids = grids if isinstance(grids, list) else [grids]
        name = table.get("name", "main")
        together(
            lambda: known(table, STUDY_KEYS, place),
            lambda: every(lambda grid: _table(grid, f"{place}.grid"), grids),
            lambda: _check_name(name, given, place),
        )
        defaults = {"base": {}, "roles": {}, "claims": [], "confirm": 0}
        return {**defaults, **table, "name": name, "grid": grids}

    return every(check, range(1, len(tables) + 1), tables)


def _check_name(name: Any, given: Mapping[str, int], where: str) -> None:
    if not isinstance(name, str) or given[name] > 1 or not re.fullmatch(r"\w[\w -]*", name):
        raise ConfigError(
            f"{where}.name = {shown(name)} is not a unique word (letters, digits, _ and -); every study needs one"
        )


def _checked_studies(
    name: str, config: Mapping[str, Any], base: Any, given: Mapping[str, Collection[str]]
) -> list[dict[str, Any]]:
    """Return the study tables with every value checked: settings in `base`, those of [base] among them, and `grid`."""
    tables = studies_of(config, name)
    studies = [table["name"] for table in tables]

    def check(number: int, table: Mapping[str, Any]) -> dict[str, Any]:
        where = f"{name}: study.{number}"
        shared, own, _, grids = together(
            lambda: _checked(base, f"{name}: base", given),
            lambda: _checked(table["base"], f"{where}.base", given),
            lambda: check_confirm(table["confirm"], table["name"], studies, where),
            lambda: every(lambda grid, place: _axes(grid, place, given), table["grid"], _places(table["grid"], where)),
        )
        return {**table, "base": shared | own, "own": own, "grid": grids, "where": where}

    checked, _ = together(
        lambda: every(check, range(1, len(tables) + 1), tables), lambda: _check_variants(name, tables)
    )
    return checked


def _places(grids: Sequence[Any], where: str) -> list[str]:
    return [f"{where}.grid"] if len(grids) == 1 else [f"{where}.grid.{number}" for number in range(1, len(grids) + 1)]


def _check_variants(name: str, tables: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigError for more variants than a comparison may have, before any is made."""
    counts = [
        math.prod(len(values) for values in flatten(grid).values() if isinstance(values, list))
        for table in tables
        for grid in table["grid"]
    ]
    if sum(counts) > MOST_VARIANTS:
        where = [place for n, table in enumerate(tables, 1) for place in _places(table["grid"], f"study.{n}")]
        largest = max(range(len(counts)), key=lambda index: counts[index])
        raise ConfigError(
            f"{name}: {where[largest]} has {shown(counts[largest])} variants; a comparison may have {MOST_VARIANTS}"
        )


def _check_replicas(tables: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigError for more replicas than a comparison may have, before any is made."""
    every_seeds = [table["base"].get("seeds", KEYS["seeds"].default) for table in tables]
    every_count = [sum(math.prod(map(len, grid.values())) for grid in table["grid"]) for table in tables]
    counts = [
        count * (seeds + table["confirm"]) for count, seeds, table in zip(every_count, every_seeds, tables, strict=True)
    ]
    if sum(counts) > MOST_REPLICAS:
        n = max(range(len(counts)), key=lambda index: counts[index])
        raise ConfigError(
            f"{tables[n]['where']} has {every_count[n]} variants at {every_seeds[n]} seeds, {counts[n]} replicas; a "
            f"comparison may have {MOST_REPLICAS}"
        )


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
    own = [(f"{table['where']}.base", table["own"], [study]) for table, study in zip(tables, studies, strict=True)]
    for where, given, belonging in [(f"{name}: base", base, list(studies)), *own]:
        scaled = any(v.settings.loss_scale_initial is not None for study in belonging for v in study.variants)
        scaled |= given.get("precision") == AUTO_PRECISION  # the variants may be scaled on another device
        for key in names.LOSS_SCALING:
            if key in given and not scaled:
                raise ConfigError(f"{where}.{key} = {given[key]} has no effect: no variant has precision 'float16'")


def _check_options(name: str, base: Mapping[str, Any], tables: Iterable[Any], studies: Iterable[Study]) -> None:
    """Raise ConfigError for options of custom functions that are in a base, where no variant has such a function."""
    own = [(f"{table['where']}.base", table["own"], [study]) for table, study in zip(tables, studies, strict=True)]
    for where, given, belonging in [(f"{name}: base", base, list(studies)), *own]:
        for kind, table in OPTION_TABLES.items():
            keys = [
                *(f"{table}.{key}" for key in given.get(table, {})),
                *(k for k in given if k.startswith(f"{table}.")),
            ]
            used = [getattr(variant.settings, kind) for study in belonging for variant in study.variants]
            if keys and not any(map(is_plugin, used)):
                raise ConfigError(f"{where}: {custom_only(kind, used[0], keys[0])}")


def expand(
    comparison: str, study: Mapping[str, Any], precision: str = "float32", labels: Mapping[str, str] | None = None
) -> Study:
    """Return a study with its variants: the union of the products of its grids.

    Args:
        comparison: its name.
        study: its table, checked.
        precision: the value of "auto".
        labels: level -> its name.

    Raises:
        ConfigError: settings that contradict each other, a repeated variant, wrong roles or claims.
    """
    where, shared = study["where"], dict(study["base"])
    if shared.get("precision") == AUTO_PRECISION:
        shared["precision"] = precision
    cells = _cells(study["grid"], shared, where)
    gridded = dict.fromkeys(key for grid in study["grid"] for key in grid)
    varied = tuple(key for key in gridded if len({repr(value_of(cell, key)) for cell in cells}) > 1)
    labelled = [key for key in varied if key != "dataset"]
    levels = {key: list({repr(value_of(cell, key)): value_of(cell, key) for cell in cells}.values()) for key in varied}
    clashes = {key: _clashes(values) for key, values in levels.items()}
    variants = tuple(
        Variant(variant_id(comparison, study["name"], cell), label(cell, labelled, clashes, labels), cell)
        for cell in cells
    )
    roles = check_roles(study["roles"], varied, where)
    claims = check_claims(study["claims"], levels, roles, where)
    return Study(study["name"], variants, varied, roles, claims, study["confirm"])


def _clashes(levels: Sequence[Any]) -> list[Any]:
    """Return the numbers that have the text of another one in `%g`."""
    texts = Counter(f"{level:g}" for level in levels if isinstance(level, float))
    return [level for level in levels if isinstance(level, float) and texts[f"{level:g}"] > 1]


def _cells(grids: Iterable[Mapping[str, Any]], shared: Mapping[str, Any], where: str) -> list[Settings]:
    """Return the settings of every cell of the checked grids, in order."""
    given = [
        (axes, dict(zip(axes, values, strict=True))) for axes in grids for values in itertools.product(*axes.values())
    ]
    if not given:
        raise ConfigError(f"{where}: grid = [] has no variants; leave it out for a single one")
    every_cell = every(lambda one: resolve_defaults({**shared, **one[1]}, one[0], where), given)
    cells: dict[str, Settings] = {}
    for (axes, cell), settings in zip(given, every_cell, strict=True):
        key = repr(as_trained(asdict(settings)))
        if key in cells:
            rounded = "" if cells[key] == settings else f" in float32, as {label(cells[key], axes)}"
            raise ConfigError(f"{where}: the variant {shown(cell)} is repeated in the grids{rounded}")
        cells[key] = settings
    return every_cell


def _checked(table: Any, where: str, given: Mapping[str, Collection[str]]) -> dict[str, Any]:
    table = _table(table, where)
    return dict(zip(table, every(lambda key: check_value(key, table[key], where, given), table), strict=True))


def _axes(grid: Mapping[str, Any], where: str, given: Mapping[str, Collection[str]]) -> dict[str, list[Any]]:
    flat = flatten(grid)
    return dict(zip(flat, every(lambda key: _axis(key, flat[key], where, given), flat), strict=True))


def flatten(grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return a grid with `options = {b1 = [...]}` as `options.b1`, the tables of other custom functions too."""
    flat: dict[str, Any] = {}
    for key, value in grid.items():
        if key in OPTION_TABLES.values() and isinstance(value, Mapping):
            flat |= {f"{key}.{name}": values for name, values in value.items()}
        else:
            flat[key] = value
    return flat


def _axis(key: str, values: Any, where: str, given: Mapping[str, Collection[str]]) -> list[Any]:
    if key in NOT_FACTORS or key == "data_options":
        raise ConfigError(f"{where}.{key} = {shown(values)} cannot vary within a study; set it in [base]")
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}.{key} = {shown(values)} is not a list of values, as in {key} = [...]")
    if len(values) > MOST_VARIANTS:
        raise ConfigError(f"{where}.{key} has {len(values)} values; a comparison may have {MOST_VARIANTS} variants")
    checked = every(lambda value: check_value(key, value, where, given), values)
    if (key == "batch_size" and AUTO in checked) or (key == "precision" and AUTO_PRECISION in checked):
        raise ConfigError(
            f'{where}.{key} = {shown(values)}: "auto" cannot be in a grid: its value depends on the machine, and may be '
            "another value of the grid; name the values here, or set it in [base]"
        )
    return checked
