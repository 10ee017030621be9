"""Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 images of clothes, 28 by 28 pixels in grey.

Places are tried in order: the cache, a set prepared by TFDS, the four IDX files in a folder, the download of TFDS. Data
count only if their digests equal the pinned digests. Data from outside the cache are then written to the cache.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from jaxcompare.data import cache, debian, download, idx, prepared
from jaxcompare.data.base import DataError, Dataset
from jaxcompare.data.sources import Arrays, Found, Pinned, Source, canonical, find, verify

NAME = "fashion_mnist"
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PINNED = Pinned(
    payloads={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    arrays="1990c143909e426585fea5c5d75e9a9da3bdf611cf989880bd7e479f2fb11aaf",
)
PACKAGE = "dataset-fashion-mnist"
PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where the Debian package installs the files
PROBE_SECONDS = 3.0
STALL_SECONDS = 30.0
LIMIT_SECONDS = 600.0

_HELP = f"""Any of these helps:
  - `make data`, or `python -m jaxcompare.data`: downloads the set into the cache
  - `--data-dir FOLDER` or $JAXCOMPARE_DATA_DIR: a folder with the four IDX files ({idx.NAMES[0]} and so on,
    plain or .gz; torchvision keeps them in FashionMNIST/raw), or with a set prepared by TFDS
  - `apt install {PACKAGE}`, on Debian and Ubuntu
  - a set prepared by TensorFlow Datasets in $TFDS_DATA_DIR or ~/tensorflow_datasets"""

_logger = logging.getLogger(__name__)


def cache_path() -> Path:
    """Return the file of the cache that holds the verified arrays."""
    return cache.folder() / f"{NAME}.npz"


def load(*, data_dir: Path | None = None, pinned: Pinned = PINNED) -> Dataset:
    """Load Fashion-MNIST from the first place that has the set.

    Args:
        data_dir: a folder with the IDX files or a prepared TFDS set, in addition to the usual places.
        pinned: the digests of the true data.

    Raises:
        DataError: no place has the set; the message lists the places, why each failed, and what helps.
    """
    found = fetch([*local_sources(data_dir, pinned), tfds_download(pinned)], pinned)
    return as_dataset(found, pinned)


def as_dataset(found: Found, pinned: Pinned) -> Dataset:
    """Return the arrays as a data set."""
    return Dataset(
        NAME,
        *found.arrays,
        classes=len(CLASS_NAMES),
        class_names=CLASS_NAMES,
        input_max=255.0,
        source=found.place,
        digest=pinned.arrays,
    )


def fetch(sources: Iterable[Source], pinned: Pinned) -> Found:
    """Read the first source that gives the pinned data, and cache them; raise DataError where no source does."""
    found = find(sources)
    if not isinstance(found, Found):
        tried = "\n".join(f"  - {attempt.place}: {attempt.reason}" for attempt in found)
        raise DataError(f"Fashion-MNIST was not found. Tried, in this order:\n{tried}\n{_HELP}")
    for attempt in found.attempts:
        if attempt.refused:
            _logger.warning("Fashion-MNIST: skipped %s: %s", attempt.place, attempt.reason)
    if found.place != _cache_place():
        try:
            cache.write(cache_path(), found.arrays)
        except (DataError, OSError) as error:
            _logger.warning("the cache cannot be written, and the next run will read the source again: %s", error)
    return found


def local_sources(data_dir: Path | None, pinned: Pinned) -> list[Source]:
    """Return the places on this machine, in the order in which they are tried."""
    own_folders = _folders(data_dir, os.environ.get("JAXCOMPARE_DATA_DIR"))
    tfds_folders = _folders(os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets")
    return [
        Source(_cache_place(), lambda: cache.read(cache_path(), pinned.arrays)),
        *(_idx_source(folder, pinned) for folder in _cache_folders()),
        *(_tfds_source(folder, pinned) for folder in _folders(*own_folders, *tfds_folders)),
        *(_idx_source(folder, pinned) for folder in _folders(*own_folders, PACKAGE_FOLDER)),
    ]


def tfds_download(pinned: Pinned) -> Source:
    """Return the download of the IDX files with TFDS, as a source."""

    def read() -> Arrays:
        files = download.addresses(NAME)
        download.probe(min(files, key=len), seconds=PROBE_SECONDS)
        _logger.info("downloading Fashion-MNIST, 31 MB")
        with tempfile.TemporaryDirectory() as folder:
            download.fetch(NAME, files, Path(folder), stall_seconds=STALL_SECONDS, limit_seconds=LIMIT_SECONDS)
            return _read_idx(Path(folder), pinned)

    return Source("the download of TensorFlow Datasets", read)


def debian_package(pinned: Pinned) -> Source:
    """Return the IDX files of the Debian package as a source; the package is not installed."""

    def read() -> Arrays:
        with tempfile.TemporaryDirectory() as folder:
            debian.unpack_package(PACKAGE, Path(folder), limit_seconds=LIMIT_SECONDS / 4)
            return _read_idx(Path(folder) / PACKAGE_FOLDER.relative_to("/"), pinned)

    return Source(f"the Debian package {PACKAGE}", read)


def _cache_place() -> str:
    return f"the cache, {cache_path()}" if _cache_folders() else "the cache"


def _cache_folders() -> list[Path]:
    """Return the cache folder; none for a user without a home, for whom the other places are tried."""
    try:
        return [cache.folder()]
    except DataError:
        return []


def _tfds_source(folder: Path, pinned: Pinned) -> Source:
    return Source(
        f"a prepared TFDS set in {folder}",
        partial(prepared.read, folder, NAME, lambda arrays: verify(canonical(arrays), pinned.arrays)),
    )


def _idx_source(folder: Path, pinned: Pinned) -> Source:
    return Source(f"IDX files in {folder}", partial(_read_idx, folder, pinned))


def _read_idx(folder: Path, pinned: Pinned) -> Arrays:
    return verify(canonical(idx.read_folder(folder, pinned.payloads)), pinned.arrays)


def _folders(*folders: str | Path | None) -> list[Path]:
    """Return each folder once, without the empty values."""
    return list(dict.fromkeys(Path(os.path.expanduser(folder)) for folder in folders if folder))
