"""What a study says of itself beside its grid: the factors' roles, the claims it is to test, whether it is confirmed.

Standard library only: a config is checked before NumPy or JAX is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxcompare.config.comparison import Claim
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import KEYS
from jaxcompare.config.values import check_value

# What is compared; what is tuned for each variant apart; what only varies, so that each of its values is told of.
ROLES = ("scientific", "nuisance", "fixed")
DEFAULT_ROLES = {"learning_rate": "nuisance", "dataset": "fixed"}  # every other factor is scientific
CLAIM_KEYS = ("factor", "better", "than")


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
