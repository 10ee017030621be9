"""The files of a Debian or Ubuntu package, without installing the package and without being root."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jaxcompare.data.base import DataError

# Offline, apt would retry each address for minutes.
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


def is_debian() -> bool:
    """Return whether this is Debian or a system derived from it, with the tools to fetch and unpack a package."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    systems = {release["ID"], *release.get("ID_LIKE", "").split()}
    return bool(systems & {"debian", "ubuntu"}) and all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))


def unpack_package(package: str, folder: Path, *, limit_seconds: float) -> None:
    """Download a package with apt and unpack it in a folder, with the paths that installing would create under /.

    Args:
        package: the name of the package.
        folder: an existing, empty folder.
        limit_seconds: time limit of each command.

    Raises:
        DataError: apt cannot download the package, or the package cannot be unpacked.
    """
    if not is_debian():
        raise DataError("this is no Debian or Ubuntu with apt-get and dpkg-deb")
    download = [*_APT, "download", package]
    try:
        _run(download, folder, limit_seconds)
    except DataError as error:
        if os.geteuid() != 0:
            raise DataError(f"{error} (is the package list old? `sudo apt-get update` renews the list)") from error
        _run([*_APT, "update"], folder, limit_seconds)
        _run(download, folder, limit_seconds)
    archives = sorted(folder.glob("*.deb"))
    if not archives:
        raise DataError("apt-get download left no package")
    _run(["dpkg-deb", "-x", str(archives[0]), "."], folder, limit_seconds)


def _run(command: Sequence[str], folder: Path, limit_seconds: float) -> None:
    """Run a command; a failure raises DataError with the output."""
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
