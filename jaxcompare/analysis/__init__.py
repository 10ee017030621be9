"""Statistics over seeds: tables and arrays in, tables out; no input or output here.

A failed replica stays in every figure: no mean is taken over the survivors. `docs/tables.md` describes the tables;
`docs/statistics.md` describes each statistic and the coverage of its interval.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from jaxcompare.analysis.case import Case, every_case
from jaxcompare.analysis.curves import area_under_curve, seconds_per_step
from jaxcompare.analysis.design import (
    CONFIRMED,
    Comparison,
    at_level,
    cells,
    comparisons,
    factors,
    level_of,
    main_comparisons,
    main_of,
    rows_of,
    spelled,
    variants_of,
    varying,
)
from jaxcompare.analysis.estimates import Interval, interquartile_mean, mean_interval, median, stuck_at_chance
from jaxcompare.analysis.finding import Finding
from jaxcompare.analysis.gradients import (
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
from jaxcompare.analysis.reference import against, costs
from jaxcompare.analysis.rules import findings
from jaxcompare.analysis.runs import FIGURES, STEPS, finals, seconds_to_target
from jaxcompare.analysis.selection import best_rates, common_rate, ranked
from jaxcompare.analysis.sensitivity import expected_best, rate_sensitivity, trials, weights_of_best
from jaxcompare.analysis.summary import bands, summarise

__all__ = ["Case", "every_case", "results"]
__all__ += ["area_under_curve", "seconds_per_step"]
__all__ += ["CONFIRMED", "Comparison", "cells", "comparisons", "factors", "main_comparisons", "main_of"]
__all__ += ["at_level", "level_of", "rows_of", "spelled", "variants_of", "varying"]
__all__ += ["Interval", "interquartile_mean", "mean_interval", "median", "stuck_at_chance"]
__all__ += ["LAYER_FIGURES", "LAYER_NAMES", "VANISHED", "gradient_flow", "gradient_growth", "gradient_ratio"]
__all__ += ["summarise_layers", "vanished_layer"]
__all__ += ["Paired", "effect_size", "holm", "paired_difference", "paired_variants", "sign_flip_p"]
__all__ += ["Declared", "between", "claims", "declared_in", "effects", "selected"]
__all__ += ["Finding", "against", "costs", "findings"]
__all__ += ["FIGURES", "STEPS", "finals", "seconds_to_target"]
__all__ += ["best_rates", "common_rate", "ranked"]
__all__ += ["expected_best", "rate_sensitivity", "trials", "weights_of_best"]
__all__ += ["bands", "summarise"]


def results(
    tables: Mapping[str, pd.DataFrame],
    targets: Mapping[str, float | None] | None = None,
    declared: Declared | None = None,
) -> dict[str, pd.DataFrame]:
    """Compute every table that follows from the measured tables.

    Args:
        tables: `replicas` and `history`, and `layers` where there are any; nothing that depends on a clock.
        targets: the validation accuracy to reach, for each experiment that has a target.
        declared: claims by experiment and study, as in `claims`.

    Returns:
        `summary` (a row for each variant), `claims` and `effects` (for each paired difference), `sensitivity` (for each level
        and learning rate) and `trials` (for each level and budget of settings), as in docs/tables.md.
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
