"""Every word that a reader of pictures and reports sees, by key, a catalogue a language (`english.EN`, `korean.KO`).

A catalogue maps a key to a format string. `level.*` name the values of factors, `factor.*` the factors themselves.
Nothing here decides what is said: rules over the tables do, in `plots` and `report`.

What is drawn or told speaks the language that it is handed as `Words`, or, where it asks `say` and `level`, the one that
`speaking` has set around it: a context, as matplotlib's own style is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Number
from pathlib import PurePath
from typing import Any, NamedTuple

from jaxcompare.words.english import EN
from jaxcompare.words.korean import KO
from jaxcompare.words.particles import with_particles
from jaxcompare.words.plurals import with_singulars


class Words(NamedTuple):
    """What is said in one language."""

    catalogue: Mapping[str, str]
    language: str = "en"  # as HTML names it

    def say(self, key: str, /, **values: Any) -> str:
        """The text of `key`, filled in with `values`; an unknown key is an error."""
        return POLISHED.get(self.language, str)(self.catalogue[key].format(**values))

    def level(self, value: object, kind: str = "level") -> str:
        """A value of a factor (or a data set, a layer, an experiment) as a reader sees it."""
        if isinstance(value, float):
            if math.isnan(value):
                return self.say("number.none")
            return self.catalogue.get(f"{kind}.{value:g}") or f"{value:g}"
        if value is None:
            return self.say("number.none")
        known = self.catalogue.get(f"{kind}.{value}") or self.catalogue.get(f"level.{value}")
        stem, _, index = str(value).rpartition("_")
        if known is None and index.isdigit() and f"layer.{stem}" in self.catalogue:
            return self.say(f"layer.{stem}", index=index)
        return known or str(value).replace("_", " ")

    def value(self, value: object, kind: str) -> str:
        """A value of a factor where no column's head says which: a bare number has its factor's name before it."""
        told = self.catalogue.get(f"value.{kind}.{value}")
        if told is None and isinstance(value, Number) and value == value:
            return self.say("value.named", factor=self.factor(kind), value=self.level(value, kind))
        return told or self.level(value, kind)

    def factor(self, name: str) -> str:
        """A factor's own name."""
        return self.catalogue.get(f"factor.{name}") or name.replace("_", " ")

    def interval(self, mean: float, low: float, high: float, form: str = ".4f") -> str:
        """`0.969 [0.967, 0.971]`; without an interval the mean alone; without a mean a word for that."""
        if not math.isfinite(mean):
            return self.say("failed.no_mean")
        return rounded(mean, form) + self.bounds(low, high, form)

    def bounds(self, low: float, high: float, form: str) -> str:
        """` [0.967, 0.971]` to stand behind a figure; nothing where there is no interval."""
        return f" [{rounded(low, form)}, {rounded(high, form)}]" if math.isfinite(low) else ""

    def failures(
        self, n: int, n_diverged: int, n_stuck: int, reached: int | None = None, target: float | None = None
    ) -> str:
        """How many of `n` runs diverged or stayed at chance, and how many reached the target; empty where none failed."""
        counts = (("failed.diverged", n_diverged), ("failed.stuck", n_stuck))
        told = [self.say(key, k=k, n=n) for key, k in counts if k]
        if told and reached is not None and target is not None:  # what left chance need not have learnt
            told.append(self.say("failed.reached", k=reached, n=n, target=target))
        return "; ".join(told)


def rounded(value: float, form: str) -> str:
    """A number in a format; what rounds to zero has no sign."""
    text = f"{value:{form}}"
    return text.lstrip("+-") if float(text) == 0 else text


# What a language does to a sentence whose names are known.
POLISHED = {"en": with_singulars, "ko": with_particles}
# What is not translated yet is said in English; a test says what that is.
ENGLISH, KOREAN = Words(EN), Words(EN | KO, "ko")
LANGUAGES = {words.language: words for words in (ENGLISH, KOREAN)}

_spoken = ContextVar("spoken", default=ENGLISH)


@contextmanager
def speaking(words: Words) -> Iterator[Words]:
    """Whatever is drawn inside is labelled in this language."""
    token = _spoken.set(words)
    try:
        yield words
    finally:
        _spoken.reset(token)


def spoken() -> Words:
    """The language that is spoken here: English, unless `speaking` says otherwise."""
    return _spoken.get()


def say(key: str, /, **values: Any) -> str:
    """The text of `key` in the language that is spoken here."""
    return spoken().say(key, **values)


def level(value: object, kind: str = "level") -> str:
    """A value of a factor in the language that is spoken here."""
    return spoken().level(value, kind)


def value_of(value: object, kind: str) -> str:
    """A value of a factor where no column's head says which, in the language that is spoken here."""
    return spoken().value(value, kind)


def localised(name: str, language: str) -> str:
    """A file's name in a language: `report.md` as it is in English, `report.ko.md` in Korean; so with `report`."""
    if language == ENGLISH.language:
        return name
    path = PurePath(name)
    return f"{path.stem}.{language}{path.suffix}"


def language_of(name: str) -> str:
    """The language that `localised` gave a file's name, ending and all."""
    ending = PurePath(PurePath(name).stem).suffix.removeprefix(".")
    return ending if ending in LANGUAGES else ENGLISH.language
