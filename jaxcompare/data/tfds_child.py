"""Download the files of a TFDS data set into a folder; TFDS verifies them. `download.fetch` runs this file as a process.

The file imports nothing of the package, because the process runs the file by its path. The parent ends slow downloads, and the
process ends with its parent, which holds the other end of stdin.
Usage: python -P tfds_child.py DATASET FOLDER ADDRESS...
"""

from __future__ import annotations

import os
import sys
import threading


def main(dataset: str, folder: str, *addresses: str) -> None:
    """Download each address into the folder, under the last part of the address."""
    import tensorflow_datasets as tfds

    manager = tfds.download.DownloadManager(
        download_dir=os.path.join(folder, "downloads"), dataset_name=dataset, force_checksums_validation=True
    )
    paths = manager.download({address.rpartition("/")[2]: address for address in addresses})
    for name, path in paths.items():
        os.replace(path, os.path.join(folder, name))


def end_with_parent() -> None:
    """Wait for the end of stdin, and end the process."""
    while os.read(0, 1):  # not `sys.stdin`, whose lock Python needs at its end
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    main(*sys.argv[1:])
