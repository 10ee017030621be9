"""What a manifest records of each experiment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxcompare.config.files import FILES, placeholders, problem
from jaxcompare.words import Words


def records(manifest: Mapping[str, Any], experiments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the record of each experiment: its own entry, over `titles`, over the keys that hold for all."""
    own = ("titles", "experiments", "files")  # the manifest's own `files` lists the folder
    shared = {key: value for key, value in manifest.items() if key not in own}
    parts = [manifest.get("titles") or {}, manifest.get("experiments") or {}]
    return {name: shared | dict(parts[0].get(name) or {}) | dict(parts[1].get(name) or {}) for name in experiments}


def targets_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the target of each experiment, from its record."""
    return {name: about.get("target") for name, about in told.items()}


def patterns_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the patterns of file names that each experiment's config declares, from its record.

    A pattern without the comparison's name belongs to the first experiment that declares the pattern. Other experiments, with
    copies of that config say, follow the rule for this kind of file, so that no file has two owners.
    """
    taken: set[str] = set()
    found: dict[str, dict[str, str]] = {}
    for name, about in told.items():
        declared = {kind: str(pattern) for kind, pattern in (about.get("files") or {}).items() if kind in FILES}
        sound = {kind: pattern for kind, pattern in declared.items() if not problem(kind, pattern)}
        found[name] = {kind: pattern for kind, pattern in sound.items() if pattern not in taken}
        taken |= {pattern for pattern in sound.values() if pattern and "comparison" not in placeholders(pattern)}
    return found


def titles_of(told: Mapping[str, Mapping[str, Any]], language: str) -> dict[str, str]:
    """Return the title of each experiment in a language, on one line, where its config has a title."""
    found = {
        name: {**about, **(about.get("words") or {}).get(language, {})}.get("title") for name, about in told.items()
    }
    return {name: re.sub(r"[\s\x00-\x1f]+", " ", str(text)).strip() for name, text in found.items() if text}


def labels_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the names that the experiments' configs give to levels, from their records; the first name of a level counts."""
    found: dict[str, str] = {}
    for about in told.values():
        found = {**(about.get("labels") or {}), **found}
    return found


def title(words: Words, experiment: str, about: Mapping[str, Any]) -> str:
    """Return the experiment's name: the catalogue's, else the config's title, else the stem of its file."""
    known = words.level(experiment, "experiment")
    return str(about.get("title") or known) if known == experiment.replace("_", " ") else known
