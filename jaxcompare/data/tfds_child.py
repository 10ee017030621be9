"""Download the files of a TFDS data set into a folder; TFDS verifies them. `download.fetch` runs this file as a process.

The file imports nothing of the package, because the process runs the file by its path. The parent ends slow downloads.
Usage: python -P tfds_child.py DATASET FOLDER ADDRESS...
"""

from __future__ import annotations

import os
import sys


def main(dataset: str, folder: str, *addresses: str) -> None:
    """Download each address into the folder, under the last part of the address."""
    import tensorflow_datasets as tfds

    manager = tfds.download.DownloadManager(
        download_dir=os.path.join(folder, "downloads"), dataset_name=dataset, force_checksums_validation=True
    )
    paths = manager.download({address.rpartition("/")[2]: address for address in addresses})
    for name, path in paths.items():
        os.replace(path, os.path.join(folder, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
