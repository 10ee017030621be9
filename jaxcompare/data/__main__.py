"""`python -m jaxcompare.data`: put Fashion-MNIST in the cache, from the first place that has the set."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxcompare.data import DataError, cache, fashion_mnist
from jaxcompare.data.sources import Pinned
from jaxcompare.system.command import command, tell


@command
def main(arguments: Sequence[str] | None = None, *, pinned: Pinned = fashion_mnist.PINNED) -> int:
    """Run the command and return its exit status: 0, or 2 where the cache does not hold the set afterwards."""
    parser = argparse.ArgumentParser(prog="python -m jaxcompare.data", description="Put Fashion-MNIST in the cache.")
    parser.add_argument("--data-dir", type=Path, help="a folder with the four IDX files or a prepared TFDS set")
    data_dir = parser.parse_args(arguments).data_dir
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        cache.folder()  # there must be one
        sources = [
            *fashion_mnist.local_sources(data_dir, pinned),
            fashion_mnist.tfds_download(pinned),
            fashion_mnist.debian_package(pinned),
        ]
        found = fashion_mnist.fetch(sources, pinned)
    except DataError as error:
        tell(str(error), "stderr")
        return 2
    if found.place == sources[0].place:
        tell(f"Fashion-MNIST is in the cache: {fashion_mnist.cache_path()}")
    elif fashion_mnist.cache_path().is_file():
        tell(f"Fashion-MNIST, from {found.place}, is verified and now in the cache: {fashion_mnist.cache_path()}")
    else:
        tell(f"Fashion-MNIST was found in {found.place}, but the cache cannot be written", "stderr")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
