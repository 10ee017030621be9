"""The roles of a study's factors and the claims that the study tests. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxcompare.config.comparison import Claim
from jaxcompare.config.errors import ConfigError, every, shown
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import KEYS
from jaxcompare.config.values import check_value

# Scientific factors are compared. Nuisance factors are tuned for each variant separately. Fixed factors only vary, and each
# of their values is reported separately.
ROLES = ("scientific", "nuisance", "fixed")
DEFAULT_ROLES = {"learning_rate": "nuisance", "dataset": "fixed"}  # every other factor is scientific
CLAIM_KEYS = ("factor", "better", "than")


def check_roles(roles: Any, varied: Iterable[str], where: str) -> dict[str, str]:
    """Return each varied factor's role: as declared, else its default.

    Raises:
        ConfigError: not a table, an unknown factor or an unknown role.
    """
    varied = tuple(varied)
    if not isinstance(roles, Mapping):
        raise ConfigError(f"{where}.roles = {shown(roles)} is not a table")

    def check(key: str, role: Any) -> None:
        if key not in KEYS and key not in varied:
            raise ConfigError(f"{where}.roles: no key {shown(key)}; {nearest(key, [*KEYS, *varied])}")
        if role not in ROLES:
            raise ConfigError(f"{where}.roles.{key} = {shown(role)}; {nearest(role, ROLES)}")

    every(check, roles.keys(), roles.values())
    return {key: DEFAULT_ROLES.get(key, "scientific") for key in varied} | dict(roles)


def check_claims(
    claims: Any, levels: Mapping[str, Sequence[Any]], roles: Mapping[str, str], where: str
) -> tuple[Claim, ...]:
    """Return the claims of a study.

    Args:
        claims: a list of tables, as a config has it.
        levels: factor that varies -> its values.
        roles: factor -> role.
        where: the study, for the error.

    Raises:
        ConfigError: a claim that is no table or has a wrong key; a factor that does not vary or is tuned; an unknown level; a
            level against itself; a repeated claim.
    """
    if not isinstance(claims, list | tuple) or not all(isinstance(claim, Mapping) for claim in claims):
        example = '[{ factor = "loss", better = "cross_entropy", than = "mse" }]'
        raise ConfigError(f"{where}.claims = {shown(claims)} is not a list of tables; {example} for example")
    numbered = [(number, one) for number, claim in enumerate(claims, start=1) for one in against_each(claim)]
    checked = every(lambda one: _check_claim(one[1], levels, roles, f"{where}.claims.{one[0]}"), numbered)
    for place, (number, table) in enumerate(numbered):
        if checked[place] in checked[:place]:
            raise ConfigError(f"{where}.claims.{number} = {shown(dict(table))} is repeated")
    return tuple(checked)


def against_each(claim: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a claim of one level against many, `than = ["sgd", "adamw"]`, as a claim against each.

    >>> [one["than"] for one in against_each({"factor": "optimizer", "better": "lion", "than": ["sgd", "adamw"]})]
    ['sgd', 'adamw']
    """
    than = claim.get("than")
    factor = KEYS.get(str(claim.get("factor")))
    # A level may itself be a list: the widths of layers.
    inner = list | tuple if factor is not None and factor.metadata["kind"] is tuple else object
    if isinstance(than, list | tuple) and than and all(isinstance(level, inner) for level in than):
        return [{**claim, "than": level} for level in than]
    return [dict(claim)]


def _check_claim(
    claim: Mapping[str, Any], levels: Mapping[str, Sequence[Any]], roles: Mapping[str, str], where: str
) -> Claim:
    for key in claim:
        if key not in CLAIM_KEYS:
            raise ConfigError(f"{where}: no key {shown(key)}; {nearest(key, CLAIM_KEYS)}")
    for key in CLAIM_KEYS:
        if key not in claim:
            raise ConfigError(f"{where}: {key} is missing; a claim has {', '.join(CLAIM_KEYS)}")
    factor = claim["factor"]
    comparable = [key for key in levels if key != "dataset" and roles.get(key) != "nuisance"]
    if factor not in comparable:
        reason = (
            "is tuned (its role is nuisance); no claim can be about it" if factor in list(levels) else "does not vary"
        )
        raise ConfigError(f"{where}.factor = {shown(factor)} {reason}; {nearest(str(factor), comparable)}")
    sides = {}
    for key in ("better", "than"):
        sides[key] = check_value(factor, claim[key], f"{where}.{key}")
        if sides[key] not in levels[factor]:
            known = [str(level) for level in levels[factor]]
            raise ConfigError(
                f"{where}.{key} = {shown(claim[key])} is not in the grid; {nearest(str(claim[key]), known)}"
            )
    if sides["better"] == sides["than"]:
        raise ConfigError(f"{where}: better = than = {shown(claim['than'])}; a claim needs two levels")
    return Claim(factor, **sides)
