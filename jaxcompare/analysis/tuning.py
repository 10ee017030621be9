"""Rules about how well learning rates were tuned: general optimizers that lose to special cases, rates that are as good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from jaxcompare.analysis.case import Case
from jaxcompare.analysis.design import cells
from jaxcompare.analysis.estimates import t_quantile
from jaxcompare.analysis.finding import Finding, name_of, summary_finding
from jaxcompare.analysis.paired import paired_variants
from jaxcompare.analysis.pairs import SIGNIFICANT, between

# An optimizer of `optimizers.py` and those that it becomes for some setting of its options (Choi et al. 2019, "On empirical
# comparisons of optimizers for deep learning"): tuned well enough it cannot lose to them. Momentum 0 is SGD. A large epsilon
# makes Adam momentum (up to the bias correction of its first steps) and RMSProp SGD: theirs has momentum, too, ours has none.
SPECIAL_CASES = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "rmsprop": ("sgd",),
    "adam": ("momentum", "sgd"),
    "adamw": ("adam", "momentum", "sgd"),
}
# AdamW's decay stands outside its update, so that it is no general case of these once they decay: coupled decay passes
# through what they accumulate.
WITHOUT_DECAY = {"adamw": ("adam", "momentum")}


def under_tuned(case: Case) -> list[Finding]:
    """General optimizers that lose to a special case of theirs, each at its best rate: they were not tuned enough."""
    if case.comparison.factor != "optimizer":
        return []
    found = []
    for cell in cells(case.chosen, case.comparison.apart):
        rows = {row["optimizer"]: row for _, row in cell.iterrows()}
        for general, specials in SPECIAL_CASES.items():
            for special in specials:
                if not {general, special} <= rows.keys() or not _covers(general, rows[special]):
                    continue
                shown = _ahead(case, rows[special]["variant_id"], rows[general]["variant_id"])
                if not shown:
                    continue
                key, values = shown
                values |= {"name": name_of(case, rows[general]), "special": name_of(case, rows[special])}
                threshold = "the special case is ahead in test accuracy: by its claim, else by the 95% interval alone"
                both = [rows[general], rows[special]]
                columns = ("learning_rate", "test_accuracy_mean")
                found.append(summary_finding(case, "under_tuned", key, values, threshold, both, *columns))
    return found


def _covers(general: str, special: pd.Series) -> bool:
    """Whether an optimizer can be what this special case was, which may have decayed its weights."""
    decay = float(special.get("weight_decay", 0.0) or 0.0)
    return special["optimizer"] not in WITHOUT_DECAY.get(general, ()) or not decay > 0


def _ahead(case: Case, first: str, second: str) -> tuple[str, dict[str, Any]] | None:
    """The sentence and figures (points) of a first that is ahead of a second: by what is claimed, else by their interval."""
    claim = between(case.claims, first, second)
    if claim is not None:
        figures = {name: 100 * float(claim[name]) for name in ("difference", "low", "high")}
        told = {"p_value": float(claim["p_t_holm"]), "family": int(claim["family"]), "n": int(claim["n"])}
        return ("finding.under_tuned_claimed", figures | told) if claim["reading"] == "above" else None
    pair = paired_variants(case.runs, first, second)
    figures = {"difference": 100 * pair.mean, "low": 100 * pair.low, "high": 100 * pair.high, "n": pair.n}
    return ("finding.under_tuned", figures) if pair.low > 0 else None


def near_ties(case: Case) -> list[Finding]:
    """Rates whose validation accuracy is within one standard error of the best one's, with each claim at both."""
    one = case.comparison
    if one.rates_set or one.factor == "learning_rate":
        return []
    threshold = "validation_accuracy_mean within one standard error of the best rate's, with as many failed runs"
    columns = ("learning_rate", "n_failed", "validation_accuracy_mean", "test_accuracy_mean")
    found = []
    for _, row in case.chosen.iterrows():
        error = (row["validation_accuracy_high"] - row["validation_accuracy_mean"]) / t_quantile(int(row["n"]))
        mine = case.alike(row)
        gap = row["validation_accuracy_mean"] - mine["validation_accuracy_mean"]
        tied = (gap <= error) & (mine["n_failed"] == row["n_failed"]) & (mine["learning_rate"] != row["learning_rate"])
        for _, near in mine[tied].iterrows():
            values: dict[str, Any] = {"name": name_of(case, row), "rate": row["learning_rate"], "n": int(row["n"])}
            values |= {"near": near["learning_rate"], "gap": 100 * float(gap[near.name])}
            at_both = [_at_both(case, row, near, claim) for claim in _claims_of(case, row)]
            keyed = [("finding.near_tie_claim", values | told) for told in at_both] or [("finding.near_tie", values)]
            found += [
                summary_finding(case, "near_tie", key, told, threshold, [row, near], *columns) for key, told in keyed
            ]
    return found


def _claims_of(case: Case, row: pd.Series) -> list[pd.Series]:
    """The claims in which a chosen variant is held against another level."""
    mine = case.claims[case.claims["factor"] == case.comparison.factor]
    sides = (mine["first_id"] == row["variant_id"]) | (mine["second_id"] == row["variant_id"])
    return [claim for _, claim in mine[sides].iterrows()]


def _at_both(case: Case, row: pd.Series, near: pd.Series, claim: pd.Series) -> dict[str, Any]:
    """The difference to the claim's other side at the best rate and at one as good, on the seeds that chose; uncorrected."""
    other = claim["second_id"] if claim["first_id"] == row["variant_id"] else claim["first_id"]
    pairs = [paired_variants(case.runs, one["variant_id"], other) for one in (row, near)]
    values: dict[str, Any] = {"other": name_of(case, case.variant(str(other))), "fresh": bool(claim["fresh_seeds"])}
    for key, pair in zip(("best", "near"), pairs, strict=True):
        values |= {f"difference_{key}": 100 * pair.mean, f"p_{key}": pair.p_t}
    signs = [(pair.p_t < SIGNIFICANT) * np.sign(pair.mean) for pair in pairs]
    return values | {"turns": bool(signs[0] != signs[1])}
