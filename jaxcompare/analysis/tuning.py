"""Rules about the tuning of learning rates: optimizers that lose to a special case of themselves, and near-ties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from jaxcompare.analysis.case import Case
from jaxcompare.analysis.design import cells
from jaxcompare.analysis.estimates import t_quantile
from jaxcompare.analysis.finding import Finding, at_rate, name_of, summary_finding
from jaxcompare.analysis.paired import paired_variants
from jaxcompare.analysis.pairs import SIGNIFICANT, between

# An optimizer of `optimizers.py` and its special cases, which it equals for some setting of its options (Choi et al. 2019,
# "On empirical comparisons of optimizers for deep learning"). A well-tuned optimizer cannot lose to a special case. Momentum 0
# is SGD. A large epsilon turns Adam into momentum (up to the bias correction of its first steps) and RMSProp into SGD. The
# paper's RMSProp has momentum, too; the RMSProp here has none.
SPECIAL_CASES = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "rmsprop": ("sgd",),
    "adam": ("momentum", "sgd"),
    "adamw": ("adam", "momentum", "sgd"),
}
# AdamW decays weights outside its update, so these optimizers are no special cases once they decay: coupled decay passes
# through their accumulators.
WITHOUT_DECAY = {"adamw": ("adam", "momentum")}


def under_tuned(case: Case) -> Iterator[Finding]:
    """Yield optimizers that lose to a special case of themselves, each at its best rate: they were not tuned enough."""
    if case.comparison.factor != "optimizer":
        return
    threshold = "the special case is ahead in test accuracy: by its claim, else by the 95% interval alone"
    pairs = [(general, special) for general, specials in SPECIAL_CASES.items() for special in specials]
    for cell in cells(case.chosen, case.comparison.apart):
        rows = {row["optimizer"]: row for _, row in cell.iterrows()}
        for both in ([rows[general], rows[special]] for general, special in pairs if {general, special} <= rows.keys()):
            ahead = _ahead(case, both[1]["variant_id"], both[0]["variant_id"]) if _covers(*both) else None
            if ahead:
                key, values = ahead
                values |= {"name": name_of(case, both[0]), "special": name_of(case, both[1])}
                columns = ("learning_rate", "test_accuracy_mean")
                yield summary_finding(case, "under_tuned", key, values, threshold, both, *columns)


def _covers(general: pd.Series, special: pd.Series) -> bool:
    """Return whether an optimizer can equal a special case, which may have decayed its weights."""
    decay = float(special.get("weight_decay", 0.0) or 0.0)
    return special["optimizer"] not in WITHOUT_DECAY.get(general["optimizer"], ()) or not decay > 0


def _ahead(case: Case, first: str, second: str) -> tuple[str, dict[str, Any]] | None:
    """Return the sentence and figures (points) of a first that is ahead of a second: by the claim, else by the interval."""
    claim = between(case.claims, first, second)
    if claim is not None:
        figures = {name: 100 * float(claim[name]) for name in ("difference", "low", "high")}
        figures |= {"p_value": float(claim["p_t_holm"]), "family": int(claim["family"]), "n": int(claim["n"])}
        return ("finding.under_tuned_claimed", figures) if claim["reading"] == "above" else None
    pair = paired_variants(case.runs, first, second)
    figures = {"difference": 100 * pair.mean, "low": 100 * pair.low, "high": 100 * pair.high, "n": pair.n}
    return ("finding.under_tuned", figures) if pair.low > 0 else None


def near_ties(case: Case) -> Iterator[Finding]:
    """Yield rates whose validation accuracy is within one standard error of the best rate's, with each claim at both."""
    comparison = case.comparison
    if comparison.rates_set or comparison.factor == "learning_rate":
        return
    threshold = "validation_accuracy_mean within one standard error of the best rate's, with as many failed runs"
    columns = ("learning_rate", "n_failed", "validation_accuracy_mean", "test_accuracy_mean")
    for _, row in case.chosen.iterrows():
        error = (row["validation_accuracy_high"] - row["validation_accuracy_mean"]) / t_quantile(int(row["n"]))
        mine = case.alike(row)
        gap = row["validation_accuracy_mean"] - mine["validation_accuracy_mean"]
        tied = (gap <= error) & (mine["n_failed"] == row["n_failed"]) & (mine["learning_rate"] != row["learning_rate"])
        for _, near in mine[tied].iterrows():
            values = at_rate(case, row) | {"n": int(row["n"])}
            values |= {"near": near["learning_rate"], "gap": 100 * float(gap[near.name])}
            at_both = [_at_both(case, row, near, claim) for claim in _claims_of(case, row)]
            key = "finding.near_tie_claim" if at_both else "finding.near_tie"
            for more in at_both or [{}]:
                yield summary_finding(case, "near_tie", key, values | more, threshold, [row, near], *columns)


def _claims_of(case: Case, row: pd.Series) -> list[pd.Series]:
    """Return the claims that compare a chosen variant with another level."""
    mine = case.claims[case.claims["factor"] == case.comparison.factor]
    sides = (mine["first_id"] == row["variant_id"]) | (mine["second_id"] == row["variant_id"])
    return [claim for _, claim in mine[sides].iterrows()]


def _at_both(case: Case, row: pd.Series, near: pd.Series, claim: pd.Series) -> dict[str, Any]:
    """Return the differences from the claim's other side at the best and the near rate, on the choosing seeds, uncorrected."""
    other = claim["second_id"] if claim["first_id"] == row["variant_id"] else claim["first_id"]
    pairs = [paired_variants(case.runs, side["variant_id"], other) for side in (row, near)]
    values: dict[str, Any] = {"other": name_of(case, case.variant(str(other))), "fresh": bool(claim["fresh_seeds"])}
    for key, pair in zip(("best", "near"), pairs, strict=True):
        values |= {f"difference_{key}": 100 * pair.mean, f"p_{key}": pair.p_t}
    signs = [(pair.p_t < SIGNIFICANT) * np.sign(pair.mean) for pair in pairs]
    return values | {"turns": bool(signs[0] != signs[1])}
