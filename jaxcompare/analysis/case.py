"""One comparison with everything that rules and reports read: its variants, runs, best and common rates, claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxcompare.analysis.design import CONFIRMED, Comparison, at_level, comparisons, main_of, rows_of
from jaxcompare.analysis.gradients import with_layers
from jaxcompare.analysis.pairs import Declared, claims
from jaxcompare.analysis.runs import finals
from jaxcompare.analysis.selection import best_rates, common_rate


@dataclass(frozen=True)
class Case:
    """A comparison and its evidence."""

    comparison: Comparison
    replicas: pd.DataFrame  # of the whole run
    summary: pd.DataFrame  # of its variants, with the columns of `summarise_layers` where layers were measured
    runs: pd.DataFrame  # of its replicas, as `finals`
    history: pd.DataFrame  # of its replicas
    chosen: pd.DataFrame  # `best_rates`
    common: pd.DataFrame  # `common_rate`
    confirmed: pd.DataFrame  # the summary of the chosen variants on fresh seeds; without rows where there are none
    claims: pd.DataFrame  # its rows of `claims`
    target: float | None  # the validation accuracy to reach
    main: bool  # whether it is the data set's main comparison

    def variant(self, variant_id: str) -> pd.Series:
        """Return a row of the summary."""
        return row_of(self.summary, variant_id)

    def alike(self, row: pd.Series) -> pd.DataFrame:
        """Return the variants with a row's level and values of the separate factors, at any learning rate."""
        keep = pd.Series(True, index=self.summary.index)
        for name in self.comparison.varied("learning_rate"):
            keep &= at_level(self.summary[name], row[name])
        return self.summary[keep]


def row_of(summary: pd.DataFrame, variant_id: str) -> pd.Series:
    """Return the row of a variant.

    Raises:
        IndexError: there is no such variant.
    """
    return summary.iloc[int(np.flatnonzero(summary["variant_id"].to_numpy() == variant_id)[0])]


def every_case(
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None] | None = None,
    declared: Declared | None = None,
    experiments: Iterable[str] | None = None,
) -> dict[str, list[Case]]:
    """Return every comparison of each experiment, main studies first.

    Args:
        tables: `replicas`, `history` and `summary`; `layers`, `timing` and `claims` where there are any.
        targets: the validation accuracy to reach, for each experiment that has a target.
        declared: of `claims`, where `tables` lacks them.
        experiments: names; None takes all.
    """
    replicas, targets = tables["replicas"], targets or {}
    runs = finals(replicas, tables["history"], targets, tables.get("timing"))
    summary = with_layers(tables["summary"], replicas, tables.get("layers"))
    claimed = tables["claims"] if "claims" in tables else claims(replicas, summary, runs, declared)
    measured = {**tables, "summary": summary, "runs": runs, "claims": claimed}
    cases: dict[str, list[Case]] = {}
    for name in replicas["experiment"].unique() if experiments is None else experiments:
        every = comparisons(replicas[replicas["experiment"] == name])
        main = list(main_of(every).values())
        ordered = (*main, *(other for other in every if other not in main))
        cases[name] = [_case(measured, one, targets.get(name), main=one in main) for one in ordered]
    return cases


def _case(tables: Mapping[str, pd.DataFrame], comparison: Comparison, target: float | None, *, main: bool) -> Case:
    """Return a comparison with its rows of the tables, which have `runs` and `claims`."""
    summary, history = tables["summary"], tables["history"]
    rows = rows_of(summary, comparison)
    runs = tables["runs"][tables["runs"]["variant_id"].isin(rows["variant_id"])]
    chosen = best_rates(rows, comparison.factor, comparison.apart)
    tried = rows
    if comparison.rates_set:  # nobody chose a rate: none is at an edge, and none is compared with a common rate
        chosen, tried = chosen.assign(edge="", at_edge=False), rows.iloc[:0]
    return Case(
        comparison=comparison,
        replicas=tables["replicas"],
        summary=rows,
        runs=runs,
        history=history[history["replica_id"].isin(runs["replica_id"])],
        chosen=chosen,
        common=common_rate(tried, comparison.factor, comparison.apart),
        confirmed=summary[summary["variant_id"].isin(chosen["variant_id"] + CONFIRMED)],
        claims=rows_of(tables["claims"], comparison),
        target=target,
        main=main,
    )
