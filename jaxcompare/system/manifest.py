"""The manifest of a results folder: `manifest.json`, the record of how its tables were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcompare.system.files import write_atomically
from jaxcompare.system.strict_json import to_json, with_infinities

MANIFEST = "manifest.json"
SETTINGS = ("base", "grid", "claims")  # the parts of a study that hold settings: no setting is named "inf"


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, with the list of the files that are in the folder now."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    content = {**manifest, "files": [*files, MANIFEST]}
    text = to_json(content, infinity_as_text=True, indent=2, sort_keys=True, default=str)
    write_atomically(folder / MANIFEST, f"{text}\n".encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the results in a folder.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file does not hold a JSON object.
    """
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise ValueError(f"{path}: holds a {type(manifest).__name__}, not a JSON object")
    for study in _studies(manifest):
        study |= {key: with_infinities(study[key]) for key in SETTINGS if key in study}
    return manifest


def _studies(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the studies of every config; a damaged record has none."""
    found: Any = manifest.get("experiments")
    for key in ("config", "study"):
        parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        found = [part.get(key) for part in parts if isinstance(part, dict)]
    return [study for each in found for study in (each if isinstance(each, list) else ()) if isinstance(study, dict)]
