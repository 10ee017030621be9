"""Studies that train the selected variants again, at seeds that the selection has not used. Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from jaxcompare.config.comparison import Comparison, Study, value_of
from jaxcompare.config.errors import ConfigError, shown
from jaxcompare.config.limits import MOST_SEEDS

CONFIRMED = (
    "-confirm"  # ends the id of a variant that is trained again; its study's name ends with an underscore instead
)


def check_confirm(confirm: Any, study: str, studies: Iterable[str], where: str) -> int:
    """Return the number of fresh seeds at which a study's selected variants are trained again; 0 confirms nothing.

    Raises:
        ConfigError: not a whole number in its range, or another study has the name that the confirmation needs.
    """
    if isinstance(confirm, bool) or not isinstance(confirm, int) or not 0 <= confirm <= MOST_SEEDS:
        raise ConfigError(f"{where}.confirm = {shown(confirm)} is not a number of seeds; it must be 0 to {MOST_SEEDS}")
    if confirm and confirming_name(study) in studies:
        raise ConfigError(
            f"{where}.confirm = {confirm} needs the study name {confirming_name(study)!r}; rename that study"
        )
    return confirm


def confirming_name(study: str) -> str:
    """Return the name of the study that confirms another."""
    return f"{study}{CONFIRMED.replace('-', '_')}"


def confirming(comparison: Comparison, selected: Collection[str]) -> Comparison | None:
    """Return the comparison that trains the selected variants again, at fresh seeds.

    Args:
        comparison: some of its studies have `confirm`.
        selected: ids of the selected variants; `analysis.selected` returns them from a summary.

    Returns:
        The same comparison with a study `<name>_confirm` for each study to confirm. Its variants' ids end in `-confirm`, its
        seeds begin after the study's own. None where there is nothing to train.
    """
    confirming_studies = [_confirming_study(study, selected) for study in comparison.studies if study.confirm]
    studies = tuple(study for study in confirming_studies if study.variants)
    return replace(comparison, studies=studies) if studies else None


def _confirming_study(study: Study, selected: Collection[str]) -> Study:
    fresh = study.seeds[-1] + 1
    variants = tuple(
        replace(
            variant,
            variant_id=f"{variant.variant_id}{CONFIRMED}",
            settings=replace(variant.settings, first_seed=fresh, seeds=study.confirm),
        )
        for variant in study.variants
        if variant.variant_id in selected
    )
    return replace(
        study, name=confirming_name(study.name), variants=variants, claims=(), confirm=0, confirms=study.name
    )


def confirming_share(study: Study) -> float:
    """Estimate how much a study's confirmation trains, as a share of the study's own training."""
    kept = [key for key in study.varied if study.roles.get(key) != "nuisance"]
    levels = len({repr([value_of(variant.settings, key) for key in kept]) for variant in study.variants})
    return study.confirm * levels / (len(study.seeds) * len(study.variants))
