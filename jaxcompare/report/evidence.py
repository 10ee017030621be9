"""What answers look at: the tables of a run, its studies found by the factors that vary in them, never by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare import analysis
from jaxcompare.analysis.gradients import LAYER_FIGURES, summarise_layers
from jaxcompare.report.records import targets_of
from jaxcompare.words import Words

NOT_OTHERS = ("learning_rate", "dataset")


class Study(NamedTuple):
    """A study on one data set in which the factors asked for vary."""

    experiment: str
    name: str
    dataset: str
    rows: pd.DataFrame  # its variants, of the summary
    others: tuple[str, ...]  # what else varies, the learning rate and the factors asked for apart


@dataclass(frozen=True)
class Evidence:
    """The tables of a run, in one language."""

    words: Words
    tables: Mapping[str, pd.DataFrame]
    told: Mapping[str, Mapping[str, Any]]
    pictures: Mapping[str, Sequence[str]]

    @cached_property
    def replicas(self) -> pd.DataFrame:
        """Those of every study but the ones that only confirm."""
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
        return found.join(_inside(tables["layers"])) if "layers" in tables else found

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a variant, with the columns of `summarise_layers`, and medians of what `runs` add."""
        rows = self.tables["summary"]
        rows = rows[rows["variant_id"].isin(self.replicas["variant_id"])]
        if "layers" in self.tables:
            kept = [name for name in rows if name not in LAYER_FIGURES and not str(name).startswith("vanished_layer")]
            rows = rows[kept].merge(summarise_layers(self.replicas, self.tables["layers"]), on="variant_id", how="left")
        groups = self.runs.groupby("variant_id")
        for name in (*INSIDE, "skipped_steps", "loss_scale"):
            if name in self.runs:
                complete = groups[name].count() == groups.size()
                rows = rows.merge(groups[name].median().where(complete).rename(name), on="variant_id", how="left")
        return rows

    def studies(self, *names: str, lacking: Iterable[str] = ()) -> list[Study]:
        """Every study and data set in which all of the factors `names` vary, and none of `lacking`."""
        found = []
        if any(name not in self.summary for name in names):
            return []
        groups = self.summary.groupby(["experiment", "study", "dataset"], sort=False)
        for place, rows in groups:
            varied = [name for name in (*names, *lacking) if name in rows and rows[name].nunique(dropna=False) > 1]
            if varied == list(names):
                experiment, study, dataset = map(str, place)
                found.append(Study(experiment, study, dataset, rows, self.others(rows, names)))
        return found

    def others(self, rows: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
        """What varies beside the factors asked for, those that follow from others left out."""
        mine = self.replicas[self.replicas["variant_id"].isin(rows["variant_id"])]
        asked = tuple(name for name in names if name not in NOT_OTHERS)
        return tuple(name for name in analysis.varying(mine, asked) if name not in (*names, *NOT_OTHERS))

    def best(self, rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """Of each cell of `keys` the variant that did best on validation, in the order of the config."""
        chosen = analysis.best_rates(rows, keys[0], tuple(keys[1:]))
        order = {variant: place for place, variant in enumerate(rows["variant_id"])}
        return chosen.sort_values("variant_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)

    def difference(self, first: str, second: str) -> analysis.Paired:
        """Of test accuracy, seed by seed, first - second."""
        return analysis.paired_variants(self.runs.reset_index(drop=True), first, second)

    def name(self, row: pd.Series, keys: Iterable[str]) -> str:
        """A row by the levels of some factors."""
        told = []
        for key in keys:
            level = self.words.level(row[key], key)
            told.append(level if isinstance(row[key], str) else f"{self.words.factor(key)} {level}")
        return ", ".join(told)

    def where(self, study: Study, studies: Sequence[Study]) -> str:
        """A study's data set, and its name where several are on that data set."""
        dataset = self.words.level(study.dataset)
        alike = [one for one in studies if one.dataset == study.dataset]
        if len(alike) < 2:
            return dataset
        return self.words.say("report.study", dataset=dataset, study=study.name)

    def rate(self, row: pd.Series) -> str:
        """The rate of a row of `best`, and whether it is at its grid's edge; that a rate was the only one says no more here."""
        edge = row.get("edge", "").replace("only", "")
        return self.words.say(f"table.edge_{edge}", rate=row["learning_rate"])


INSIDE = (
    *("first_initial", "last_initial", "first_final", "last_final"),
    *("dead_first", "dead_last", "underflow", "saturated"),
)


def _inside(layers: pd.DataFrame) -> pd.DataFrame:
    """Of each replica the gradient's norm in the first and last layer, at its first and last measured epoch; and at the last
    one the share of dead units (at the first, too), of gradients that underflow and of saturated activations."""
    ordered = layers.sort_values(["replica_id", "epoch", "layer_index"])
    epochs = ordered.groupby("replica_id")["epoch"]
    ends = {
        "initial": ordered["epoch"] == epochs.transform("min"),
        "final": ordered["epoch"] == epochs.transform("max"),
    }
    found = {}
    for when, keep in ends.items():
        norms = ordered[keep].groupby("replica_id")["gradient_norm"]
        found[f"first_{when}"], found[f"last_{when}"] = norms.agg(lambda v: v.iloc[0]), norms.agg(lambda v: v.iloc[-1])
    columns = {"dead_first": ("dead_fraction", "initial"), "dead_last": ("dead_fraction", "final")}
    columns |= {"underflow": ("gradient_underflow", "final"), "saturated": ("saturated_fraction", "final")}
    for name, (column, when) in columns.items():
        if column in ordered:
            found[name] = ordered[ends[when]].groupby("replica_id")[column].mean()
    return pd.DataFrame(found).replace([np.inf, -np.inf], np.nan)
