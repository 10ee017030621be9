"""Files that are written whole, and the user's cache folder. Standard library and platformdirs only."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from pathlib import Path

import platformdirs

_LOG = logging.getLogger(__name__)


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
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:  # its mode is the user's: umask decides who may read the file
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder (not on Windows, which opens no folder)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows syncs what may be written
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path, why: object = "damaged") -> None:
    """Rename a damaged file or folder, so that it is made again and can still be looked at; log it."""
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)
    _LOG.warning("%s: %s; set aside as %s", path, why, aside.name)
