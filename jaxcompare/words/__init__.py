"""Every word that a reader of pictures and reports sees, by key, so that another language is another dict (`english.EN`).

A catalogue maps a key to a format string. `level.*` name the values of factors, `factor.*` the factors themselves.
Nothing here decides what is said: rules over the tables do, in `plots` and `report`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Number
from typing import Any, NamedTuple

from jaxcompare.words.english import EN


class Words(NamedTuple):
    """What is said in one language."""

    catalogue: Mapping[str, str]

    def say(self, key: str, /, **values: Any) -> str:
        """The text of `key`, filled in with `values`; an unknown key is an error."""
        return self.catalogue[key].format(**values)

    def level(self, value: object, kind: str = "level") -> str:
        """A value of a factor (or a data set, a layer, an experiment) as a reader sees it."""
        if isinstance(value, float):
            return self.say("number.none") if math.isnan(value) else f"{value:g}"
        if value is None:
            return self.say("number.none")
        known = self.catalogue.get(f"{kind}.{value}") or self.catalogue.get(f"level.{value}")
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
        return f"{mean:{form}}" + (f" [{low:{form}}, {high:{form}}]" if math.isfinite(low) else "")

    def bounds(self, low: float, high: float, form: str) -> str:
        """` [0.967, 0.971]` to stand behind a figure; nothing where there is no interval."""
        return f" [{low:{form}}, {high:{form}}]" if math.isfinite(low) else ""

    def failures(self, n: int, n_diverged: int, n_stuck: int) -> str:
        """How many of `n` runs diverged or stayed at chance; empty where none did."""
        counts = (("failed.diverged", n_diverged), ("failed.stuck", n_stuck))
        return "; ".join(self.say(key, k=k, n=n) for key, k in counts if k)


ENGLISH = Words(EN)
say, level, value_of = ENGLISH.say, ENGLISH.level, ENGLISH.value
