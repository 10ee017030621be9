"""A comparison as data: Claim, Variant, Study, Comparison, and how variants are named. Standard library only."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import Settings, defaults, keys_of

SHORT = {"learning_rate": "rate", "batch_size": "batch", "clip_norm": "clip", "weight_decay": "decay"}  # for labels

RUN_KEYS = keys_of("run")


@dataclass(frozen=True)
class Claim:
    """One level of a factor is better than another: `factor = "loss", better = "cross_entropy", than = "mse"`."""

    factor: str
    better: Any
    than: Any

    def as_table(self) -> dict[str, Any]:
        """Return the claim as a config writes it."""
        sides = {key: getattr(self, key) for key in ("better", "than")}
        return {"factor": self.factor} | {k: list(v) if isinstance(v, tuple) else v for k, v in sides.items()}


@dataclass(frozen=True)
class Variant:
    """One cell of a study's grid: every choice but the seed."""

    variant_id: str
    label: str  # the values of the factors that vary in the study, without the data set
    settings: Settings


@dataclass(frozen=True)
class Study:
    """An expanded grid of variants, all at the same seeds."""

    name: str
    variants: tuple[Variant, ...]
    varied: tuple[str, ...]  # the factors that take more than one value
    roles: dict[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()  # the claims to test; empty: every pair of levels is compared
    confirm: int = 0  # the number of fresh seeds at which the selected variants are trained again
    confirms: str = ""  # the study that selected these variants, where this study confirms it

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds at which every variant is trained."""
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
    words: dict[str, dict[str, str]] = field(default_factory=dict)  # language -> title and question in that language
    labels: dict[str, str] = field(default_factory=dict)  # level -> its name in tables, pictures and report
    files: dict[str, str] = field(default_factory=dict)  # kind of file -> pattern of its name, where not the default

    def as_dict(self) -> dict[str, Any]:
        """Return everything that decides the results, for the record."""
        return asdict(self)

    def declared(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the claims of each study by (comparison, study), as `analysis.claims` takes them."""
        return {(self.name, study.name): [claim.as_table() for claim in study.claims] for study in self.studies}


def choices(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide a replica's numbers, where they are not at their defaults.

    A setting that a later version adds, at its default, therefore renames no variant. The number of seeds is not among them.
    """
    usual = defaults(settings)
    return {key: value for key, value in asdict(settings).items() if key not in RUN_KEYS and value != usual[key]}


def digest(content: Any) -> str:
    """Return the sha256 of any content that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def variant_id(comparison: str, study: str, settings: Settings) -> str:
    """Return the name of a variant, the same however the study is extended."""
    return f"{comparison}-{digest([study, choices(settings)])[:8]}"


def check_ids(comparison: str, studies: Iterable[Study]) -> None:
    """Raise ConfigError for two variants of one id, in one study or in two.

    An id has 32 bits of a digest: among 1000 variants two have one id in one of 9000 comparisons.
    """
    holders: dict[str, tuple[str, Variant]] = {}
    for study in studies:
        for variant in study.variants:
            name, earlier = holders.setdefault(variant.variant_id, (study.name, variant))
            if earlier is not variant:
                raise ConfigError(
                    f"{comparison}: {earlier.label!r} of study {name!r} and {variant.label!r} of study {study.name!r} "
                    f"have one id, {variant.variant_id}; rename a study, or change a value a little"
                )


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a setting, or of an option `options.NAME`."""
    table, point, name = key.partition(".")
    return getattr(settings, table).get(name) if point else getattr(settings, key)


def label(
    settings: Settings,
    keys: Iterable[str],
    levels: Mapping[str, Sequence[Any]] | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    """Return the values of some settings in words: `mse, rate 0.1`.

    Args:
        settings: of a variant.
        keys: the settings, or options `options.NAME`.
        levels: the values that a key takes.
        names: a config's labels, in place of texts.
    """
    words = []
    for key in keys:
        value = value_of(settings, key)
        if value is not None:
            name = SHORT.get(key, key.rpartition(".")[2].replace("_", " "))
            text = spell(value, (levels or {}).get(key, ()))
            words.append((names or {}).get(value, value) if isinstance(value, str) else f"{name} {text}")
    return ", ".join(words) or "the only variant"


def spell(value: Any, among: Iterable[Any] = ()) -> str:
    """Return a value as tables write it: `256-128` for widths, `%g` for numbers.

    A number has all its digits where `%g` would cut a whole number, or give the text of another number `among` its levels.

    >>> spell(0.1), spell(1234567.0), spell(0.1, [0.1, 0.10000001]), spell(0.10000001, [0.1, 0.10000001])
    ('0.1', '1234567', '0.1', '0.10000001')
    """
    if isinstance(value, list | tuple):
        return "-".join(str(part) for part in value)
    if value is None or value != value:
        return "-"  # a choice without the option
    if not isinstance(value, float):
        return str(value)
    text, whole = f"{value:g}", value.is_integer()
    alike = any(isinstance(other, float) and other != value and f"{other:g}" == text for other in among)
    if (whole or alike) and float(text) != value:
        return f"{value:.0f}" if whole else repr(float(value))
    return text


def key_of(value: Any) -> Any:
    """Return a level's value such that equal levels are equal, in whichever type a config, a table or JSON holds them.

    >>> key_of(1) == key_of(1.0), key_of([256, 128]) == key_of("256-128"), key_of("inf") == key_of(float("inf"))
    (True, True, True)
    """
    text = spell(value) if isinstance(value, list | tuple) else str(value)
    try:
        return text if text in ("True", "False") else float(text) + 0.0  # -0.0 is 0.0
    except ValueError:
        return text


def as_trained(value: Any) -> Any:
    """Return a value as training takes it: numbers rounded to float32, in tables and lists, too.

    Raises:
        OverflowError: a number that is finite, but not in float32.
    """
    if isinstance(value, Mapping):
        return {key: as_trained(part) for key, part in value.items()}
    return struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value
