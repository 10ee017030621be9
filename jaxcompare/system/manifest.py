"""The manifest of a results folder: `manifest.json`, the record of how its tables were made, with a digest of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcompare.system.files import write_atomically
from jaxcompare.system.strict_json import from_digested_json, to_digested_json, with_infinities

MANIFEST = "manifest.json"
SETTINGS = ("base", "grid", "claims")  # the parts of a study that hold settings: no setting is named "inf"


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest; to the `files` that it names come those that are in the folder now, with their digests.

    The files of version 0.1 have no digests, and get none: nobody knows whether they are as they were written.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    files = {path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in paths}
    old = manifest.get("files", {})
    files = {**old, **files} if isinstance(old, dict) else sorted({*old, *files})  # type: ignore[assignment]
    text = to_digested_json({**manifest, "files": files}, infinity_as_text=True)
    write_atomically(folder / MANIFEST, f"{text}\n".encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the results in a folder.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file does not hold a JSON object, or not the one that was written.
    """
    path = folder / MANIFEST
    try:
        manifest = from_digested_json(
            path.read_bytes(), optional=lambda content: not digests_of(content)
        )  # version 0.1
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    for study in _studies(manifest):
        study |= {key: with_infinities(study[key]) for key in SETTINGS if key in study}
    return manifest


def digests_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a run's files by name; empty for a run of version 0.1, which kept none."""
    files = manifest.get("files")
    return dict(files) if isinstance(files, dict) else {}


def damaged(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a run that are not as they were written: by name, "missing" or "changed"."""
    found = {}
    for name, digest in digests_of(manifest).items():
        try:
            if sha256((folder / name).read_bytes()) != digest:
                found[name] = "changed"
        except OSError:
            found[name] = "missing"
    return found


def sha256(content: bytes) -> str:
    """Return the SHA-256 digest of a file's content, as the command `sha256sum` prints it."""
    return hashlib.sha256(content).hexdigest()


def _studies(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the studies of every config; a damaged record has none."""
    found: Any = manifest.get("experiments")
    for key in ("config", "study"):
        parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        found = [part.get(key) for part in parts if isinstance(part, dict)]
    return [study for each in found for study in (each if isinstance(each, list) else ()) if isinstance(study, dict)]
