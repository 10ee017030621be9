"""What a manifest says of each experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jaxcompare.words import Words


def records(manifest: Mapping[str, Any], experiments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the manifest says of each experiment: its own entry, over `titles`, over what is said of all."""
    shared = {key: value for key, value in manifest.items() if key not in ("titles", "experiments")}
    parts = [manifest.get("titles") or {}, manifest.get("experiments") or {}]
    return {name: shared | dict(parts[0].get(name) or {}) | dict(parts[1].get(name) or {}) for name in experiments}


def targets_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The target of each experiment, from its record."""
    return {name: about.get("target") for name, about in told.items()}


def title(words: Words, experiment: str, about: Mapping[str, Any]) -> str:
    """The experiment's name: the words' own, else the config's title, else its file's stem."""
    known = words.level(experiment, "experiment")
    return str(about.get("title") or known) if known == experiment.replace("_", " ") else known
