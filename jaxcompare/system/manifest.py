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
# The form of what is read by name; `...` is anything. A named key may be null or missing, except for NEEDED ones. ANY is each
# key of a table.
ANY = "*"
NEEDED = {"name", "factor", "better", "than", "seeds", "variants", "key"}
TEXTS = {ANY: str}
STUDY = {"name": str, "base": {}, "roles": TEXTS, "claims": [{"factor": str, "better": ..., "than": ...}], "grid": [{}]}
RECORD = {
    **dict.fromkeys(("title", "question", "command", "out"), str),
    "target": float,
    "words": {ANY: TEXTS},
    "labels": TEXTS,
    "files": TEXTS,
    "config": {"study": [STUDY]},
    "asked": {"title": str, "question": str, "studies": {ANY: [{ANY: []}]}},
    "versions": {},
    "data": {ANY: {"classes": [str], "warnings": [{"key": str, "values": {}}]}},
    "programs": [{"tile": {"seeds": int, "variants": int}}],
    "auto": [{"key": str}],
}
FORM = {**RECORD, "experiments": {ANY: RECORD}, "titles": {ANY: RECORD}, "files": ...}
KINDS = {str: "text", float: "number", int: "whole number", dict: "table", list: "list"}


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
        ValueError: the file does not hold a JSON object, or not the one that was written, or something in it has another form
            than `FORM`.
    """
    content = (folder / MANIFEST).read_bytes()
    manifest = from_digested_json(content, optional=lambda found: not digests_of(found))  # version 0.1
    check(manifest, FORM)
    for study in _studies(manifest):
        study |= {key: with_infinities(study[key]) for key in SETTINGS if key in study}
    return manifest


def is_ours(manifest: Mapping[str, Any]) -> bool:
    """Return whether a run wrote a manifest: other programs have files of this name, too."""
    return all(manifest.get(key) is not None for key in ("jaxcompare", "experiments", "files"))


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


def check(value: Any, form: Any, where: str = "") -> None:
    """Check that a part of a manifest has its form.

    Args:
        value: the part.
        form: a type; a list with the form of every entry; a table with the form of each key. An empty list or table may hold
            anything.
        where: the part's place, for the error.

    Raises:
        ValueError: another form.
    """
    if form is ...:
        return
    kind: Any = form if isinstance(form, type) else type(form)
    taken: Any = (int, float) if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, taken):
        raise ValueError(f"{where or 'its content'} = {str(value)[:40]!r} is not a {KINDS[kind]}")
    for number, part in enumerate(value, start=1) if form and kind is list else ():
        check(part, form[0], f"{where}.{number}")
    if kind is dict:
        _check_table(value, form, where)


def _check_table(table: Mapping[str, Any], form: Mapping[str, Any], where: str) -> None:
    for key in form.keys() & NEEDED:
        if table.get(key) is None:
            raise ValueError(f"{where}.{key} is missing")
    for key, part in table.items():
        if ANY in form or (key in form and part is not None):
            check(part, form.get(key, form.get(ANY)), f"{where}.{key}".removeprefix("."))


def _studies(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the studies of every config; a damaged record has none."""
    found: Any = manifest.get("experiments")
    for key in ("config", "study"):
        parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        found = [part.get(key) for part in parts if isinstance(part, dict)]
    return [study for each in found for study in (each if isinstance(each, list) else ()) if isinstance(study, dict)]
