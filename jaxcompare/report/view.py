"""One comparison with all that the report says of it, in one language."""

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
    """A comparison and the language of the report."""

    words: Words
    costs: pd.DataFrame  # of each variant, as `analysis.costs`
    found: tuple[Finding, ...]  # `analysis.findings`
    lines: Lines | None  # its curves on the page

    def named(self, levels: Mapping[str, object]) -> str:
        """Return a variant's name: its level and the factors kept separate."""
        first, *others = self._levels(levels)
        return self.words.say("name.apart", name=first, apart=", ".join(others)) if others else first

    def _levels(self, levels: Mapping[str, object]) -> list[str]:
        """Return names without the options that a level does not have; a word for none where it has no other."""
        known = {
            key: value for key, value in levels.items() if value is not None and value == value
        }  # NaN is not itself
        return [self.words.value(value, key) for key, value in (known or levels).items()]

    def name(self, row: pd.Series) -> str:
        """Return the name of a row's variant: its level and the factors kept separate."""
        return self.named({key: row[key] for key in self.comparison.varied()})

    def failures(self, row: pd.Series) -> str:
        """Return how many runs of a variant failed, and how; empty where none failed."""
        return self.words.failures(row["n"], row["n_diverged"], row["n_stuck"])

    def accuracy(self, row: pd.Series) -> str:
        """Return a variant's test accuracy with its interval; where runs failed, its median and range, which need no mean."""
        if not row["n_failed"]:
            return accuracy(self.words, row)
        mine = self.runs.loc[self.runs["variant_id"] == row["variant_id"], "test_accuracy"]
        return spread(self.words, row["test_accuracy_median"], mine)

    def where(self) -> str:
        """Return the data set, and the study where it is not the main study."""
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
    """Return every comparison of an experiment, main studies first; `tables` must hold `summary`."""
    return every_view(words, tables, targets, declared, [experiment])[experiment]


def every_view(
    words: Words,
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None],
    declared: Declared | None = None,
    experiments: Iterable[str] | None = None,
) -> dict[str, list[View]]:
    """Return `views` of each of `experiments`, or of all; only the field `words` depends on the language."""
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
