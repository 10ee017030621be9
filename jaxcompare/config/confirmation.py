"""Studies that train the selected variants again, on seeds that no selection has seen. Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from jaxcompare.config.comparison import Comparison, Study, value_of
from jaxcompare.config.errors import ConfigError

MOST_SEEDS = 10_000
CONFIRMED = "-confirm"  # the end of a variant's id where it is trained again; of its study's name, with a bar below


def check_confirm(confirm: Any, study: str, studies: Iterable[str], where: str) -> int:
    """On how many fresh seeds a study's selected variants are trained again; 0: on none.

    Raises:
        ConfigError: not a whole number in its range, or another study has the name that the second training needs.
    """
    if isinstance(confirm, bool) or not isinstance(confirm, int) or not 0 <= confirm <= MOST_SEEDS:
        raise ConfigError(f"{where}: confirm = {confirm!r} is not a number of seeds; it must be 0 to {MOST_SEEDS}")
    if confirm and confirming_name(study) in studies:
        raise ConfigError(
            f"{where}: confirm = {confirm} needs the study name {confirming_name(study)!r}; rename that one"
        )
    return confirm


def confirming_name(study: str) -> str:
    """The name of the study that confirms another."""
    return f"{study}{CONFIRMED.replace('-', '_')}"


def confirming(comparison: Comparison, chosen: Collection[str]) -> Comparison | None:
    """The comparison that trains the selected variants again, on seeds that no selection has seen.

    Args:
        comparison: of which some studies have `confirm`.
        chosen: ids of the variants that were selected; `analysis.selected` finds them in a summary.

    Returns:
        The same comparison with a study `<name>_confirm` for each of them: its variants' ids end in `-confirm`, its seeds
        begin after the study's own. None where there is nothing to train.
    """
    studies = tuple(
        made for study in comparison.studies if study.confirm and (made := _confirming_study(study, chosen)).variants
    )
    return replace(comparison, studies=studies) if studies else None


def _confirming_study(study: Study, chosen: Collection[str]) -> Study:
    fresh = study.seeds[-1] + 1
    variants = tuple(
        replace(
            variant,
            variant_id=f"{variant.variant_id}{CONFIRMED}",
            settings=replace(variant.settings, first_seed=fresh, seeds=study.confirm),
        )
        for variant in study.variants
        if variant.variant_id in chosen
    )
    return replace(
        study, name=confirming_name(study.name), variants=variants, claims=(), confirm=0, confirms=study.name
    )


def confirming_share(study: Study) -> float:
    """About how much more training its confirmation is, as a share of the study's own."""
    kept = [key for key in study.varied if study.roles.get(key) != "nuisance"]
    levels = len({repr([value_of(variant.settings, key) for key in kept]) for variant in study.variants})
    return study.confirm * levels / (len(study.seeds) * len(study.variants))
