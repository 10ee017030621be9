"""Results computed from a run's tables once, for all languages: studies, their best variants, the verdicts on differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.gradients import LAYER_FIGURES, LAYER_NAMES, summarise_layers
from jaxcompare.analysis.pairs import reading
from jaxcompare.report.inside import INSIDE, inside
from jaxcompare.report.programs import programs_of
from jaxcompare.report.records import targets_of

NOT_OTHERS = ("learning_rate", "dataset")


class Judged(NamedTuple):
    """A difference in test accuracy between two variants, in points, and what may be said of it."""

    reading: str  # as in `claims`
    difference: float
    low: float  # of the 95% interval of this difference alone
    high: float
    n: int
    p: float  # corrected after Holm
    family: int  # the number of differences corrected together
    fresh: bool  # on seeds that chose nothing
    claimed: bool  # a claim of the study, corrected over all of its claims


class Study(NamedTuple):
    """A study on one data set in which the factors asked for vary."""

    experiment: str
    name: str
    dataset: str
    rows: pd.DataFrame  # its variants, of the summary
    others: tuple[str, ...]  # the other factors that vary, without the learning rate


class Place(NamedTuple):
    """A study on one data set."""

    experiment: str
    name: str
    dataset: str
    rows: pd.DataFrame  # its variants, of the summary
    variants: pd.DataFrame  # the same, of the replicas


@dataclass(frozen=True)
class Measured:
    """The tables of a run and the results computed from them once, for all languages."""

    tables: Mapping[str, pd.DataFrame]
    told: Mapping[str, Mapping[str, Any]]
    kept: dict[tuple, Any] = field(default_factory=dict, repr=False, compare=False)  # answers of `studies` and `best`

    @cached_property
    def replicas(self) -> pd.DataFrame:
        """The replicas of every study, without the studies that only confirm."""
        table = self.tables["replicas"]
        return table[table["confirms"].fillna("") == ""] if "confirms" in table else table

    @cached_property
    def runs(self) -> pd.DataFrame:
        """`finals`, with what was counted or measured inside at the last epoch: a row a replica."""
        tables = self.tables
        found = analysis.finals(self.replicas, tables["history"], targets_of(self.told), tables.get("timing"))
        found = found.set_index("replica_id", drop=False)
        last = tables["history"].sort_values("epoch").groupby("replica_id").last()
        for name in ("skipped_steps", "loss_scale"):
            if name in last:
                found[name] = last[name]
        return found.join(inside(tables["layers"])) if "layers" in tables else found

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a variant, with the columns of `summarise_layers`, and medians of what `runs` add."""
        rows = self.tables["summary"]
        rows = rows[rows["variant_id"].isin(self.replicas["variant_id"])]
        if "layers" in self.tables:
            missing = [name for name in (*LAYER_FIGURES, *LAYER_NAMES) if name not in rows]
            if missing:
                found = summarise_layers(self.replicas, self.tables["layers"])
                rows = rows.merge(found[["variant_id", *missing]], on="variant_id", how="left")
        groups = self.runs.groupby("variant_id")
        for name in (*INSIDE, "skipped_steps", "loss_scale"):
            if name in self.runs:
                complete = groups[name].count() == groups.size()
                rows = rows.merge(groups[name].median().where(complete).rename(name), on="variant_id", how="left")
        return rows

    @cached_property
    def places(self) -> list[Place]:
        """Every study on every data set."""
        variants = analysis.variants_of(self.replicas)
        groups = self.summary.groupby(["experiment", "study", "dataset"], sort=False)
        return [
            Place(*names, rows, variants[variants["variant_id"].isin(rows["variant_id"])])
            for place, rows in groups
            for names in [(str(place[0]), str(place[1]), str(place[2]))]
        ]

    def studies(self, *names: str, lacking: Iterable[str] = ()) -> list[Study]:
        """Return every study and data set in which all of the factors `names` vary, and none of `lacking`."""
        if any(name not in self.summary for name in names):
            return []
        lacking = tuple(lacking)
        if (names, lacking) not in self.kept:
            self.kept[names, lacking] = [
                Study(*one[:4], _others(one.variants, names))
                for one in self.places
                if _varying(one.rows, (*names, *lacking)) == list(names)
            ]
        return list(self.kept[names, lacking])

    def rates_set(self, rows: pd.DataFrame) -> bool:
        """Return whether the variants' study says that its learning rates were set: no rate is the best."""
        places = set(
            rows[["experiment", "study", "dataset"]].drop_duplicates().astype(str).itertuples(index=False, name=None)
        )
        return bool(places) and places <= self._set

    @cached_property
    def comparisons(self) -> list[analysis.Comparison]:
        """The comparisons of every experiment."""
        return analysis.comparisons(self.replicas)

    @cached_property
    def _set(self) -> set[tuple[str, str, str]]:
        return {(one.experiment, one.study, one.dataset) for one in self.comparisons if one.rates_set}

    def best(self, rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """Return the variant of each cell of `keys` that did best on validation, in the order of the config.

        Where the study's learning rates were set, the rows are every rate of the cell, and none is at an edge.

        Args:
            rows: variants, of `summary`.
            keys: factors.
        """
        asked = ("best", *rows["variant_id"], *keys)
        if asked not in self.kept:
            self.kept[asked] = self._best(rows, keys)
        return self.kept[asked]

    def _best(self, rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        was_set = self.rates_set(rows)
        if was_set:  # nobody chose: every rate is a row
            several = rows.groupby(list(keys), dropna=False)["learning_rate"].nunique() > 1
            keys = (*keys, "learning_rate") if several.any() and "learning_rate" not in keys else keys
        chosen = analysis.best_rates(rows, keys[0], tuple(keys[1:]))
        if was_set:
            chosen = chosen.assign(edge="", at_edge=False)
        order = {variant: place for place, variant in enumerate(rows["variant_id"])}
        return chosen.sort_values("variant_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """The table of that name."""
        if "claims" in self.tables:
            return self.tables["claims"]
        runs = self.runs.reset_index(drop=True)
        return analysis.claims(self.replicas, self.tables["summary"], runs, analysis.declared_in(self.told))

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judged]:
        """Return the verdict on each difference in test accuracy, first - second, by the ids of variants.

        A claim of the study gives its verdict; the other differences are corrected after Holm over themselves.
        """
        claimed = [analysis.between(self.claims, *pair) for pair in pairs]
        alone = {pair: self.difference(*pair) for pair, claim in zip(pairs, claimed, strict=True) if claim is None}
        corrected = dict(zip(alone, analysis.holm([one.p_t for one in alone.values()]), strict=True))
        found = []
        for pair, claim in zip(pairs, claimed, strict=True):
            if claim is not None:
                difference, low, high = (100 * float(claim[name]) for name in ("difference", "low", "high"))
                counts = (int(claim["n"]), float(claim["p_t_holm"]), int(claim["family"]), bool(claim["fresh_seeds"]))
                found.append(Judged(str(claim["reading"]), difference, low, high, *counts, True))
                continue
            one, p = alone[pair], float(corrected[pair])
            difference, low, high = (100 * value for value in (one.mean, one.low, one.high))
            told = reading(one.n, one.mean, p)
            found.append(Judged(told, difference, low, high, one.n, p, len(alone), False, False))
        return found

    @cached_property
    def main(self) -> list[analysis.Comparison]:
        """The main comparisons of every experiment."""
        mine = ([one for one in self.comparisons if one.experiment == name] for name in self.told)
        return [one for each in mine for one in analysis.main_of(each).values()]

    def comparing(self, *factors: str) -> set[str]:
        """Return the experiments with a main study that compares any of these factors."""
        return {one.experiment for one in self.main if set(factors) & set(one.compared)}

    @cached_property
    def last_gradients(self) -> pd.DataFrame:
        """`bands` of the gradient's norm in each network's last layer."""
        layers = self.tables["layers"]
        last = layers[layers["layer_index"] == layers.groupby("replica_id")["layer_index"].transform("max")]
        return analysis.bands(last, self.replicas, value="gradient_norm")

    def difference(self, first: str, second: str) -> analysis.Paired:
        """Return the paired difference of test accuracy, seed by seed, first - second."""
        return analysis.paired_variants(self.runs, first, second)

    @cached_property
    def programs(self) -> pd.DataFrame:
        """`programs_of` the run."""
        return programs_of(self.tables.get("timing"), self.replicas, self.told)


def others_of(studies: Iterable[Study]) -> tuple[str, ...]:
    """Return the other factors that vary in any of these studies."""
    return tuple(dict.fromkeys(name for study in studies for name in study.others))


def _varying(rows: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in rows and rows[name].nunique(dropna=False) > 1]


def _others(variants: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Return the factors that vary beside `names`, without factors that follow from others."""
    asked = tuple(name for name in names if name not in NOT_OTHERS)
    return tuple(name for name in analysis.varying(variants, asked) if name not in (*names, *NOT_OTHERS))
