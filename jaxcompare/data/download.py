"""Downloading the files of a TFDS data set within a time limit, and at once knowing that one is offline.

TFDS 4.9.10 cannot prepare Fashion-MNIST without TensorFlow, but its download manager fetches and verifies the files.
Offline it tries for minutes, and a server that says nothing blocks it for good: hence the probe, and the child process.
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
    """List where TFDS gets a data set from, as the installed TFDS says; importing it would take a second."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("tensorflow-datasets is not installed")
    path = Path(spec.submodule_search_locations[0]) / "url_checksums" / f"{dataset}.txt"
    try:
        found = tuple(line.split()[0] for line in path.read_text().splitlines() if line.strip())
    except OSError as error:
        raise DataError(f"the installed tensorflow-datasets does not say where to get {dataset}") from error
    return found


def probe(address: str, *, seconds: float) -> None:
    """Ask for the head of one file, through the proxy that the environment names, if any.

    Raises:
        DataError: no answer within that time, all in all, or one that refuses.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A thread, since looking up a name has no time limit of its own; a daemon, so that nobody waits for it.
    threading.Thread(target=lambda: answers.put(_ask(address, seconds)), daemon=True).start()
    try:
        refusal = answers.get(timeout=seconds)
    except queue.Empty:
        refusal = f"no answer within {seconds:g} s"
    if refusal:
        raise DataError(refusal)


def _ask(address: str, seconds: float) -> str | None:
    try:
        opener = urllib.request.build_opener()  # a new one reads the proxies anew
        with opener.open(urllib.request.Request(address, method="HEAD"), timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"the server answers {error.code} {error.reason}"
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except Exception as error:  # whatever it is, it is the reason why there is no answer
        return f"not reachable: {getattr(error, 'reason', error)}"


def fetch(
    dataset: str, files: Sequence[str], folder: Path, *, stall_seconds: float, limit_seconds: float, child: Path = CHILD
) -> None:
    """Download files into a folder, under the last part of each address.

    Args:
        dataset: its name in TFDS, which knows the files' checksums by it.
        files: their addresses.
        folder: an existing one; beside the files it may be left with partial ones.
        stall_seconds: give up when nothing has arrived for so long.
        limit_seconds: give up after so long in all.
        child: the program that downloads.

    Raises:
        DataError: the download failed or was given up.
    """
    command = [sys.executable, "-P", str(child), dataset, str(folder), *files]
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process,
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
        except FileNotFoundError:  # renamed since it was listed
            continue
    return total
