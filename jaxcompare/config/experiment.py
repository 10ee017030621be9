"""A comparison as data: a config is parsed, checked and expanded into variants. Standard library only.

config file -> load -> (override, quick) -> parse -> Comparison -> expand -> [Study of Variants]
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.names import AUTO_PRECISION
from jaxcompare.config.protocol import Claim, check_claims, check_confirm, check_roles
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import AUTO, KEYS, NOT_FACTORS, ConfigError, Settings, check_value, resolve_defaults

TOP_KEYS = ("title", "question", "target", "words", "base", "study")
TEXTS = ("title", "question")
STUDY_KEYS = ("name", "base", "grid", "roles", "claims", "confirm")
QUICK_EPOCHS, QUICK_SEEDS = 0.2, 2  # what --quick leaves: a share of the epochs, at least one; so many seeds


@dataclass(frozen=True)
class Variant:
    """One cell of a study's grid: every choice but the seed."""

    variant_id: str
    label: str  # what varies in its study, but for the data set, in words
    settings: Settings


@dataclass(frozen=True)
class Study:
    """A grid expanded."""

    name: str
    variants: tuple[Variant, ...]
    varied: tuple[str, ...]  # the factors that take more than one value
    roles: dict[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()  # what is to be tested; none: every pair of levels
    confirm: int = 0  # on how many fresh seeds the selected variants are trained again
    confirms: str = ""  # the study whose selected variants these are

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every variant is trained at."""
        first = self.variants[0].settings.first_seed
        return tuple(range(first, first + self.variants[0].settings.seeds))


@dataclass(frozen=True)
class Comparison:
    """One question with its studies."""

    name: str
    title: str
    question: str
    target: float | None  # validation accuracy for time-to-target
    studies: tuple[Study, ...]
    words: dict[str, dict[str, str]] = field(default_factory=dict)  # by language: title and question in it

    def as_dict(self) -> dict[str, Any]:
        """Everything that decides its results, for the record."""
        return asdict(self)

    def declared(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The claims of its studies, as `analysis.claims` takes them."""
        return {(self.name, study.name): [claim.as_table() for claim in study.claims] for study in self.studies}


def choices(settings: Settings) -> dict[str, Any]:
    """What decides a replica's numbers beside its seed: the same however many seeds there are."""
    return {key: value for key, value in asdict(settings).items() if key not in ("seeds", "first_seed")}


def confirming_share(study: Study) -> float:
    """About how much more training its confirmation is, as a share of the study's own."""
    kept = [key for key in study.varied if study.roles.get(key) != "nuisance"]
    levels = len({repr([_value(variant.settings, key) for key in kept]) for variant in study.variants})
    return study.confirm * levels / (len(study.seeds) * len(study.variants))


def digest(content: Any) -> str:
    """The sha256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def config_path(experiment: str) -> Path:
    """Where the config of `a`, `b`, `c` or of a file lies.

    Raises:
        ConfigError: neither a known name nor a file.
    """
    if experiment in names.EXPERIMENTS:
        package = Path(__file__).parent.parent
        inside, beside = package / "configs", package.parent / "configs"  # in an installed package; in a checkout
        return (inside if inside.is_dir() else beside) / names.EXPERIMENTS[experiment]
    path = Path(experiment)
    if path.suffix != ".toml":
        raise ConfigError(
            f"--exp: no comparison {experiment!r}; {nearest(experiment, [*names.EXPERIMENTS, 'all'])}, or a FILE.toml"
        )
    if not path.is_file():
        near = path.parent.glob("*.toml") if path.parent.is_dir() else []
        raise ConfigError(f"--exp: there is no file {experiment}; {nearest(path.name, sorted(p.name for p in near))}")
    return path


def load(experiment: str) -> tuple[str, dict[str, Any]]:
    """A comparison's name and its config, read but not checked.

    Raises:
        ConfigError: no such comparison or file, or the file is not TOML.
    """
    path = config_path(experiment)
    name = experiment if experiment in names.EXPERIMENTS else path.stem
    if experiment not in names.EXPERIMENTS and name in names.EXPERIMENTS:
        raise ConfigError(f"--exp: a file named {path.name} would take the place of comparison {name!r}; rename it")
    try:
        return name, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error


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
    varied = tuple(key for key in gridded if len({repr(_value(s, key)) for s in everything}) > 1)
    labelled = [key for key in varied if key != "dataset"]
    variants = tuple(Variant(variant_id(comparison, study["name"], s), label(s, labelled), s) for s in everything)
    roles = check_roles(study["roles"], varied, where)
    levels = {key: list(dict.fromkeys(_value(s, key) for s in everything)) for key in varied}
    claims = check_claims(study["claims"], levels, roles, where)
    return Study(study["name"], variants, varied, roles, claims, study["confirm"])


def variant_id(comparison: str, study: str, settings: Settings) -> str:
    """The name of a variant, the same however its study is extended."""
    return f"{comparison}-{digest([study, choices(settings)])[:8]}"


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


def _value(settings: Settings, key: str) -> Any:
    return settings.options.get(key.removeprefix("options.")) if "." in key else getattr(settings, key)


SHORT = {"learning_rate": "rate", "batch_size": "batch", "clip_norm": "clip", "weight_decay": "decay"}


def label(settings: Settings, keys: Iterable[str]) -> str:
    """The values of some keys in words: `mse, rate 0.1`."""
    words = []
    for key in keys:
        value = _value(settings, key)
        if value is None:
            continue
        name = SHORT.get(key, key.replace("_", " "))
        shown = value if isinstance(value, str) else f"{name} {spell(value)}"
        words.append(shown)
    return ", ".join(words) or "the only variant"


def spell(value: Any) -> str:
    """A value as it stands in tables: `256-128` for widths, `%g` for numbers."""
    if isinstance(value, tuple):
        return "-".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
