"""What a run may not replace unasked: results of another config with the same name, and results of more seeds or epochs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcompare.config.comparison import Comparison
from jaxcompare.config.identity import lost
from jaxcompare.execution.fingerprint import plugin_digests
from jaxcompare.execution.run_folder import StoreError, results_of

LARGER = ("seeds", "epochs")
_LOG = logging.getLogger(__name__)


def say_edited(out: Path, comparisons: Sequence[Comparison]) -> None:
    """Log which custom modules of held results have been edited since: why all their replicas are trained again."""
    held = results_of(out).get("experiments", {})
    for one in comparisons:
        before = held.get(one.name, {}).get("custom") or {}
        now = plugin_digests(variant.settings for study in one.studies for variant in study.variants)
        edited = sorted(name for name in before if name in now and before[name] != now[name])
        if edited:
            _LOG.info(
                "%s: edited since the results in %s: %s; every replica that uses it is trained again",
                *(one.name, out, ", ".join(edited)),
            )


def check_replaced(out: Path, comparisons: Sequence[Comparison], asked: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise StoreError where a comparison would replace results that it does not contain.

    Args:
        out: the results folder.
        comparisons: as they will be trained.
        asked: `config.identity.asked` of the configs that come from a user's files, by the comparisons' names.
    """
    held = results_of(out).get("experiments", {})
    for one in comparisons:
        if one.name in held:
            _check_config(out, one.name, held[one.name], asked.get(one.name))
            _check_larger(out, one, held[one.name])


def _check_config(out: Path, name: str, held: Mapping[str, Any], asked: Mapping[str, Any] | None) -> None:
    """Raise StoreError where the config that was trained is another one of the same name."""
    before = held.get("asked") or {key: held[key] for key in ("title", "question") if key in held}
    difference = lost(before, asked) if asked else ""
    if difference:
        raise StoreError(
            f"--out {out}: holds another comparison named {name!r} ({held.get('command', 'command not known')}): "
            f"{difference}. Choose another --out, rename the file to keep both, or replace those results with --force"
        )


def _check_larger(out: Path, comparison: Comparison, held: Mapping[str, Any]) -> None:
    """Raise StoreError where results of more seeds or epochs would give way to less."""
    before = {study["name"]: study.get("base") or {} for study in (held.get("config") or {}).get("study") or ()}
    for study in comparison.studies:
        for key in LARGER:
            there, here = before.get(study.name, {}).get(key), getattr(study.variants[0].settings, key)
            if isinstance(there, int) and here < there:
                raise StoreError(
                    f"--out {out}: holds comparison {comparison.name!r} with {key} = {there} in study {study.name!r}, and "
                    f"this run has {here}; choose another --out, or replace it with --force"
                )
