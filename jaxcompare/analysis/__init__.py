"""Statistics over seeds: tables and arrays in, tables out; no input or output here.

A replica that failed stays in every figure: a mean over the survivors is never formed. The tables are those of
`docs/tables.md`; what each statistic is, and how well its intervals cover, stands in `docs/statistics.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from jaxcompare.analysis.case import Case, cases, every_case
from jaxcompare.analysis.curves import area_under_curve, jumps_and_spikes, late_deviation, seconds_per_step
from jaxcompare.analysis.design import (
    CONFIRMED,
    Comparison,
    cells,
    comparisons,
    factors,
    main_comparisons,
    main_of,
    rows_of,
    variants_of,
    varying,
)
from jaxcompare.analysis.estimates import (
    FEWEST_SEEDS,
    Interval,
    interquartile_mean,
    mean_interval,
    median,
    stuck_at_chance,
    t_quantile,
)
from jaxcompare.analysis.finding import Finding
from jaxcompare.analysis.gradients import (
    EXPLODED,
    LAYER_FIGURES,
    LAYER_NAMES,
    VANISHED,
    gradient_flow,
    gradient_growth,
    gradient_ratio,
    summarise_layers,
    vanished_layer,
)
from jaxcompare.analysis.paired import Paired, effect_size, holm, paired_difference, paired_variants, sign_flip_p
from jaxcompare.analysis.pairs import Declared, between, claims, declared_in, effects, selected
from jaxcompare.analysis.reference import COSTS, against, costs
from jaxcompare.analysis.rules import findings
from jaxcompare.analysis.runs import AREA, FIGURES, SECONDS, STEPS, finals, seconds_to_target
from jaxcompare.analysis.selection import best_rates, common_rate, ranked
from jaxcompare.analysis.sensitivity import expected_best, rate_sensitivity, trials, weights_of_best
from jaxcompare.analysis.summary import bands, summarise
from jaxcompare.analysis.tuning import near_ties

RESULTS = ("summary", "claims", "effects", "sensitivity", "trials")


def results(
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None] | None = None,
    declared: Declared | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table that is computed from what was measured: `summary`, `claims`, `effects`, `sensitivity`, `trials`.

    Args:
        tables: `replicas` and `history`, and `layers` where there are any; nothing that a clock says.
        targets: validation accuracies by experiment.
        declared: claims by experiment and study; see `claims`.
    """
    replicas, history = tables["replicas"], tables["history"]
    runs = finals(replicas, history, targets)
    summary = summarise(replicas, history, targets, layers=tables.get("layers"))
    compared = comparisons(replicas)
    return {
        "summary": summary,
        "claims": claims(replicas, summary, runs, declared),
        "effects": effects(replicas, runs),
        "sensitivity": rate_sensitivity(summary, compared),
        "trials": trials(runs, compared),
    }


__all__ = [
    "AREA",
    "CONFIRMED",
    "COSTS",
    "EXPLODED",
    "FEWEST_SEEDS",
    "FIGURES",
    "LAYER_FIGURES",
    "LAYER_NAMES",
    "RESULTS",
    "SECONDS",
    "STEPS",
    "VANISHED",
    "Case",
    "Comparison",
    "Declared",
    "Finding",
    "Interval",
    "Paired",
    "against",
    "area_under_curve",
    "bands",
    "best_rates",
    "between",
    "cases",
    "cells",
    "claims",
    "common_rate",
    "comparisons",
    "costs",
    "declared_in",
    "effect_size",
    "effects",
    "every_case",
    "expected_best",
    "factors",
    "finals",
    "findings",
    "gradient_flow",
    "gradient_growth",
    "gradient_ratio",
    "holm",
    "interquartile_mean",
    "jumps_and_spikes",
    "late_deviation",
    "main_comparisons",
    "main_of",
    "mean_interval",
    "median",
    "near_ties",
    "paired_difference",
    "paired_variants",
    "ranked",
    "rate_sensitivity",
    "results",
    "rows_of",
    "seconds_per_step",
    "seconds_to_target",
    "selected",
    "sign_flip_p",
    "stuck_at_chance",
    "summarise",
    "summarise_layers",
    "t_quantile",
    "trials",
    "vanished_layer",
    "variants_of",
    "varying",
    "weights_of_best",
]
