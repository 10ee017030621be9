"""Claims of the form "X is better than Y": declared in a config or every pair, each with what speaks for it.

A claim rests on the test accuracy of both levels at the settings that validation chose, seed by seed, and on fresh seeds
where the chosen settings were trained again. It is shown where the paired t test's p, corrected after Holm over the study's
claims on all of its data sets, is below 5%.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.analysis.design import CONFIRMED, Comparison, cells, comparisons, rows_of
from jaxcompare.analysis.estimates import FEWEST_SEEDS
from jaxcompare.analysis.paired import Paired, holm, paired_variants
from jaxcompare.analysis.selection import best_rates
from jaxcompare.config.comparison import spell

SIGNIFICANT = 0.05
Declared = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]  # (experiment, study) -> tables of a config's `claims`

COLUMNS = (
    *("experiment", "study", "dataset", "factor", "first", "second", "apart", "first_id", "second_id", "declared"),
    *("fresh_seeds", "n", "difference", "low", "high", "wins", "ties", "effect", "effect_low", "effect_high"),
    *("p_t", "p_sign_flip", "family", "p_t_holm", "p_sign_flip_holm", "reading"),
)


EFFECT_COLUMNS = (
    *("experiment", "study", "dataset", "factor", "first", "second", "level", "learning_rate", "apart"),
    *("first_id", "second_id", "difference", "low", "high", "wins", "ties", "n", "p_t", "p_sign_flip"),
    *("effect", "effect_low", "effect_high", "p_t_holm", "family", "reading"),
)


class Pair(NamedTuple):
    """Two levels to be held against each other, in one cell of the other factors."""

    comparison: Comparison
    factor: str
    others: tuple[str, ...]  # what is kept apart
    first: pd.Series  # rows of `best_rates`
    second: pd.Series
    declared: bool


def declared_in(records: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Sequence[Mapping[str, Any]]]:
    """The claims that the configs in a manifest's records declare, by experiment and study."""
    return {
        (experiment, study["name"]): study.get("claims", ())
        for experiment, about in records.items()
        for study in (about.get("config") or {}).get("study", ())
    }


def claims(
    replicas: pd.DataFrame, summary: pd.DataFrame, runs: pd.DataFrame, declared: Declared | None = None
) -> pd.DataFrame:
    """The table `claims`: a row a claim, a data set and a cell of the factors kept apart.

    Args:
        replicas: for the studies' design.
        summary: of `summarise`.
        runs: of `finals`.
        declared: claims by experiment and study, each with `factor`, `better` and `than`. A study without any claims every
            pair of levels of its scientific factors, the one ahead on validation first.

    Returns:
        `difference` is the mean of first - second in test accuracy with its interval; `effect` is Cohen's d_z; `p_t_holm` and
        `p_sign_flip_holm` are corrected over `family` claims; `reading` is `above`, `below`, `none` (no difference shown),
        `few` (seeds) or `failed` (a run diverged, so there is no mean).
    """
    rows = [_row(pair, runs) for one in comparisons(replicas) for pair in _pairs(one, summary, declared or {})]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for _, family in table.groupby(["experiment", "study"], sort=False):
        table.loc[family.index, "family"] = len(family)
        for name in ("p_t", "p_sign_flip"):
            table.loc[family.index, f"{name}_holm"] = holm(family[name].to_numpy(float))
    for name in ("p_t_holm", "p_sign_flip_holm"):
        table[name] = table[name].astype(float)
    table["family"] = table["family"].astype(int)
    table["reading"] = [reading(*row) for row in zip(table["n"], table["difference"], table["p_t_holm"], strict=True)]
    return table


def selected(replicas: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """The ids of the variants at each level's best rate, in every study: those that a confirmation trains again."""
    chosen = [best_rates(rows_of(summary, one), one.factor, one.apart) for one in comparisons(replicas)]
    return [str(name) for rows in chosen for name in rows["variant_id"]]


def reading(n: int, difference: float, p: float) -> str:
    """What may be claimed of a difference with a corrected p."""
    if np.isnan(difference):
        return "failed"
    if n < FEWEST_SEEDS:
        return "few"
    if not p < SIGNIFICANT:
        return "none"
    return "above" if difference > 0 else "below"


def _pairs(one: Comparison, summary: pd.DataFrame, declared: Declared) -> Iterator[Pair]:
    mine = rows_of(summary, one)
    written = declared.get((one.experiment, one.study), ())
    for claim in written:
        factor = claim["factor"]
        others = tuple(name for name in (one.factor, *one.apart) if name != factor)
        for cell in cells(best_rates(mine, factor, others), others):
            found = {spell(row[factor]): row for _, row in cell.iterrows()}
            names = [spell(claim[side]) for side in ("better", "than")]
            if set(names) <= found.keys():
                yield Pair(one, factor, others, found[names[0]], found[names[1]], True)
    if written:
        return
    for factor in one.compared or (one.factor,):
        others = tuple(name for name in (one.factor, *one.apart) if name != factor)
        for cell in cells(best_rates(mine, factor, others), others):
            for (_, first), (_, second) in itertools.combinations(cell.iterrows(), 2):
                yield Pair(one, factor, others, first, second, False)


def _row(pair: Pair, runs: pd.DataFrame) -> dict[str, Any]:
    ids = [str(row["variant_id"]) for row in (pair.first, pair.second)]
    fresh = all((runs["variant_id"] == f"{name}{CONFIRMED}").any() for name in ids)
    paired = paired_variants(runs, *(f"{name}{CONFIRMED}" if fresh else name for name in ids))
    apart = ", ".join(f"{name} {spell(pair.first[name])}" for name in pair.others)
    return {
        **{name: getattr(pair.comparison, name) for name in ("experiment", "study", "dataset")},
        "factor": pair.factor,
        "first": spell(pair.first[pair.factor]),
        "second": spell(pair.second[pair.factor]),
        "apart": apart,
        "first_id": ids[0],
        "second_id": ids[1],
        "declared": pair.declared,
        "fresh_seeds": fresh,
        **figures(paired),
    }


OPPOSITE = {"above": "below", "below": "above"}
TURNED = {
    "first": "second",
    "first_id": "second_id",
    "low": "high",
    "effect_low": "effect_high",
}  # sides that change places


def between(table: pd.DataFrame, first: str, second: str) -> pd.Series | None:
    """The row of `claims` about two variants, by their ids, as first - second; None where nothing is claimed of them."""
    for one, other in ((first, second), (second, first)):
        rows = table[(table["first_id"] == one) & (table["second_id"] == other)] if len(table) else table
        if not len(rows):
            continue
        row = rows.iloc[0].copy()
        if one != first:
            for a, b in TURNED.items():
                row[a], row[b] = row[b], row[a]
            for name in ("difference", "low", "high", "effect", "effect_low", "effect_high"):
                row[name] = -row[name]
            row["wins"] = row["n"] - row["wins"] - row["ties"]
            row["reading"] = OPPOSITE.get(row["reading"], row["reading"])
        return row
    return None


def figures(paired: Paired) -> dict[str, Any]:
    """A difference as columns."""
    return {"difference" if name == "mean" else name: value for name, value in paired._asdict().items()}


def effects(replicas: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """What each factor kept apart does at every level and rate, without any choice: cosine minus constant, say.

    A row a factor, a level of it other than its first one (the baseline), and a cell of all else that varies, the learning
    rate too: `difference` in test accuracy, first - second, where `second` is the baseline. Corrected after Holm over a
    comparison's rows. These are for reading on, not for claims: nothing in them was chosen or declared.
    """
    tables = [_effects(rows_of(runs, one), one) for one in comparisons(replicas)]
    tables = [table for table in tables if not table.empty]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(EFFECT_COLUMNS))


def _effects(runs: pd.DataFrame, one: Comparison) -> pd.DataFrame:
    variants = runs.drop_duplicates("variant_id")
    rows = []
    for factor in (name for name in one.apart if name != "learning_rate"):
        baseline = variants[factor].iloc[0]
        others = [name for name in dict.fromkeys((one.factor, *one.apart, "learning_rate")) if name != factor]
        for _, cell in variants.groupby(others, sort=False, dropna=False):
            start = cell[cell[factor] == baseline]
            for _, row in cell[cell[factor] != baseline].iterrows() if len(start) == 1 else ():
                ids = {"first_id": row["variant_id"], "second_id": start["variant_id"].iloc[0]}
                where = {name: getattr(one, name) for name in ("experiment", "study", "dataset")}
                names = {"factor": factor, "first": spell(row[factor]), "second": spell(baseline)}
                cell_of = {"level": spell(row[one.factor]), "learning_rate": row["learning_rate"]}
                apart = ", ".join(f"{name} {spell(row[name])}" for name in others[1:] if name != "learning_rate")
                paired = figures(paired_variants(runs, *ids.values()))
                rows.append(where | names | cell_of | {"apart": apart} | ids | paired)
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    table["p_t_holm"] = holm(table["p_t"].to_numpy(float))
    table["family"] = len(table)
    table["reading"] = [reading(*row) for row in zip(table["n"], table["difference"], table["p_t_holm"], strict=True)]
    return table
