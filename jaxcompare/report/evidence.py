"""Evidence of the answers: a run's tables and studies, chosen by the factors that vary, never by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from jaxcompare.plots.plot import Plot
from jaxcompare.report.cells import accuracy, spread
from jaxcompare.report.measured import Measured, Study
from jaxcompare.report.records import targets_of, title
from jaxcompare.words import Words


@dataclass(frozen=True)
class Evidence:
    """The measurements of a run, and the language of the report."""

    words: Words
    measured: Measured
    pictures: Mapping[str, Mapping[str, Plot]]  # of each experiment, by file name

    def failures(self, row: pd.Series) -> str:
        """Return the failed runs of a row of the summary, and how many reached the target; empty where none failed."""
        target = targets_of(self.measured.told).get(str(row["experiment"]))
        reached = int(row["reached"]) if pd.notna(row.get("reached")) else None
        return self.words.failures(row["n"], row["n_diverged"], row["n_stuck"], reached, target)

    def accuracy(self, row: pd.Series) -> str:
        """Return a row's test accuracy in a sentence: its mean with interval; where runs failed, median, range and failures."""
        if not row["n_failed"]:
            return accuracy(self.words, row)
        values = self.measured.runs.loc[self.measured.runs["variant_id"] == row["variant_id"], "test_accuracy"]
        told = spread(self.words, row["test_accuracy_median"], values)
        return self.words.say("name.apart", name=told, apart=self.failures(row))

    def name(self, row: pd.Series, keys: Iterable[str]) -> str:
        """Return the name of a row: its levels of some factors."""
        known = [key for key in keys if not pd.isna(row[key])]  # a level lacks the options of others
        names = {key: "" if isinstance(row[key], str) else f"{self.words.factor(key)} " for key in known}
        return ", ".join(f"{name}{self.words.level(row[key], key)}" for key, name in names.items())

    def where(self, study: Study, studies: Sequence[Study]) -> str:
        """Return a study's data set, with its comparison where `studies` are of several, and its name where several remain."""
        told = self.words.level(study.dataset)
        alike = [one for one in studies if (one.experiment, one.dataset) == (study.experiment, study.dataset)]
        if len({one.name for one in alike}) > 1:
            told = self.words.say("report.study", dataset=told, study=self.words.level(study.name, "study"))
        if len({one.experiment for one in studies}) < 2:
            return told
        name = title(self.words, study.experiment, self.measured.told.get(study.experiment, {}))
        return self.words.say("answer.where", title=name, where=told)

    def label(self, row: pd.Series, keys: Iterable[str], where: str) -> str:
        """Return the name of a row with its place; the place alone where no factor names the row."""
        name = self.name(row, keys)
        return self.words.say("chart.series", name=name, where=where) if name else where

    def rate(self, row: pd.Series) -> str:
        """Return the rate of a row of `best`, and whether it is at its grid's edge; a grid of one rate has no mark."""
        edge = row.get("edge", "").replace("only", "")
        return self.words.say(f"table.edge_{edge}", rate=row["learning_rate"])
