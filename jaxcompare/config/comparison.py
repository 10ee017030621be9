"""The words of a comparison as types: Claim, Variant, Study, Comparison; and how their values are spelled.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from jaxcompare.config.settings import Settings


@dataclass(frozen=True)
class Claim:
    """That one level of a factor is better than another: `factor = "loss", better = "cross_entropy", than = "mse"`."""

    factor: str
    better: Any
    than: Any

    def as_table(self) -> dict[str, Any]:
        """As it stands in a config."""
        sides = {key: getattr(self, key) for key in ("better", "than")}
        return {"factor": self.factor} | {k: list(v) if isinstance(v, tuple) else v for k, v in sides.items()}


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


def digest(content: Any) -> str:
    """The sha256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def variant_id(comparison: str, study: str, settings: Settings) -> str:
    """The name of a variant, the same however its study is extended."""
    return f"{comparison}-{digest([study, choices(settings)])[:8]}"


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a setting, or of an option `options.NAME`."""
    return settings.options.get(key.removeprefix("options.")) if "." in key else getattr(settings, key)


SHORT = {"learning_rate": "rate", "batch_size": "batch", "clip_norm": "clip", "weight_decay": "decay"}


def label(settings: Settings, keys: Iterable[str]) -> str:
    """The values of some keys in words: `mse, rate 0.1`."""
    words = []
    for key in keys:
        value = value_of(settings, key)
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
