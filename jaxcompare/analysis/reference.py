"""Variants held against a reference level of a factor, all else equal; and what each variant's program costs."""

from __future__ import annotations

import pandas as pd

from jaxcompare.analysis.design import Comparison, rows_of
from jaxcompare.analysis.paired import paired_variants
from jaxcompare.analysis.pairs import figures

COSTS = ("argument_bytes", "temporary_bytes", "tile_replicas", "step_seconds")


def against(runs: pd.DataFrame, one: Comparison, factor: str, reference: object) -> pd.DataFrame:
    """The difference in test accuracy of each variant to the one that has `reference` in place of its own `factor`.

    Args:
        runs: of `finals`.
        one: the comparison; what else varies in it is the same in both.
        factor: `precision`, say.
        reference: a level of it.

    Returns:
        A row a variant of another level, with its factors and the columns of `claims` from `n` to `p_sign_flip` (seed by
        seed, with a 95% interval); a variant without a partner has none.
    """
    variants = rows_of(runs, one).drop_duplicates("variant_id")
    keys = [name for name in dict.fromkeys((one.factor, *one.apart)) if name != factor]
    rows = []
    for _, cell in variants.groupby(keys, sort=False, dropna=False) if keys else [((), variants)]:
        start = cell[cell[factor] == reference]
        for _, row in cell[cell[factor] != reference].iterrows() if len(start) == 1 else ():
            paired = paired_variants(runs, row["variant_id"], start["variant_id"].iloc[0])
            rows.append({name: row[name] for name in ("variant_id", factor, *keys)} | figures(paired))
    return pd.DataFrame(rows, columns=None if rows else ["variant_id", factor, *keys, "difference", "low", "high", "n"])


def costs(replicas: pd.DataFrame, timing: pd.DataFrame) -> pd.DataFrame:
    """A row a variant: what its program's compiled training takes of a device, and the time of a step.

    Returns:
        `variant_id`; `argument_bytes` and `temporary_bytes`, of a tile of `tile_replicas`; `step_seconds`, training seconds
        (evaluation left out) over the replicas and their steps: replicas train side by side, so it is not the time that one
        alone would take. NaN where it is not known.
    """
    variants = replicas.drop_duplicates("variant_id")
    found = variants[["variant_id"]].reset_index(drop=True)
    if "program" not in replicas or timing.empty:
        return found.assign(**dict.fromkeys(COSTS, float("nan")))
    table = timing.reindex(columns=list(dict.fromkeys([*timing.columns, *COSTS[:3]])))
    groups = table.assign(work=table["replicas"] * table["steps"]).groupby(["experiment", "program"])
    programs = groups[list(COSTS[:3])].max()  # the groups of a program are of one shape, unless memory lowered it
    sums = groups[["train_seconds", "work"]].sum()
    programs["step_seconds"] = sums["train_seconds"] / sums["work"]
    joined = variants[["experiment", "program"]].join(programs, on=["experiment", "program"])
    return found.assign(**{name: joined[name].to_numpy(float) for name in COSTS})
