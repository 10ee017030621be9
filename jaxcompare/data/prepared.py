"""Sets that TensorFlow Datasets (TFDS) has prepared, read without TensorFlow."""

from __future__ import annotations

import contextlib
import json
import logging
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxcompare.data.base import Array, DataError
from jaxcompare.data.sources import AbsentError, Arrays

_logger = logging.getLogger(__name__)


def read(root: Path, name: str, verified: Callable[[Arrays], Arrays]) -> Arrays:
    """Read the newest version of a set of images that is whole.

    Args:
        root: the data_dir of TFDS, the folder of the set, or the folder of a version of the set.
        name: the set's name in TFDS.
        verified: returns the arrays in canonical order; raises DataError where the arrays are not the expected ones.

    Returns:
        Images [N, height * width * channels] and labels [N], as `verified` returns them; TFDS has shuffled the files.

    Raises:
        AbsentError: the folder has no prepared set of that name.
        DataError: no version of the set can be read.
    """
    reasons = []
    for folder in find_versions(root, name):
        _logger.info("reading %s, which takes half a minute", folder)
        try:
            arrays = verified(_read(folder))
        except DataError as error:
            reasons.append(f"{folder.name}: {error}")
            continue
        for reason in reasons:
            _logger.warning("skipped a damaged version of %s, and used %s: %s", name, folder.name, reason)
        return arrays
    raise DataError("; ".join(reasons))


def read_splits(root: Path, name: str) -> dict[str, Any]:
    """Read every split of the newest version of any set with inputs and classes, and the names of the classes.

    Raises:
        AbsentError: the folder has no prepared set of that name.
        DataError: the set has no inputs with classes, or cannot be read.
    """
    return _readable(find_versions(root, name)[0], _read_all)


def _read_all(folder: Path) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    keys: Any = builder.info.supervised_keys or ()
    if len(keys) != 2:
        raise DataError("the set has no inputs with classes (TFDS calls these supervised keys)")
    splits: dict[str, Any] = {}
    for split in builder.info.splits:
        pairs = [(example[keys[0]], example[keys[1]]) for example in _examples(builder, split)]
        splits[split] = [x for x, _ in pairs], [y for _, y in pairs]
    return splits | {"class_names": getattr(builder.info.features[keys[1]], "names", None)}


def _read(folder: Path) -> Arrays:
    return _readable(folder, _read_version)


def _readable(folder: Path, read: Callable[[Path], Any]) -> Any:
    try:
        with _quiet():
            return read(folder)
    except DataError:
        raise
    except ImportError as error:
        raise DataError(f"reading the set needs {error.name}, which is not installed") from error
    except Exception as error:  # TFDS, array_record and Pillow each raise other kinds
        raise DataError(f"cannot be read: {type(error).__name__}: {error}") from error


def find_versions(root: Path, name: str) -> list[Path]:
    """Return the folders of the versions of a prepared set, the newest first, or raise AbsentError."""
    infos = [path for pattern in ("", "*/", f"{name}/*/") for path in root.glob(f"{pattern}dataset_info.json")]
    folders = {path.parent for path in infos if _name_in(path) == name}
    if not folders:
        raise AbsentError(f"no prepared {name} there" if root.is_dir() else "no such folder")
    return sorted(folders, key=_version, reverse=True)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.name.split(".") if part.isdigit())


def _name_in(path: Path) -> str | None:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
        return None


def _read_version(folder: Path) -> Arrays:
    import tensorflow_datasets as tfds  # takes a second to import

    builder = tfds.builder_from_directory(folder)
    return Arrays(*_stack(_examples(builder, "train")), *_stack(_examples(builder, "test")))


def _examples(builder: Any, split: str) -> Iterable[dict[str, Any]]:
    if builder.info.file_format.value != "tfrecord":
        source = builder.as_data_source(split=split)
        return (source[index] for index in range(len(source)))
    # TFDS reads TFRecord, its default format, through TensorFlow only.
    paths = builder.info.splits[split].filepaths
    return (builder.info.features.deserialize_example_np(record) for path in paths for record in tfrecords(Path(path)))


def tfrecords(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file: length (uint64), its checksum, content, checksum; all little-endian.

    The checksums are skipped, because the caller verifies the digest of the whole content.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            (length,) = struct.unpack("<Q", header[:8])
            yield file.read(length)
            file.seek(4, 1)


def _stack(examples: Iterable[dict[str, Any]]) -> tuple[Array, Array]:
    pairs = [(example["image"].ravel(), example["label"]) for example in examples]
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the advice of TFDS to install a faster image decoder."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
