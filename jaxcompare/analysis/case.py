"""One comparison with everything that rules and reports look at: its variants, runs, best and common rates, claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxcompare.analysis.design import CONFIRMED, Comparison, comparisons, main_of, rows_of
from jaxcompare.analysis.gradients import LAYER_FIGURES, summarise_layers
from jaxcompare.analysis.pairs import Declared, claims
from jaxcompare.analysis.runs import finals
from jaxcompare.analysis.selection import best_rates, common_rate


@dataclass(frozen=True)
class Case:
    """A comparison and what is said of it rests on."""

    comparison: Comparison
    replicas: pd.DataFrame  # of the whole run
    summary: pd.DataFrame  # its variants, with the columns of `summarise_layers` where layers were measured
    runs: pd.DataFrame  # its replicas, as `finals`
    history: pd.DataFrame  # its replicas' rows
    chosen: pd.DataFrame  # `best_rates`
    common: pd.DataFrame  # `common_rate`
    confirmed: (
        pd.DataFrame
    )  # the summary of what was chosen, on fresh seeds; without rows where it was not trained again
    claims: pd.DataFrame  # its rows of `claims`
    target: float | None
    main: bool  # whether it is the data set's main comparison

    def variant(self, variant_id: str) -> pd.Series:
        """A row of the summary."""
        return row_of(self.summary, variant_id)

    def alike(self, row: pd.Series) -> pd.DataFrame:
        """The variants with a row's level and its values of the factors kept apart: what the rate alone tells apart."""
        keep = pd.Series(True, index=self.summary.index)
        for name in (self.comparison.factor, *self.comparison.apart):
            if name != "learning_rate":
                keep &= (self.summary[name] == row[name]) | (self.summary[name].isna() & pd.isna(row[name]))
        return self.summary[keep]


def row_of(summary: pd.DataFrame, variant_id: str) -> pd.Series:
    """The row of a variant; raises IndexError where there is none."""
    return summary.iloc[int(np.flatnonzero(summary["variant_id"].to_numpy() == variant_id)[0])]


def cases(
    tables: Mapping[str, pd.DataFrame],
    experiment: str,
    targets: Mapping[str, float | None] | None = None,
    declared: Declared | None = None,
) -> list[Case]:
    """Every comparison of an experiment, main studies first. `tables` must hold `summary`; `claims` are used if there."""
    return every_case(tables, targets, declared, [experiment])[experiment]


def every_case(
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None] | None = None,
    declared: Declared | None = None,
    experiments: Iterable[str] | None = None,
) -> dict[str, list[Case]]:
    """`cases` of each of `experiments`, or of all."""
    replicas, summary, targets = tables["replicas"], tables["summary"], targets or {}
    runs = finals(replicas, tables["history"], targets, tables.get("timing"))
    if "layers" in tables and not set(LAYER_FIGURES) <= set(summary):
        kept = [name for name in summary if name not in LAYER_FIGURES]
        summary = summary[kept].merge(summarise_layers(replicas, tables["layers"]), on="variant_id", how="left")
    told = tables["claims"] if "claims" in tables else claims(replicas, summary, runs, declared)
    whole = comparisons(replicas)
    names = replicas["experiment"].unique() if experiments is None else experiments
    measured = {**tables, "summary": summary, "runs": runs, "claims": told}
    return {
        name: _cases(measured, [one for one in whole if one.experiment == name], targets.get(name)) for name in names
    }


def _cases(tables: Mapping[str, pd.DataFrame], every: Sequence[Comparison], target: float | None) -> list[Case]:
    """Those of one experiment, from the tables with `runs` and `claims`."""
    replicas, history, summary, runs = (tables[name] for name in ("replicas", "history", "summary", "runs"))
    main = list(main_of(every).values())
    found = []
    for one in (*main, *(other for other in every if other not in main)):
        rows = rows_of(summary, one)
        mine = runs[runs["variant_id"].isin(rows["variant_id"])]
        chosen = best_rates(rows, one.factor, one.apart)
        if one.rates_set:  # nothing was chosen, so no edge can be met
            chosen = chosen.assign(edge="", at_edge=False)
        # Nor is there then anything to hold against a common rate.
        common = common_rate(rows.iloc[:0] if one.rates_set else rows, one.factor, one.apart)
        found.append(
            Case(
                comparison=one,
                replicas=replicas,
                summary=rows,
                runs=mine,
                history=history[history["replica_id"].isin(mine["replica_id"])],
                chosen=chosen,
                common=common,
                confirmed=summary[summary["variant_id"].isin(chosen["variant_id"] + CONFIRMED)],
                claims=rows_of(tables["claims"], one),
                target=target,
                main=one in main,
            )
        )
    return found
