"""Variants compared with a reference level of a factor, all else equal; and the cost of each variant's program."""

from __future__ import annotations

import pandas as pd

from jaxcompare.analysis.design import Comparison, partners, rows_of
from jaxcompare.analysis.paired import paired_variants
from jaxcompare.analysis.pairs import figures

COSTS = ("argument_bytes", "temporary_bytes", "tile_replicas", "step_seconds")


def against(runs: pd.DataFrame, comparison: Comparison, factor: str, reference: object) -> pd.DataFrame:
    """Compute each variant's difference in test accuracy from the variant that has `reference` as its level of `factor`.

    Args:
        runs: of `finals`.
        comparison: a study on a data set; its other factors are equal in both variants.
        factor: `precision`, say.
        reference: a level of `factor`.

    Returns:
        A row for each variant of another level: its factors, and the columns of `claims` from `n` to `p_sign_flip` (seed by
        seed, with a 95% interval). A variant without a partner has no row.
    """
    variants = rows_of(runs, comparison).drop_duplicates("variant_id")
    keys = comparison.varied(factor)
    rows = [
        {name: row[name] for name in ("variant_id", factor, *keys)}
        | figures(paired_variants(runs, row["variant_id"], start["variant_id"]))
        for row, start in partners(variants, keys, factor, reference)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["variant_id", factor, *keys, "difference", "low", "high", "n"])


def costs(replicas: pd.DataFrame, timing: pd.DataFrame) -> pd.DataFrame:
    """Return the device memory and the time of a step that each variant's compiled program takes.

    Returns:
        A row for each `variant_id`. `argument_bytes` and `temporary_bytes` are those of a tile of `tile_replicas`.
        `step_seconds` are training seconds, without evaluation, over the replicas and their steps. Replicas train side by
        side: a single run would take another time. NaN where a figure is unknown.
    """
    variants = replicas.drop_duplicates("variant_id")
    table = variants[["variant_id"]].reset_index(drop=True)
    if "program" not in replicas or timing.empty:
        return table.assign(**dict.fromkeys(COSTS, float("nan")))
    timing = timing.reindex(columns=list(dict.fromkeys([*timing.columns, *COSTS[:3]])))
    groups = timing.assign(work=timing["replicas"] * timing["steps"]).groupby(["experiment", "program"])
    programs = groups[list(COSTS[:3])].max()  # all groups of a program have one shape, unless memory lowered it
    seconds = groups["train_seconds"].agg(lambda tiles: tiles.sum(skipna=False))
    programs["step_seconds"] = seconds / groups["work"].sum()
    joined = variants[["experiment", "program"]].join(programs, on=["experiment", "program"])
    return table.assign(**{name: joined[name].to_numpy(float) for name in COSTS})
