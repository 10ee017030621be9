"""The IDX format of MNIST and similar sets: four files, plain or gzipped, of big-endian headers and unsigned bytes."""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxcompare.data.base import Array, DataError
from jaxcompare.data.sources import AbsentError, Arrays

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FOLDERS = ("", "FashionMNIST/raw", "raw")  # the files' places in a folder: torchvision's root and its data set's folder
_UNSIGNED_BYTE = 8  # the type code; these sets use no other

_logger = logging.getLogger(__name__)


def parse(payload: bytes, name: str) -> Array:
    """Read one IDX payload: two zero bytes, a type code, the number of axes, their lengths as uint32, the values.

    Args:
        payload: the whole file, uncompressed.
        name: the file's name, for error messages.

    Returns:
        uint8 values, of the shape in the header.
    """
    if len(payload) < 4 or payload[:2] != b"\0\0" or payload[2] != _UNSIGNED_BYTE or payload[3] == 0:
        raise DataError(f"{name} is no IDX file of unsigned bytes: the file begins with 0x{payload[:4].hex()}")
    start = 4 + 4 * payload[3]
    if len(payload) < start:
        raise DataError(f"{name} is cut short within its header, after {len(payload)} bytes")
    shape = struct.unpack(f">{payload[3]}I", payload[4:start])
    if len(payload) - start != math.prod(shape):
        raise DataError(f"{name} holds {len(payload) - start} values where the header says {math.prod(shape)}")
    return np.frombuffer(payload, np.uint8, offset=start).reshape(shape)


def candidates(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of any usual name, in any usual place: with a dash or a dot before `idx`, plain or gzipped."""
    dotted = name.replace("-idx", ".idx")
    paths = (folder / place / (stem + end) for place in FOLDERS for stem in (name, dotted) for end in ("", ".gz"))
    return (path for path in paths if path.is_file())


def read_payload(path: Path) -> bytes:
    """Read a file, decompressed where the content is gzip; the suffix of the name does not matter."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def read_folder(folder: Path, payload_digests: Mapping[str, str]) -> Arrays:
    """Read the four files of a folder; a damaged file is skipped where `candidates` has a whole one.

    Args:
        folder: the folder of the files, under any of the names that `candidates` knows.
        payload_digests: {name of `NAMES`: sha256 in hex of the payload}.

    Raises:
        AbsentError: the folder has none of the files.
        DataError: some files are missing, or the content of a file does not match its digest.
    """
    paths = {name: list(candidates(folder, name)) for name in NAMES}
    missing = [name for name in NAMES if not paths[name]]
    if len(missing) == len(NAMES):
        raise AbsentError("no IDX files there" if folder.is_dir() else "no such folder")
    if missing:
        raise DataError(f"{', '.join(missing)} missing")
    x_train, y_train, x_test, y_test = (_first_whole(paths[name], payload_digests[name]) for name in NAMES)
    return Arrays(_rows(x_train), y_train, _rows(x_test), y_test)


def _first_whole(paths: list[Path], expected: str) -> Array:
    """Return the values of the first file that is whole; raise DataError with the reason of each where none is."""
    reasons = []
    for path in paths:
        try:
            values = _read_verified(path, expected)
        except DataError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            _logger.warning("skipped a damaged file, and used %s: %s", path, reason)
        return values
    raise DataError("; ".join(reasons))


def _read_verified(path: Path, expected: str) -> Array:
    payload = read_payload(path)
    values = parse(payload, str(path))
    actual = hashlib.sha256(payload).hexdigest()
    if actual != expected:
        raise DataError(f"{path.name} has the sha256 digest {actual[:12]}... instead of {expected[:12]}...")
    return values


def _rows(images: Array) -> Array:
    return images.reshape(len(images), -1)
