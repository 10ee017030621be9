"""Messages that readers of pictures, reports and the command line see: one catalogue of texts per language.

A catalogue is a TOML file beside this module (`en.toml`, `ko.toml`) that maps keys to format strings. `level.*` names the
values of factors, `factor.*` the factors themselves. Rules in `analysis`, `plots` and `report` decide which message applies.
Functions receive a language as `Words`; functions of `plots` use `say` and `level`, which follow the context set by
`speaking`. Every folder but `types`, `system`, `fonts` and `config` may import this one, which needs the standard library only.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Number
from pathlib import Path, PurePath
from typing import Any

from jaxcompare.words.particles import with_particles
from jaxcompare.words.plurals import with_singulars

# Grammar that depends on the inserted values.
CORRECTIONS = {"en": with_singulars, "ko": with_particles}


@dataclass(frozen=True)
class Words:
    """The messages of one language."""

    language: str  # as HTML names it
    # The texts of levels for which %g is too short.
    numbers: Mapping[float, str] = field(default_factory=dict, hash=False)
    titles: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # of comparisons that the catalogue does not name
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)  # of levels, from configs

    @cached_property
    def catalogue(self) -> Mapping[str, str]:
        """Format strings by key, read at the first use."""
        return tomllib.loads(Path(__file__).with_name(f"{self.language}.toml").read_text("utf-8"))

    def say(self, key: str, /, **values: Any) -> str:
        """Return the message of `key` with `values` inserted; raise KeyError for an unknown key."""
        shown = {name: _Number(value) if isinstance(value, float) else value for name, value in values.items()}
        return CORRECTIONS[self.language](self.catalogue[key].format(**shown))

    def level(self, value: object, kind: str = "level") -> str:
        """Return the name of a factor's value (or of a data set, a layer, an experiment)."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self.say("number.none")
        if isinstance(value, float):
            return self.catalogue.get(f"{kind}.{value:g}") or self.numbers.get(value) or f"{value:g}"
        if kind != "experiment" and str(value) in self.labels:
            return self.labels[str(value)]
        known = self.catalogue.get(f"{kind}.{value}") or self.catalogue.get(f"level.{value}")
        stem, _, index = str(value).rpartition("_")
        if known is None and index.isdigit() and f"layer.{stem}" in self.catalogue:
            return self.say(f"layer.{stem}", index=index)
        title = self.titles.get(str(value)) if kind == "experiment" else None
        text = str(value)  # the name of a custom function or a file keeps its underscores
        return known or title or (text if ":" in text else text.replace("_", " "))

    def value(self, value: object, kind: str) -> str:
        """Return a value's name for a place that does not show the factor: a number follows its factor's name."""
        known = self.catalogue.get(f"value.{kind}.{value}")
        if known is None and isinstance(value, Number) and value == value:
            return self.say("value.named", factor=self.factor(kind), value=self.level(value, kind))
        return known or self.level(value, kind)

    def factor(self, name: str) -> str:
        """Return the name of a factor."""
        return self.catalogue.get(f"factor.{name}") or name.replace("_", " ")

    def interval(self, mean: float, low: float, high: float, form: str = ".4f") -> str:
        """Return `0.969 [0.967, 0.971]`; the mean alone without an interval; a phrase where the mean is not finite."""
        if not math.isfinite(mean):
            return self.say("failed.no_mean")
        return rounded(mean, form) + self.bounds(low, high, form)

    def bounds(self, low: float, high: float, form: str) -> str:
        """Return ` [0.967, 0.971]`, to follow a figure; an empty string where there is no interval."""
        return f" [{rounded(low, form)}, {rounded(high, form)}]" if math.isfinite(low) else ""

    def failures(
        self, n: int, n_diverged: int, n_stuck: int, reached: int | None = None, target: float | None = None
    ) -> str:
        """Return how many of `n` runs diverged, stayed at chance, and reached `target`; empty where no run failed."""
        counts = (("failed.diverged", n_diverged), ("failed.stuck", n_stuck))
        parts = [self.say(key, k=k, n=n) for key, k in counts if k]
        if parts and reached is not None and target is not None:  # a run above chance may still miss the target
            parts.append(self.say("failed.reached", k=reached, n=n, target=target))
        return "; ".join(parts)


def rounded(value: float, form: str) -> str:
    """Format a number; zero has no sign, nor has a number that rounds to zero. A part is not rounded to nothing or to all.

    >>> rounded(-0.0004, "+.2f"), rounded(0.99996, ".1%"), rounded(0.0004, ".1%"), rounded(1.0, ".1%")
    ('0.00', '>99.9%', '<0.1%', '100.0%')
    """
    text = format(float(value), form)
    if form.endswith("%"):
        least = 10.0 ** -int(form.strip("+.%") or 0)
        if value > 0 and float(text[:-1]) == 0:
            return f"<{least:g}%"
        return f">{100 - least:g}%" if value < 1 and float(text[:-1]) == 100 else text
    if not any(digit in text for digit in "123456789") and "0" in text:
        return text.lstrip("+-")
    return text


def concise(value: float, digits: int = 3) -> str:
    """Format a number to `digits` digits; whole numbers, and numbers from 1,000 on, to ones.

    >>> concise(-0.0), concise(0.12345), concise(999.96), concise(12345.6)
    ('0', '0.123', '1,000', '12,346')
    """
    value = float(value) + 0.0  # -0.0 is 0
    text = f"{value:.{digits}g}"
    ones = value.is_integer() or abs(value) >= 1000 or "e+" in text
    return f"{value:,.0f}" if ones and math.isfinite(value) else text


class _Number(float):
    """A number in a message, formatted by `rounded`."""

    def __format__(self, form: str) -> str:
        return rounded(self, form)


LANGUAGES = {language: Words(language) for language in CORRECTIONS}
ENGLISH, KOREAN = LANGUAGES["en"], LANGUAGES["ko"]

_spoken = ContextVar("spoken", default=ENGLISH)


@contextmanager
def speaking(words: Words) -> Iterator[Words]:
    """Use a language for every picture drawn inside the context."""
    token = _spoken.set(words)
    try:
        yield words
    finally:
        _spoken.reset(token)


def spoken() -> Words:
    """Return the language of the context: English, unless `speaking` set another."""
    return _spoken.get()


def say(key: str, /, **values: Any) -> str:
    """Return the message of `key` in the language of the context."""
    return spoken().say(key, **values)


def level(value: object, kind: str = "level") -> str:
    """Return the name of a factor's value in the language of the context."""
    return spoken().level(value, kind)


def value_of(value: object, kind: str) -> str:
    """Return `Words.value` in the language of the context."""
    return spoken().value(value, kind)


def localised(name: str, language: str) -> str:
    """Return a file's name in a language.

    >>> localised("report.md", "en"), localised("report.md", "ko"), localised("report", "ko")
    ('report.md', 'report.ko.md', 'report.ko')
    """
    if language == ENGLISH.language:
        return name
    path = PurePath(name)
    return f"{path.stem}.{language}{path.suffix}"


def language_of(name: str) -> str:
    """Return the language of a file that `localised` named.

    >>> language_of("report.md"), language_of("report.ko.md")
    ('en', 'ko')
    """
    ending = PurePath(PurePath(name).stem).suffix.removeprefix(".")
    return ending if ending in LANGUAGES else ENGLISH.language
