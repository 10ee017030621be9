"""A comparison as data: Claim, Variant, Study, Comparison, and how variants are named. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from jaxcompare.config.settings import Settings, keys_of

SHORT = {"learning_rate": "rate", "batch_size": "batch", "clip_norm": "clip", "weight_decay": "decay"}  # for labels


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
    files: dict[str, str] = field(default_factory=dict)  # kind of file -> pattern of its name, where not the default

    def as_dict(self) -> dict[str, Any]:
        """Return everything that decides the results, for the record."""
        return asdict(self)

    def declared(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the claims of each study by (comparison, study), as `analysis.claims` takes them."""
        return {(self.name, study.name): [claim.as_table() for claim in study.claims] for study in self.studies}


def choices(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide a replica's numbers; the number of seeds is not among them."""
    return {key: value for key, value in asdict(settings).items() if key not in keys_of("run")}


def digest(content: Any) -> str:
    """Return the sha256 of any content that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def variant_id(comparison: str, study: str, settings: Settings) -> str:
    """Return the name of a variant, the same however the study is extended."""
    return f"{comparison}-{digest([study, choices(settings)])[:8]}"


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a setting, or of an option `options.NAME`."""
    return settings.options.get(key.removeprefix("options.")) if "." in key else getattr(settings, key)


def label(settings: Settings, keys: Iterable[str]) -> str:
    """Return the values of some settings in words: `mse, rate 0.1`."""
    words = []
    for key in keys:
        value = value_of(settings, key)
        if value is not None:
            name = SHORT.get(key, key.replace("_", " "))
            words.append(value if isinstance(value, str) else f"{name} {spell(value)}")
    return ", ".join(words) or "the only variant"


def spell(value: Any) -> str:
    """Return a value as tables write it: `256-128` for widths, `%g` for numbers."""
    if isinstance(value, list | tuple):
        return "-".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
