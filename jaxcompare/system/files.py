"""Files that are written whole, and the user's cache folder. Standard library and platformdirs only."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import platformdirs


def cache_folder() -> Path | None:
    """Return the user's cache folder: `jaxcompare` in $XDG_CACHE_HOME or ~/.cache on Linux; None for a user without a home.

    platformdirs knows the folder of other systems.
    """
    try:
        return platformdirs.user_cache_path("jaxcompare", appauthor=False)
    except RuntimeError:
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file and its folder; a reader sees the old file or the whole new file, never a part.

    Raises:
        OSError: the file cannot be written; an older file at `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with contextlib.suppress(OSError):  # some file systems have no modes
            Path(name).chmod(0o644)  # mkstemp lets only its owner read, and users may share a folder
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
