"""Getting the files of a Debian or Ubuntu package without installing it, and without being root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jaxcompare.data.base import DataError

_OS_RELEASE = Path("/etc/os-release")
# Offline, apt would try each address several times, for minutes.
_APT = (
    "apt-get",
    "-q",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=10",
    "-o",
    "Acquire::https::Timeout=10",
)


def is_debian(os_release: Path = _OS_RELEASE) -> bool:
    """Say whether this is Debian or one of its kin, with the tools to fetch and unpack a package."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return False
    kin = {word for line in lines if line.startswith(("ID=", "ID_LIKE=")) for word in line.partition("=")[2].split()}
    known = any(word.strip("\"'") in ("debian", "ubuntu") for word in kin)
    return known and all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))


def unpack_package(package: str, folder: Path, *, limit_seconds: float) -> None:
    """Download a package with apt and unpack it in a folder, as it would lie under / if it were installed.

    Args:
        package: its name.
        folder: an existing, empty one.
        limit_seconds: for each of the commands.

    Raises:
        DataError: apt cannot get it, or it cannot be unpacked.
    """
    if not is_debian():
        raise DataError("this is no Debian or Ubuntu with apt-get and dpkg-deb")
    download = [*_APT, "download", package]
    try:
        _run(download, folder, limit_seconds)
    except DataError as error:
        if os.geteuid() != 0:
            raise DataError(f"{error} (a stale package list? `sudo apt-get update` renews it)") from error
        _run([*_APT, "update"], folder, limit_seconds)
        _run(download, folder, limit_seconds)
    archives = sorted(folder.glob("*.deb"))
    if not archives:
        raise DataError("apt-get download left no package")
    _run(["dpkg-deb", "-x", str(archives[0]), "."], folder, limit_seconds)


def _run(command: Sequence[str], folder: Path, limit_seconds: float) -> None:
    """Run a command, whose output is shown only where it fails."""
    words = " ".join((command[0], *(word for word in command[-2:] if word != command[0])))
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"`{words}` did not finish within {limit_seconds:g} s") from error
    except OSError as error:
        raise DataError(f"`{words}` cannot be run: {error}") from error
    if done.returncode != 0:
        raise DataError(f"`{words}` failed: {' '.join((done.stderr or done.stdout).decode(errors='replace').split())}")
