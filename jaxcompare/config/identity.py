"""What a config asks beside its name: title, question and grids, as its file has them. Standard library only.

A comparison is named by its file's stem, and two files may share a stem. Results are replaced unasked only where nothing of
the older question is lost: more levels, studies, seeds or epochs, and other `--set` or `--quick`, which are not compared here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from jaxcompare.config.comparison import key_of
from jaxcompare.config.parse import TEXTS, flatten, studies_of

Grids = Sequence[Mapping[str, Sequence[Any]]]  # of one study: factor -> levels, in each grid


def asked(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return title, question and the grids of each study of a checked config, before any override."""
    studies = {study["name"]: [flatten(grid) for grid in study["grid"]] for study in studies_of(config, name)}
    return {**{key: config.get(key, name) for key in TEXTS}, "studies": studies}


def lost(held: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say what `held` asks and `here` does not, both as `asked` returns them; empty where nothing is lost.

    >>> sgd, both = {"studies": {"main": [{"optimizer": ["sgd"]}]}}, {"studies": {"main": [{"optimizer": ["sgd", "adam"]}]}}
    >>> lost(sgd, both), lost(both, sgd)
    ('', "study 'main' with optimizer = ['sgd', 'adam'], here ['sgd']")
    """
    for key in TEXTS:
        if key in held and held[key] != here[key]:
            return f"the {key} {held[key]!r}, here {here[key]!r}"
    for study, grids in held.get("studies", {}).items():
        if study not in here["studies"]:
            return f"study {study!r}, which this config lacks"
        now = here["studies"][study]
        before, after = _levels(grids), _levels(now)
        if before.keys() != after.keys():
            return f"study {study!r} over {_listed(before)}, here over {_listed(after)}"
        if not _cells(grids) <= _cells(now):
            factor = next((key for key in before if not before[key].keys() <= after[key].keys()), None)
            if factor is None:
                return f"study {study!r} with other combinations of {_listed(before)}"
            return (
                f"study {study!r} with {factor} = {list(before[factor].values())}, here {list(after[factor].values())}"
            )
    return ""


def _listed(levels: Mapping[str, Any]) -> str:
    return ", ".join(sorted(levels)) or "a single variant"


def _levels(grids: Grids) -> dict[str, dict[Any, Any]]:
    """Return the levels of each factor, by their `key_of`."""
    found: dict[str, dict[Any, Any]] = {}
    for grid in grids:
        for factor, levels in grid.items():
            found.setdefault(factor, {}).update({key_of(level): level for level in levels})
    return found


def _cells(grids: Grids) -> set[frozenset[tuple[str, Any]]]:
    every = [[[(factor, key_of(level)) for level in levels] for factor, levels in g.items()] for g in grids]
    return {frozenset(cell) for axes in every for cell in itertools.product(*axes)}
