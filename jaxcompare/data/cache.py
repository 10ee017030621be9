"""The cache of verified arrays: one file, written whole."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from jaxcompare.data.base import DataError
from jaxcompare.data.sources import AbsentError, Arrays, verify
from jaxcompare.system.files import cache_folder, write_atomically


def folder() -> Path:
    """Return the folder of cached data: $JAXCOMPARE_CACHE, which users may share, else the user's cache folder.

    Raises:
        DataError: the variable is not set, and the user has no home directory.
    """
    shared = os.environ.get("JAXCOMPARE_CACHE")
    found = Path(os.path.expanduser(shared)) if shared else cache_folder()
    if found is None:
        raise DataError("there is no home directory to keep the cache in: set $JAXCOMPARE_CACHE to a folder")
    return found


def read(path: Path, expected: str) -> Arrays:
    """Read verified arrays.

    Args:
        path: a file that `write` wrote.
        expected: the digest of the arrays.

    Raises:
        AbsentError: the file does not exist.
        DataError: the file is damaged or holds other arrays.
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
    """Write arrays to the cache; a reader sees the old file or the whole new file. Raises OSError where that fails."""
    content = io.BytesIO()
    np.savez(content, **arrays._asdict())  # not compressed: that saves half the space and costs seconds
    write_atomically(path, content.getvalue())
