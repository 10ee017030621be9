"""One comparison made ready to be told, in one language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis import Declared, Finding
from jaxcompare.analysis.case import Case, every_case
from jaxcompare.report.cells import accuracy, spread
from jaxcompare.report.lines import Lines, lines_of
from jaxcompare.words import Words


@dataclass(frozen=True)
class View(Case):
    """A comparison and the language that it is told in."""

    words: Words
    costs: pd.DataFrame  # of each variant, as `analysis.costs`
    found: tuple[Finding, ...]  # `analysis.findings`
    lines: Lines | None  # what a page draws of its curves

    def named(self, levels: Mapping[str, object]) -> str:
        """A variant by its level and the factors kept apart, in words."""
        first, *others = self._levels(levels)
        return self.words.say("name.apart", name=first, apart=", ".join(others)) if others else first

    def _levels(self, levels: Mapping[str, object]) -> list[str]:
        """Without the options that a level does not have; of these alone, a word for none."""
        known = {
            key: value for key, value in levels.items() if value is not None and value == value
        }  # NaN is not itself
        return [self.words.value(value, key) for key, value in (known or levels).items()]

    def name(self, row: pd.Series) -> str:
        """A row's variant by its level and the factors kept apart."""
        return self.named({key: row[key] for key in (self.comparison.factor, *self.comparison.apart)})

    def failures(self, row: pd.Series) -> str:
        """How many runs of a variant failed and how; empty where none did."""
        return self.words.failures(row["n"], row["n_diverged"], row["n_stuck"])

    def accuracy(self, row: pd.Series) -> str:
        """A variant's test accuracy with its interval; where runs failed, its median and range, which need no mean."""
        if not row["n_failed"]:
            return accuracy(self.words, row)
        mine = self.runs.loc[self.runs["variant_id"] == row["variant_id"], "test_accuracy"]
        return spread(self.words, row["test_accuracy_median"], mine)

    def where(self) -> str:
        """The data set, and the study where it is not the main one."""
        dataset = self.words.level(self.comparison.dataset)
        if self.main:
            return self.words.say("report.dataset", dataset=dataset)
        return self.words.say("report.study", dataset=dataset, study=self.words.level(self.comparison.study, "study"))


def views(
    words: Words,
    tables: Mapping[str, pd.DataFrame],
    experiment: str,
    targets: Mapping[str, float | None],
    declared: Declared | None = None,
) -> list[View]:
    """Every comparison of an experiment, main studies first. `tables` must hold `summary`."""
    return every_view(words, tables, targets, declared, [experiment])[experiment]


def every_view(
    words: Words,
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None],
    declared: Declared | None = None,
    experiments: Iterable[str] | None = None,
) -> dict[str, list[View]]:
    """`views` of each of `experiments`, or of all. For another language replace their `words`: nothing else depends on it."""
    timing = tables.get("timing", pd.DataFrame())
    found = every_case(tables, targets, declared, experiments)
    return {name: [_view(words, case, timing) for case in cases] for name, cases in found.items()}


def _view(words: Words, case: Case, timing: pd.DataFrame) -> View:
    return View(
        **{one.name: getattr(case, one.name) for one in fields(Case)},
        words=words,
        costs=analysis.costs(analysis.rows_of(case.replicas, case.comparison), timing),
        found=tuple(analysis.findings(case)),
        lines=lines_of(case),
    )
