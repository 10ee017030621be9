"""The manifest of a results folder: `manifest.json`, the record of how its tables were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


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
    return manifest
