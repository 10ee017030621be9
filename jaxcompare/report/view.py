"""One comparison made ready to be told: its variants, runs, best and common rates, in one language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis import Comparison, Paired
from jaxcompare.words import Words


class Difference(NamedTuple):
    """Two rows of `chosen`, and how far the first is above the second in test accuracy."""

    first: pd.Series
    second: pd.Series
    paired: Paired

    def reading(self) -> str:
        """`above`, `below`, `none` (no difference shown), `few` (seeds) or `failed`: what may be claimed."""
        one = self.paired
        if math.isnan(one.mean):
            return "failed"
        if one.n < analysis.FEWEST_SEEDS:
            return "few"
        if one.p_t >= 0.05 or one.low <= 0 <= one.high:
            return "none"
        return "above" if one.mean > 0 else "below"


class View(NamedTuple):
    """A comparison and what the report says about it rests on."""

    words: Words
    comparison: Comparison
    replicas: pd.DataFrame
    summary: pd.DataFrame  # with `analysis.summarise_layers` beside it, where layers were measured
    runs: pd.DataFrame  # `analysis.finals`
    chosen: pd.DataFrame  # `analysis.best_rates`
    common: pd.DataFrame  # `analysis.common_rate`
    target: float | None
    main: bool  # whether it is the data set's main comparison
    by_level: list[Difference]  # the leader on validation against every other level
    by_apart: list[Difference]  # for each level, the best value of the factors kept apart against every other

    def name(self, row: pd.Series) -> str:
        """A variant by its level and the factors kept apart."""
        name = self.words.level(row[self.comparison.factor], self.comparison.factor)
        apart = ", ".join(self.words.level(row[key], key) for key in self.comparison.apart)
        return self.words.say("name.apart", name=name, apart=apart) if apart else name

    def failures(self, row: pd.Series) -> str:
        """How many runs of a variant failed and how; empty where none did."""
        return self.words.failures(row["n"], row["n_diverged"], row["n_stuck"])

    def where(self) -> str:
        """The data set, and the study where it is not the main one."""
        dataset = self.words.level(self.comparison.dataset)
        if self.main:
            return self.words.say("report.dataset", dataset=dataset)
        return self.words.say("report.study", dataset=dataset, study=self.comparison.study)


def views(
    words: Words, tables: Mapping[str, pd.DataFrame], experiment: str, targets: Mapping[str, float | None]
) -> list[View]:
    """Every comparison of an experiment, main studies first. `tables` must hold `summary`."""
    replicas = tables["replicas"]
    runs = analysis.finals(replicas, tables["history"], targets)
    summary = tables["summary"]
    if "layers" in tables:
        summary = summary.merge(analysis.summarise_layers(replicas, tables["layers"]), on="variant_id", how="left")
    main = list(analysis.main_comparisons(replicas, experiment).values())
    every = analysis.comparisons(replicas[replicas["experiment"] == experiment])
    others = [one for one in every if one not in main]
    found = []
    for one in (*main, *others):
        rows = analysis.rows_of(summary, one)
        chosen = analysis.best_rates(rows, one.factor, one.apart)
        common = analysis.common_rate(rows, one.factor, one.apart)
        mine = runs[runs["variant_id"].isin(rows["variant_id"])]
        target = targets.get(experiment)
        by_level = _against_first(mine, cells(chosen, one.apart))
        by_apart = _against_first(mine, [analysis.ranked(rows) for rows in cells(chosen, (one.factor,))])
        found.append(View(words, one, replicas, rows, mine, chosen, common, target, one in main, by_level, by_apart))
    return found


def cells(table: pd.DataFrame, keys: tuple[str, ...]) -> list[pd.DataFrame]:
    """The rows of a table by the values of `keys`, in order; all of them where there is no key."""
    return [rows for _, rows in table.groupby(list(keys), sort=False, dropna=False)] if keys else [table]


def _against_first(runs: pd.DataFrame, groups: list[pd.DataFrame]) -> list[Difference]:
    """In each group of variants the first against every other, seed by seed."""
    return [
        Difference(first, other, analysis.paired_variants(runs, first["variant_id"], other["variant_id"]))
        for first, *others in ([row for _, row in rows.iterrows()] for rows in groups)
        for other in others
    ]
