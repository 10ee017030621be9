"""Results are published whole: first all files are written aside, then that folder is renamed, then the files are moved.

A kill before the renaming leaves the old results; after it, whoever comes next moves the rest. Standard library only.

<out>/.run/staging/       files that are being written
<out>/.run/publishing/    all files of new results, from the renaming until they have been moved into <out>
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxcompare.system.files import set_aside, sync, write_atomically
from jaxcompare.system.lock import LOCKS, lock
from jaxcompare.system.manifest import MANIFEST, is_ours, read_manifest

RUN = ".run"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep other processes out of a results folder during a block; first publish what an earlier run was publishing.

    What the lock needed is taken away where the block left nothing beside it.

    Raises:
        LockedError: another process has the folder.
        OSError: the folder cannot be written.
    """
    made = [path for path in (out / RUN, out, *out.parents) if not path.exists()]
    unlock = lock(out / RUN)
    try:
        finish(out)
        yield
    finally:
        left = {path.name for path in (out / RUN).glob("*")} - LOCKS
        if out / RUN in made and not left:
            shutil.rmtree(out / RUN, ignore_errors=True)
            for path in made[1:]:
                with contextlib.suppress(OSError):  # it is not empty
                    path.rmdir()
        unlock()


def fresh_staging(out: Path) -> Path:
    """Return an empty folder to write results into; `publish` moves them."""
    staging = out / RUN / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def publish(out: Path) -> None:
    """Publish what was staged, its manifest included. The caller has locked the folder.

    Files that only the last run wrote are removed; files that no run wrote stay.

    Raises:
        OSError: a file cannot be moved; the old results are there, or whoever comes next publishes the rest.
    """
    staging, ready = out / RUN / "staging", _ready(out)
    for path in staging.rglob("*"):
        sync(path)
    shutil.rmtree(ready, ignore_errors=True)  # what could not be removed before
    staging.rename(ready)
    sync(ready.parent)
    finish(out)


def finish(out: Path) -> None:
    """Move what is left of results that were about to be published, if any. The caller has locked the folder.

    Raises:
        OSError: a file cannot be read or moved. Nothing is lost, and whoever comes next tries again.
    """
    ready = _ready(out)
    if (ready / MANIFEST).is_file():
        try:
            new = _names(ready, read_manifest(ready))
        except ValueError:
            set_aside(ready, "what was being published has a damaged manifest")
            return
        try:
            before = read_manifest(out)
            old = _names(out, before) if is_ours(before) else set()
        except (FileNotFoundError, ValueError):
            old = set()
        for name in sorted(new):
            if (ready / name).is_file():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                _move(ready / name, out / name)
        there = [path.stat() for name in new if (path := out / name).is_file()]  # a user may have removed some
        for path in (out / name for name in old - new):
            # Where a file system takes Adam.png and adam.png for one file, the old name is the new file's.
            if path.is_file() and not any(os.path.samestat(path.stat(), one) for one in there):
                path.unlink()
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        for folder in {(out / name).parent for name in new}:
            if folder.is_dir():
                sync(folder)
        _move(ready / MANIFEST, out / MANIFEST)  # last: it says that the rest is there
        sync(out)
    shutil.rmtree(ready, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Rename a file; into a folder on another disk, which a link leads to, copy it first."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        write_atomically(target, source.read_bytes())
        source.unlink()


def _ready(out: Path) -> Path:
    return out / RUN / "publishing"


def _names(folder: Path, manifest: Mapping[str, Any]) -> set[str]:
    """Return the names of the files in a folder that a manifest has; anyone may have written it."""
    names = {str(name).replace("\0", "") for name in manifest["files"]} - {MANIFEST}
    here = folder.resolve()
    paths = {name: (folder / name).resolve() for name in names}
    return {name for name, path in paths.items() if here in path.parents and here / RUN not in path.parents}
