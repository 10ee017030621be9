"""What a study says of itself beside its grid: the factors' roles, the claims it is to test, whether it is confirmed.

Standard library only: a config is checked before NumPy or JAX is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import KEYS, ConfigError, check_value

if TYPE_CHECKING:
    from jaxcompare.config.experiment import Comparison, Study

# What is compared; what is tuned for each variant apart; what only varies, so that each of its values is told of.
ROLES = ("scientific", "nuisance", "fixed")
DEFAULT_ROLES = {"learning_rate": "nuisance", "dataset": "fixed"}  # every other factor is scientific
CLAIM_KEYS = ("factor", "better", "than")
MOST_SEEDS = 10_000
CONFIRMED = "-confirm"  # the end of a variant's id where it is trained again; of its study's name, with a bar below


@dataclass(frozen=True)
class Claim:
    """That one level of a factor is better than another: `factor = "loss", better = "cross_entropy", than = "mse"`."""

    factor: str
    better: Any
    than: Any

    def as_table(self) -> dict[str, Any]:
        """As it stands in a config."""
        sides = {key: getattr(self, key) for key in ("better", "than")}
        return {"factor": self.factor} | {k: list(v) if isinstance(v, tuple) else v for k, v in sides.items()}


def check_roles(roles: Any, varied: Iterable[str], where: str) -> dict[str, str]:
    """Each varied factor's role: as declared, else its default.

    Raises:
        ConfigError: not a table, an unknown factor or role.
    """
    varied = tuple(varied)
    if not isinstance(roles, Mapping):
        raise ConfigError(f"{where}: roles = {roles!r} is not a table")
    for key, role in roles.items():
        if key not in KEYS and key not in varied:
            raise ConfigError(f"{where}: roles: no key {key!r}; {nearest(key, [*KEYS, *varied])}")
        if role not in ROLES:
            raise ConfigError(f"{where}: roles.{key} = {role!r}; {nearest(role, ROLES)}")
    return {key: DEFAULT_ROLES.get(key, "scientific") for key in varied} | dict(roles)


def check_claims(
    claims: Any, levels: Mapping[str, Sequence[Any]], roles: Mapping[str, str], where: str
) -> tuple[Claim, ...]:
    """The claims of a study.

    Args:
        claims: as in the config, a list of tables.
        levels: the values of each factor that varies.
        roles: of the factors.
        where: for the error.

    Raises:
        ConfigError: a claim that is no table or has a wrong key, a factor that does not vary or is tuned, a level that there
            is not, a level against itself, a claim that stands twice.
    """
    if not isinstance(claims, list | tuple) or not all(isinstance(claim, Mapping) for claim in claims):
        example = '[{ factor = "loss", better = "cross_entropy", than = "mse" }]'
        raise ConfigError(f"{where}: claims = {claims!r} is not a list of tables; {example} say")
    found: list[Claim] = []
    for number, claim in enumerate(claims, start=1):
        found.append(_check_claim(claim, levels, roles, f"{where}: claim {number}"))
        if found[-1] in found[:-1]:
            raise ConfigError(f"{where}: claim {number}: {dict(claim)} stands twice")
    return tuple(found)


def _check_claim(
    claim: Mapping[str, Any], levels: Mapping[str, Sequence[Any]], roles: Mapping[str, str], where: str
) -> Claim:
    for key in claim:
        if key not in CLAIM_KEYS:
            raise ConfigError(f"{where}: no key {key!r}; {nearest(key, CLAIM_KEYS)}")
    for key in CLAIM_KEYS:
        if key not in claim:
            raise ConfigError(f"{where}: {key} is missing; a claim has {', '.join(CLAIM_KEYS)}")
    factor = claim["factor"]
    possible = [key for key in levels if key != "dataset" and roles.get(key) != "nuisance"]
    if factor not in possible:
        tuned = (
            " is tuned (its role is nuisance), so nothing is claimed of it" if factor in levels else " does not vary"
        )
        raise ConfigError(f"{where}: factor = {factor!r}{tuned}; {nearest(str(factor), possible)}")
    sides = {}
    for key in ("better", "than"):
        sides[key] = check_value(factor, claim[key], where)
        if sides[key] not in levels[factor]:
            known = [str(level) for level in levels[factor]]
            raise ConfigError(f"{where}: {key} = {claim[key]!r} is not in the grid; {nearest(str(claim[key]), known)}")
    if sides["better"] == sides["than"]:
        raise ConfigError(f"{where}: better = than = {claim['than']!r}; a claim needs two levels")
    return Claim(factor, **sides)


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
