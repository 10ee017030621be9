"""What the tables show: each rule reads one comparison and yields findings with their evidence, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from jaxcompare.analysis.case import Case, row_of
from jaxcompare.analysis.design import CONFIRMED, cells
from jaxcompare.analysis.finding import Finding, at_rate, failures_of, name_of, summary_finding
from jaxcompare.analysis.gradients import EXPLODED, VANISHED
from jaxcompare.analysis.tuning import near_ties, under_tuned

DEAD = 0.01  # share of hidden units


def edges(case: Case) -> Iterator[Finding]:
    """Yield best rates at the end of their grid."""
    threshold = "the best rate is the lowest, the highest or the only one of its grid"
    columns = ("learning_rate", "rates", "validation_accuracy_mean")
    for _, row in case.chosen[case.chosen["edge"] != ""].iterrows():
        key = f"finding.edge_{row['edge']}"
        yield summary_finding(case, "rate_at_edge", key, at_rate(case, row), threshold, [row], *columns)


def failures(case: Case) -> Iterator[Finding]:
    """Yield variants with runs that diverged or stayed at chance, at any rate."""
    thresholds = {
        "divergence": "n_diverged > 0: a loss or a parameter that is not finite",
        "stuck_at_chance": "n_stuck > 0: final validation accuracy within two binomial standard errors of chance",
    }
    columns = ("learning_rate", "n_diverged", "n_stuck")
    for _, row in _by_level(case, case.summary["n_failed"] > 0):
        rule = "divergence" if row["n_diverged"] else "stuck_at_chance"
        values = at_rate(case, row) | {"failures": failures_of(case, row)}
        yield summary_finding(case, rule, "finding.failed", values, thresholds[rule], [row], *columns)


def _by_level(case: Case, keep: pd.Series) -> Iterable[tuple[Any, pd.Series]]:
    """Return the rows of the summary to keep, sorted by level and learning rate."""
    return case.summary[keep].sort_values([case.comparison.factor, "learning_rate"]).iterrows()


def dead_units(case: Case) -> Iterator[Finding]:
    """Yield dead units at the best rates, and at the rate with the most dead units where that is another."""
    if "dead_fraction_final" not in case.summary:
        return
    threshold = f"dead_fraction_final >= {DEAD:g}"
    columns = ("learning_rate", "dead_fraction_initial", "dead_fraction_final")
    seen = set()
    for _, row in case.chosen.iterrows():
        mine = case.alike(row)
        worst = mine.loc[mine["dead_fraction_final"].sort_values(na_position="first").index[-1]]
        keyed = [("finding.dead_worst" if case.comparison.rates_set else "finding.dead", row)]
        keyed += [("finding.dead_worst", worst)] if worst["learning_rate"] != row["learning_rate"] else []
        for key, shown in keyed:
            if shown["dead_fraction_final"] >= DEAD and shown["variant_id"] not in seen:
                seen.add(shown["variant_id"])
                shares = {"share": shown["dead_fraction_final"], "first": shown["dead_fraction_initial"]}
                values = at_rate(case, shown) | shares
                yield summary_finding(case, "dead_units", key, values, threshold, [shown], *columns)


def vanishing(case: Case) -> Iterator[Finding]:
    """Yield levels whose gradient hardly reaches the first layer at initialisation."""
    if "gradient_ratio_initial" not in case.summary:
        return
    threshold = f"gradient_ratio_initial < {VANISHED:g}"
    columns = ("learning_rate", "gradient_ratio_initial", "vanished_layer_initial")
    for _, row in case.chosen[case.chosen["gradient_ratio_initial"] < VANISHED].iterrows():
        key, values = "finding.vanishing", at_rate(case, row) | {"ratio": row["gradient_ratio_initial"]}
        layer = row.get("vanished_layer_initial")
        if isinstance(layer, str):
            key, values = "finding.vanishing_at", values | {"layer": layer, "threshold": VANISHED}
        yield summary_finding(case, "vanishing_gradient", key, values, threshold, [row], *columns)


def exploding(case: Case) -> Iterator[Finding]:
    """Yield gradients much larger in the first layer than in the last, or than before the first step, at any rate."""
    if "gradient_growth" not in case.summary:
        return
    threshold = f"gradient_ratio_initial or gradient_growth > {EXPLODED:g}"
    columns = ("learning_rate", "gradient_ratio_initial", "gradient_growth")
    for _, row in _by_level(case, (case.summary[list(columns[1:])] > EXPLODED).any(axis=1)):
        at_start = row["gradient_ratio_initial"] > EXPLODED
        key, column = ("finding.exploding", columns[1]) if at_start else ("finding.exploding_later", columns[2])
        values = at_rate(case, row) | {"ratio": row[column]}
        yield summary_finding(case, "exploding_gradient", key, values, threshold, [row], *columns)


def overflow(case: Case) -> Iterator[Finding]:
    """Yield variants in float16 whose loss scaling skipped steps; none where skipped steps were not recorded.

    `history.skipped_steps` counts from the first step on; `loss_scale` is the scale at an epoch's end.
    """
    if "skipped_steps" not in case.history or "precision" not in case.summary:
        return
    columns = [name for name in ("skipped_steps", "loss_scale") if name in case.history]
    last = case.history.sort_values("epoch").groupby("replica_id")[columns].last()
    runs = case.runs.set_index("replica_id")[["variant_id"]].join(last)
    for _, row in case.summary[case.summary["precision"] == "float16"].iterrows():
        mine = runs.loc[runs["variant_id"] == row["variant_id"], columns]
        skipped = mine["skipped_steps"]
        if (skipped > 0).any():
            values = at_rate(case, row) | {"skipped": float(skipped.median())}
            values |= {"k": int((skipped > 0).sum()), "n": len(mine)}
            rows = tuple({"replica_id": name, **part} for name, part in mine.iterrows())
            where = case.comparison[:3]
            key, threshold = "finding.overflow", "skipped_steps > 0"
            yield Finding("overflow_float16", key, *where, values, threshold, "history", rows)


def orders(case: Case) -> Iterator[Finding]:
    """Yield whether the order of the levels at the common rate is the order at their best rates."""
    apart, threshold = case.comparison.apart, "always, where there is a common rate"
    columns = ("learning_rate", "validation_accuracy_mean", "n_failed")
    for shared in cells(case.common, apart):
        if len(shared) < 2:
            continue
        best = next(cell for cell in cells(case.chosen, apart) if _same(cell, shared, apart))
        common, chosen = ([name_of(case, row) for _, row in table.iterrows()] for table in (shared, best))
        key = "finding.same_order" if list(map(str, common)) == list(map(str, chosen)) else "finding.order"
        where = {name: shared.iloc[0][name] for name in apart}
        values = {"rate": shared.iloc[0]["learning_rate"], "where": where, "common": common, "best": chosen}
        rows = [row for table in (shared, best) for _, row in table.iterrows()]
        yield summary_finding(case, "order", key, values, threshold, rows, *columns)


def _same(first: pd.DataFrame, second: pd.DataFrame, keys: tuple[str, ...]) -> bool:
    """Return whether two groups of rows have the same values of `keys`."""
    return all(str(first.iloc[0][key]) == str(second.iloc[0][key]) for key in keys)


def differences(case: Case) -> Iterator[Finding]:
    """Yield each claim: a difference, or that no difference is shown."""
    return (claim_finding(case, claim) for _, claim in case.claims.iterrows())


def claim_finding(case: Case, claim: pd.Series) -> Finding:
    """Return a row of `claims` as a finding; differences are in points of test accuracy."""
    rows = [case.variant(str(claim[key])) for key in ("first_id", "second_id")]
    values: dict[str, Any] = dict(zip(("first", "second"), (name_of(case, row) for row in rows), strict=True))
    values |= {name: 100 * float(claim[name]) for name in ("difference", "low", "high")}
    values |= {name: int(claim[name]) for name in ("wins", "n", "family")} | {"p": float(claim["p_t_holm"])}
    values |= {name: float(claim[name]) for name in ("effect", "effect_low", "effect_high")}
    runs = [_confirmed(case, row) for row in rows] if claim["fresh_seeds"] else rows  # the evidence of the claim
    values["fresh"] = bool(claim["fresh_seeds"])
    values["failures"] = [(name_of(case, row), failures_of(case, row)) for row in runs if row["n_failed"]]
    rule = "difference_shown" if claim["reading"] in ("above", "below") else "no_difference_shown"
    shown = ("first_id", "second_id", "n", "difference", "low", "high", "wins", "p_t", "p_t_holm", "p_sign_flip_holm")
    evidence = ({name: claim[name] for name in shown},)
    key, where = f"difference.{claim['reading']}", case.comparison[:3]
    return Finding(rule, key, *where, values, "shown where p_t_holm < 0.05", "claims", evidence)


def _confirmed(case: Case, row: pd.Series) -> pd.Series:
    return row_of(case.confirmed, f"{row['variant_id']}{CONFIRMED}")


RULES: tuple[Callable[[Case], Iterable[Finding]], ...] = (
    *(differences, near_ties, orders, edges, under_tuned, failures, dead_units, vanishing, exploding, overflow),
)


def findings(case: Case) -> list[Finding]:
    """Return every finding of every rule; none without evidence."""
    return [finding for rule in RULES for finding in rule(case)]


def leaders(case: Case) -> list[pd.Series]:
    """Return the best variant of each cell of the separate factors, as rows of `best_rates`."""
    return [cell.iloc[0] for cell in cells(case.chosen, case.comparison.apart)]
