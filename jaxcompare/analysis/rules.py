"""What the tables show: each rule looks at one comparison and gives findings with their evidence, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from jaxcompare.analysis.case import Case, row_of
from jaxcompare.analysis.design import CONFIRMED, cells
from jaxcompare.analysis.finding import Finding, failures_of, name_of, summary_finding
from jaxcompare.analysis.gradients import EXPLODED, VANISHED
from jaxcompare.analysis.tuning import near_ties, under_tuned

DEAD = 0.01  # share of hidden units


def edges(case: Case) -> list[Finding]:
    """Best rates at the end of their grid."""
    threshold = "the best rate is the lowest, the highest or the only one of its grid"
    return [
        summary_finding(
            case, "rate_at_edge", f"finding.edge_{row['edge']}",
            {"name": name_of(case, row), "rate": row["learning_rate"]},
            threshold, [row], "learning_rate", "rates", "validation_accuracy_mean",
        )
        for _, row in case.chosen.iterrows()
        if row["edge"]
    ]  # fmt: skip


def failures(case: Case) -> list[Finding]:
    """Variants with runs that diverged or stayed at chance, at whatever rate."""
    failed = case.summary[case.summary["n_failed"] > 0].sort_values([case.comparison.factor, "learning_rate"])
    thresholds = {
        "divergence": "n_diverged > 0: a loss or a parameter that is not finite",
        "stuck_at_chance": "n_stuck > 0: final validation accuracy within two binomial standard errors of chance",
    }
    found = []
    for _, row in failed.iterrows():
        rule = "divergence" if row["n_diverged"] else "stuck_at_chance"
        values = {"name": name_of(case, row), "rate": row["learning_rate"], "failures": failures_of(case, row)}
        columns = ("learning_rate", "n_diverged", "n_stuck")
        found.append(summary_finding(case, rule, "finding.failed", values, thresholds[rule], [row], *columns))
    return found


def dead_units(case: Case) -> list[Finding]:
    """Dead units at the best rates, and the rate with the most of them where it is another."""
    if "dead_fraction_final" not in case.summary:
        return []
    found, told = [], set()
    for _, row in case.chosen.iterrows():
        mine = case.alike(row)
        shares = mine["dead_fraction_final"].sort_values(na_position="first")
        worst = mine.loc[shares.index[-1]]
        keyed = [("finding.dead_worst" if case.comparison.rates_set else "finding.dead", row)]
        keyed += [("finding.dead_worst", worst)] if worst["learning_rate"] != row["learning_rate"] else []
        for key, one in keyed:
            if not one["dead_fraction_final"] >= DEAD or one["variant_id"] in told:
                continue
            told.add(one["variant_id"])
            values = {"name": name_of(case, one), "rate": one["learning_rate"]}
            values |= {"share": one["dead_fraction_final"], "first": one["dead_fraction_initial"]}
            columns = ("learning_rate", "dead_fraction_initial", "dead_fraction_final")
            threshold = f"dead_fraction_final >= {DEAD:g}"
            found.append(summary_finding(case, "dead_units", key, values, threshold, [one], *columns))
    return found


def vanishing(case: Case) -> list[Finding]:
    """Levels whose gradient hardly reaches the first layer at initialisation."""
    if "gradient_ratio_initial" not in case.summary:
        return []
    columns = ("learning_rate", "gradient_ratio_initial", "vanished_layer_initial")
    found = []
    for _, row in case.chosen[case.chosen["gradient_ratio_initial"] < VANISHED].iterrows():
        values = {"name": name_of(case, row), "rate": row["learning_rate"], "ratio": row["gradient_ratio_initial"]}
        layer = row.get("vanished_layer_initial")
        key = "finding.vanishing"
        if isinstance(layer, str):
            key, values = "finding.vanishing_at", values | {"layer": layer, "threshold": VANISHED}
        threshold = f"gradient_ratio_initial < {VANISHED:g}"
        found.append(summary_finding(case, "vanishing_gradient", key, values, threshold, [row], *columns))
    return found


def exploding(case: Case) -> list[Finding]:
    """Gradients much larger in the first layer than in the last, or than they were before the first step, at any rate."""
    if "gradient_growth" not in case.summary:
        return []
    found = []
    for _, row in case.summary.sort_values([case.comparison.factor, "learning_rate"]).iterrows():
        values = {"name": name_of(case, row), "rate": row["learning_rate"]}
        if row["gradient_ratio_initial"] > EXPLODED:
            values, key = values | {"ratio": row["gradient_ratio_initial"]}, "finding.exploding"
        elif row["gradient_growth"] > EXPLODED:
            values, key = values | {"ratio": row["gradient_growth"]}, "finding.exploding_later"
        else:
            continue
        threshold = f"gradient_ratio_initial or gradient_growth > {EXPLODED:g}"
        columns = ("learning_rate", "gradient_ratio_initial", "gradient_growth")
        found.append(summary_finding(case, "exploding_gradient", key, values, threshold, [row], *columns))
    return found


def overflow(case: Case) -> list[Finding]:
    """Variants in float16 whose loss scaling skipped steps; silent where nothing of the kind was recorded.

    `history.skipped_steps` counts from the first step on; `loss_scale` is what the scale is at an epoch's end.
    """
    if "skipped_steps" not in case.history or "precision" not in case.summary:
        return []
    columns = [name for name in ("skipped_steps", "loss_scale") if name in case.history]
    last = case.history.sort_values("epoch").groupby("replica_id")[columns].last()
    runs = case.runs.set_index("replica_id")[["variant_id"]].join(last)
    found = []
    for _, row in case.summary[case.summary["precision"] == "float16"].iterrows():
        mine = runs[runs["variant_id"] == row["variant_id"]]
        skipped = float(mine["skipped_steps"].median())
        if not (mine["skipped_steps"] > 0).any():
            continue
        key, values = "finding.overflow", {"name": name_of(case, row), "rate": row["learning_rate"], "skipped": skipped}
        values |= {"k": int((mine["skipped_steps"] > 0).sum()), "n": len(mine)}
        one = case.comparison
        rows = tuple({"replica_id": name, **part} for name, part in mine.drop(columns="variant_id").iterrows())
        where = (one.experiment, one.study, one.dataset)
        found.append(Finding("overflow_float16", key, *where, values, "skipped_steps > 0", "history", rows))
    return found


def orders(case: Case) -> list[Finding]:
    """Whether the order of the levels at the common rate is that at their best rates."""
    found = []
    apart = case.comparison.apart
    for shared in cells(case.common, apart):
        if len(shared) < 2:
            continue
        best = next(cell for cell in cells(case.chosen, apart) if _same(cell, shared, apart))
        names = [[name_of(case, row) for _, row in table.iterrows()] for table in (shared, best)]
        key = "finding.same_order" if list(map(str, names[0])) == list(map(str, names[1])) else "finding.order"
        where = {name: shared.iloc[0][name] for name in apart}
        values = {"rate": shared.iloc[0]["learning_rate"], "where": where, "common": names[0], "best": names[1]}
        rows = [row for table in (shared, best) for _, row in table.iterrows()]
        columns = ("learning_rate", "validation_accuracy_mean", "n_failed")
        found.append(
            summary_finding(case, "order", key, values, "always, where there is a common rate", rows, *columns)
        )
    return found


def _same(first: pd.DataFrame, second: pd.DataFrame, keys: tuple[str, ...]) -> bool:
    """Whether two groups of rows have the same values of `keys`."""
    return all(str(first.iloc[0][key]) == str(second.iloc[0][key]) for key in keys)


CLAIM_RULES = {
    "above": "difference_shown",
    "below": "difference_shown",
    "none": "no_difference_shown",
    "few": "no_difference_shown",
    "failed": "no_difference_shown",
}


def differences(case: Case) -> list[Finding]:
    """What may be claimed of each pair: a difference, or that none is shown."""
    return [claim_finding(case, claim) for _, claim in case.claims.iterrows()]


def claim_finding(case: Case, claim: pd.Series) -> Finding:
    """A row of `claims` as a finding; differences are in points of test accuracy."""
    rows = [case.variant(str(claim[key])) for key in ("first_id", "second_id")]
    values: dict[str, Any] = dict(zip(("first", "second"), (name_of(case, row) for row in rows), strict=True))
    values |= {name: 100 * float(claim[name]) for name in ("difference", "low", "high")}
    values |= {name: int(claim[name]) for name in ("wins", "n", "family")} | {"p": float(claim["p_t_holm"])}
    values |= {name: float(claim[name]) for name in ("effect", "effect_low", "effect_high")}
    runs = [_confirmed(case, row) for row in rows] if claim["fresh_seeds"] else rows  # those that the claim rests on
    values["fresh"] = bool(claim["fresh_seeds"])
    values["failures"] = [(name_of(case, row), failures_of(case, row)) for row in runs if row["n_failed"]]
    one = case.comparison
    shown = ("first_id", "second_id", "n", "difference", "low", "high", "wins", "p_t", "p_t_holm", "p_sign_flip_holm")
    return Finding(
        CLAIM_RULES[claim["reading"]], f"difference.{claim['reading']}", one.experiment, one.study, one.dataset, values,
        "shown where p_t_holm < 0.05", "claims", ({name: claim[name] for name in shown},),
    )  # fmt: skip


def _confirmed(case: Case, row: pd.Series) -> pd.Series:
    return row_of(case.confirmed, f"{row['variant_id']}{CONFIRMED}")


RULES: tuple[Callable[[Case], list[Finding]], ...] = (
    *(differences, near_ties, orders, edges, under_tuned, failures, dead_units, vanishing, exploding, overflow),
)


def findings(case: Case) -> list[Finding]:
    """Every finding of every rule; none without evidence."""
    return [one for rule in RULES for one in rule(case)]


def leaders(case: Case) -> list[pd.Series]:
    """The best variant of each cell of the factors kept apart, as rows of `best_rates`."""
    return [cell.iloc[0] for cell in cells(case.chosen, case.comparison.apart)]
