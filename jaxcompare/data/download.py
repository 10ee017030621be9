"""The files of a TFDS data set, downloaded within a time limit; being offline is noticed within seconds.

TFDS 4.9.10 cannot prepare Fashion-MNIST without TensorFlow, but its download manager fetches and verifies the files.
Offline, the manager retries for minutes, and a silent server blocks the manager forever. The probe notices the first,
and the child process with its time limits ends the second.
"""

from __future__ import annotations

import importlib.util
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from jaxcompare.data.base import DataError

CHILD = Path(__file__).with_name("tfds_child.py")


def addresses(dataset: str) -> tuple[str, ...]:
    """Return the addresses of a data set from the files of the installed TFDS; importing TFDS would take a second."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("tensorflow-datasets is not installed")
    path = Path(spec.submodule_search_locations[0]) / "url_checksums" / f"{dataset}.txt"
    try:
        found = tuple(line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except OSError as error:
        raise DataError(f"the installed tensorflow-datasets does not say where to get {dataset}") from error
    return found


def probe(address: str, *, seconds: float) -> None:
    """Request the head of a file, through the proxy of the environment, if any.

    Raises:
        DataError: the server does not answer within `seconds` in total, or refuses.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A thread, because looking up a name has no time limit; a daemon, so that the exit of Python does not wait for it.
    threading.Thread(target=lambda: answers.put(_ask(address, seconds)), daemon=True).start()
    try:
        refusal = answers.get(timeout=seconds)
    except queue.Empty:
        refusal = f"no answer within {seconds:g} s"
    if refusal:
        raise DataError(refusal)


def _ask(address: str, seconds: float) -> str | None:
    try:
        opener = urllib.request.build_opener()  # a new opener reads the proxies again
        with opener.open(urllib.request.Request(address, method="HEAD"), timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"the server answers {error.code} {error.reason}"
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except Exception as error:  # any error is the reason why there is no answer
        return f"not reachable: {getattr(error, 'reason', error)}"


def fetch(
    dataset: str, files: Sequence[str], folder: Path, *, stall_seconds: float, limit_seconds: float, child: Path = CHILD
) -> None:
    """Download files into a folder, under the last part of each address.

    Args:
        dataset: the data set's name in TFDS, which has the checksums of the files.
        files: addresses of the files.
        folder: an existing folder; partial files may remain there.
        stall_seconds: stop when nothing arrives for this long.
        limit_seconds: stop after this long in total.
        child: the program that downloads.

    Raises:
        DataError: the download failed or was stopped.
    """
    command = [sys.executable, "-P", str(child), dataset, str(folder), *files]
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output) as process,
    ):
        try:
            _wait(process, folder, stall_seconds, limit_seconds)
        finally:
            process.kill()
        if process.wait() != 0:
            output.seek(0)
            lines = output.read().decode(errors="replace").split("\n")
            raise DataError(f"the download failed: {next((line for line in reversed(lines) if line.strip()), '')}")


def _wait(process: subprocess.Popen[bytes], folder: Path, stall_seconds: float, limit_seconds: float) -> None:
    start = last_growth = time.monotonic()
    size = 0
    while process.poll() is None:
        now = time.monotonic()
        if (new_size := _size(folder)) != size:
            size, last_growth = new_size, now
        if now - last_growth > stall_seconds:
            raise DataError(f"nothing arrived for {stall_seconds:g} s, after {size / 1e6:.1f} MB")
        if now - start > limit_seconds:
            raise DataError(f"not finished within {limit_seconds:g} s, after {size / 1e6:.1f} MB")
        time.sleep(0.1)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # the file was renamed after it was listed
            continue
    return total
