"""A folder and a key that no other user can have written. Standard library only.

Windows has neither owners nor modes in this sense: there the user's cache folder is the user's own by its place.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32


class NotPrivateError(Exception):
    """Another user may read or write; the text says what, and why."""


def check_own(folder: Path) -> None:
    """Check that a folder is this user's, and that no other user may write there.

    Raises:
        NotPrivateError: it is another user's, or others may write there.
        OSError: the folder cannot be read.
    """
    if os.name != "posix":
        return
    status = os.stat(folder)
    if status.st_uid != os.geteuid():
        raise NotPrivateError(f"{folder} belongs to another user (number {status.st_uid})")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise NotPrivateError(f"other users may write into {folder} (mode {stat.S_IMODE(status.st_mode):04o})")


def make_private(folder: Path) -> None:
    """Make a folder that is for this user alone; a folder of this user's with other modes gets the mode 0700.

    Raises:
        NotPrivateError: the folder is another user's, or others may write there and that cannot be changed.
        OSError: the folder cannot be made or read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        status = os.stat(folder)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o700:
            try:
                os.chmod(folder, 0o700)
            except OSError as error:
                if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise NotPrivateError(f"other users may write into {folder}: {error.strerror}") from error
    check_own(folder)


def private_key(path: Path) -> bytes:
    """Return the random key in a file that only this user can read; make the file where there is none.

    Raises:
        NotPrivateError: the file is another user's, others can read or write the file, or it holds no key.
        OSError: the file cannot be made or read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        try:
            with suppress(FileExistsError):  # another process was faster: its key counts
                os.link(part, path)
        finally:
            part.unlink()
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
        if os.name == "posix":
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid():
                raise NotPrivateError(f"{path} belongs to another user (number {status.st_uid})")
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise NotPrivateError(f"other users can use {path} (mode {stat.S_IMODE(status.st_mode):04o})")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise NotPrivateError(f"{path} is not a key of {KEY_BYTES} bytes; remove the file, and a new key is made")
    return key
