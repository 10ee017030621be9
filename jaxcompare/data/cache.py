"""The cache of verified arrays: one file, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from jaxcompare.data.base import DataError
from jaxcompare.data.sources import AbsentError, Arrays, verify


def folder() -> Path:
    """Say where the cache is: `$JAXCOMPARE_CACHE`, else `jaxcompare` in `$XDG_CACHE_HOME` or in ~/.cache."""
    if own := os.environ.get("JAXCOMPARE_CACHE"):
        return Path(own).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxcompare"
    except RuntimeError as error:
        raise DataError("there is no home directory to keep the cache in: set $JAXCOMPARE_CACHE to a folder") from error


def read(path: Path, expected: str) -> Arrays:
    """Read verified arrays.

    Args:
        path: a file that `write` wrote.
        expected: the digest of the arrays.

    Raises:
        AbsentError: there is no such file.
        DataError: it is damaged, or holds other arrays.
    """
    try:
        with path.open("rb") as file, np.load(file) as entries:
            arrays = Arrays(*(entries[name] for name in Arrays._fields))
    except FileNotFoundError as error:
        raise AbsentError("not there") from error
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds over a damaged file
        raise DataError(f"damaged: {error}") from error
    return verify(arrays, expected)


def write(path: Path, arrays: Arrays) -> None:
    """Write arrays so that a reader sees the old file or the whole new one; OSError where that cannot be done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **arrays._asdict())  # not compressed: that saves half the space and costs seconds
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # a class may share one cache; mkstemp lets only its owner read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
