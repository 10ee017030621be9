"""Claims of the form "X is better than Y", declared in a config or for every pair, each with its evidence.

A claim compares the test accuracy of both levels seed by seed, at the settings that validation chose. Its seeds are fresh
where the chosen settings were trained again. A claim is shown where the p of the paired t test is below 5%. That p is
corrected after Holm over the study's claims on all of its data sets.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcompare.analysis.design import CONFIRMED, Comparison, cells, comparisons, partners, rows_of
from jaxcompare.analysis.estimates import FEWEST_SEEDS
from jaxcompare.analysis.paired import Paired, holm, paired_variants
from jaxcompare.analysis.selection import best_rates
from jaxcompare.config.comparison import key_of, spell

_LOG = logging.getLogger(__name__)
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
    """Two levels to compare, in one cell of the other factors."""

    comparison: Comparison
    factor: str
    others: tuple[str, ...]  # the separate factors
    first: pd.Series  # rows of `best_rates`
    second: pd.Series
    declared: bool
    levels: Mapping[str, Sequence[Any]]  # of the study, by factor

    def spell(self, row: pd.Series, factor: str) -> str:
        """Return a row's level of a factor as text, unlike that of any other level."""
        return spell(row[factor], self.levels.get(factor, ()))


def declared_in(records: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Sequence[Mapping[str, Any]]]:
    """Return the claims that the configs in a manifest's records declare, by experiment and study."""
    return {
        (experiment, study["name"]): study.get("claims", ())
        for experiment, about in records.items()
        for study in (about.get("config") or {}).get("study", ())
    }


def claims(
    replicas: pd.DataFrame, summary: pd.DataFrame, runs: pd.DataFrame, declared: Declared | None = None
) -> pd.DataFrame:
    """Compute the table `claims`: the evidence for each claim, on each data set and in each cell of the separate factors.

    Args:
        replicas: the table `replicas`, for the studies' factors.
        summary: of `summarise`.
        runs: of `finals`.
        declared: claims by experiment and study, each with `factor`, `better` and `than`. A study without any claims every
            pair of levels of its scientific factors, the level ahead on validation first.

    Returns:
        A row for each claim, with `COLUMNS`. `difference`, `low` and `high` are the mean of first - second in test accuracy
        (0 to 1) with its 95% interval; `effect` is Cohen's d_z with its interval. `p_t_holm` and `p_sign_flip_holm` are
        corrected over `family` claims. `reading` is `above`, `below`, `none` (no difference shown), `few` (seeds) or
        `failed` (a run diverged, so there is no mean).
    """
    compared = comparisons(replicas)
    pairs = [pair for comparison in compared for pair in _pairs(comparison, summary, declared or {})]
    _tell_unmatched(compared, pairs, declared or {})
    rows = [_row(pair, runs) for pair in pairs]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for _, family in table.groupby(["experiment", "study"], sort=False):
        table.loc[family.index, "family"] = len(family)
        for name in ("p_t", "p_sign_flip"):
            table.loc[family.index, f"{name}_holm"] = holm(family[name].to_numpy(float))
    for name in ("p_t_holm", "p_sign_flip_holm"):
        table[name] = table[name].astype(float)
    table["family"] = table["family"].astype(int)
    return _with_readings(table)


def _tell_unmatched(compared: Sequence[Comparison], pairs: Sequence[Pair], declared: Declared) -> None:
    """Log an error for each declared claim whose two levels no comparison has: the claim would be missing unnoticed."""
    tested = {
        (pair.comparison.experiment, pair.comparison.study, pair.factor, *sorted(map(str, sides)))
        for pair in pairs
        for sides in [(key_of(pair.first[pair.factor]), key_of(pair.second[pair.factor]))]
    }
    for place in dict.fromkeys((one.experiment, one.study) for one in compared):
        for claim in declared.get(place, ()):
            sides = sorted(str(key_of(claim[side])) for side in ("better", "than"))
            if (*place, claim["factor"], *sides) not in tested:
                _LOG.error("%s: study %r: no variants for the claim %s", *place, dict(claim))


def selected(replicas: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Return the ids of the variants at each level's best rate, in every study; a confirmation trains these again."""
    chosen = [best_rates(rows_of(summary, one), one.factor, one.apart) for one in comparisons(replicas)]
    return [str(name) for rows in chosen for name in rows["variant_id"]]


def reading(n: int, difference: float, p: float) -> str:
    """Return what a difference with a corrected p shows."""
    if np.isnan(difference):
        return "failed"
    if n < FEWEST_SEEDS:
        return "few"
    if not p < SIGNIFICANT:
        return "none"
    return "above" if difference > 0 else "below"


def _with_readings(table: pd.DataFrame) -> pd.DataFrame:
    figures_of = zip(table["n"], table["difference"], table["p_t_holm"], strict=True)
    return table.assign(reading=[reading(*row) for row in figures_of])


def _pairs(comparison: Comparison, summary: pd.DataFrame, declared: Declared) -> Iterator[Pair]:
    """Yield the declared claims of a comparison; without any, every pair of levels of its scientific factors."""
    mine = rows_of(summary, comparison)
    levels = _levels(mine, comparison)
    written = declared.get((comparison.experiment, comparison.study), ())
    every = [{"factor": factor} for factor in comparison.compared or (comparison.factor,)]
    for claim in written or every:
        factor = claim["factor"]
        others = comparison.varied(factor)
        for cell in cells(best_rates(mine, factor, others), others):
            for first, second in _sides(cell, claim):
                yield Pair(comparison, factor, others, first, second, bool(written), levels)


def _levels(rows: pd.DataFrame, comparison: Comparison) -> dict[str, list[Any]]:
    """Return the levels of every factor that varies in a comparison."""
    names = (comparison.factor, *comparison.varied(), "learning_rate")
    return {name: rows[name].unique().tolist() for name in dict.fromkeys(names)}


def _sides(cell: pd.DataFrame, claim: Mapping[str, Any]) -> Iterable[tuple[pd.Series, pd.Series]]:
    """Return the two rows of a declared claim, if the cell has both; every two rows where no side is declared."""
    rows = [row for _, row in cell.iterrows()]
    if "better" not in claim:
        return itertools.combinations(rows, 2)
    by_level = {key_of(row[claim["factor"]]): row for row in rows}
    better, than = key_of(claim["better"]), key_of(claim["than"])
    return [(by_level[better], by_level[than])] if {better, than} <= by_level.keys() else []


def _row(pair: Pair, runs: pd.DataFrame) -> dict[str, Any]:
    ids = [str(row["variant_id"]) for row in (pair.first, pair.second)]
    fresh = all((runs["variant_id"] == f"{name}{CONFIRMED}").any() for name in ids)
    paired = paired_variants(runs, *(f"{name}{CONFIRMED}" if fresh else name for name in ids))
    return {
        **pair.comparison.where,
        "factor": pair.factor,
        "first": pair.spell(pair.first, pair.factor),
        "second": pair.spell(pair.second, pair.factor),
        "apart": ", ".join(f"{name} {pair.spell(pair.first, name)}" for name in pair.others),
        "first_id": ids[0],
        "second_id": ids[1],
        "declared": pair.declared,
        "fresh_seeds": fresh,
        **figures(paired),
    }


OPPOSITE = {"above": "below", "below": "above"}
TURNED = {"first": "second", "first_id": "second_id", "low": "high", "effect_low": "effect_high"}  # these change places
SIGNED = ("difference", "low", "high", "effect", "effect_low", "effect_high")


def between(table: pd.DataFrame, first: str, second: str) -> pd.Series | None:
    """Return the row of `claims` about two variants, by their ids, as first - second; None where there is no claim."""
    for sides in ((first, second), (second, first)):
        rows = table[(table["first_id"] == sides[0]) & (table["second_id"] == sides[1])] if len(table) else table
        if not len(rows):
            continue
        row = rows.iloc[0].copy()
        if sides[0] != first:
            for a, b in TURNED.items():
                row[a], row[b] = row[b], row[a]
            for name in SIGNED:
                row[name] = -row[name]
            row["wins"] = row["n"] - row["wins"] - row["ties"]
            row["reading"] = OPPOSITE.get(row["reading"], row["reading"])
        return row
    return None


def figures(paired: Paired) -> dict[str, Any]:
    """Return a difference as columns."""
    return {"difference" if name == "mean" else name: value for name, value in paired._asdict().items()}


def effects(replicas: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Compute the table `effects`: separate factors at every level and rate, without any choice (cosine minus constant, say).

    Args:
        replicas: the table `replicas`, for the studies' factors.
        runs: of `finals`.

    Returns:
        A row for each separate factor, each of its levels except for the first (the baseline), and each cell of everything
        else that varies, the learning rate included; with `EFFECT_COLUMNS`. `difference` is first - second in test accuracy
        (0 to 1); `second` is the baseline. p is corrected after Holm over a comparison's rows. The table is for further
        reading, not for claims: nothing in it was chosen or declared.
    """
    tables = [_effects(rows_of(runs, comparison), comparison) for comparison in comparisons(replicas)]
    tables = [table for table in tables if not table.empty]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(EFFECT_COLUMNS))


def _effects(runs: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    variants = runs.drop_duplicates("variant_id")
    levels, rows = _levels(variants, comparison), []
    for factor in (name for name in comparison.apart if name != "learning_rate"):
        baseline = variants[factor].iloc[0]
        keys = tuple(dict.fromkeys((*comparison.varied(factor), "learning_rate")))
        for row, start in partners(variants, keys, factor, baseline):
            ids = {"first_id": row["variant_id"], "second_id": start["variant_id"]}
            names = {
                "factor": factor,
                "first": spell(row[factor], levels[factor]),
                "second": spell(baseline, levels[factor]),
            }
            level = spell(row[comparison.factor], levels[comparison.factor])
            cell = {"level": level, "learning_rate": row["learning_rate"]}
            others = (name for name in keys[1:] if name != "learning_rate")
            cell["apart"] = ", ".join(f"{name} {spell(row[name], levels[name])}" for name in others)
            rows.append(comparison.where | names | cell | ids | figures(paired_variants(runs, *ids.values())))
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    return _with_readings(table.assign(p_t_holm=holm(table["p_t"].to_numpy(float)), family=len(table)))
