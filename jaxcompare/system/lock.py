"""A lock on a folder: of the system, or a file where the file system has no locks. Standard library only."""

from __future__ import annotations

import json
import os
import platform
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from jaxcompare.system.strict_json import to_json

SECONDS_BETWEEN_BEATS = 20.0
LOCKS = {"lock", "lock.json"}  # the files in the folder, of one kind or the other
STALE_SECONDS = 300.0  # a process of another host that has not written for longer is taken for dead


class LockedError(Exception):
    """Another process holds the lock; the text says which, where that is known."""


def lock(folder: Path) -> Callable[[], Any]:
    """Lock a folder for this process; return the function that unlocks it.

    Raises:
        LockedError: another process holds the lock.
        OSError: the folder cannot be written.
    """
    path = folder / "lock"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)  # less what umask takes
    try:
        if fcntl is None:
            raise OSError("no locks")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LockedError from error
    except OSError:  # some network file systems: ENOTSUP, ENOLCK, EINVAL, ENOSYS
        os.close(descriptor)
        return _FileLock(folder / "lock.json").unlock
    if not _is_at(path, descriptor):  # another process has just removed its folder: this lock would keep nobody out
        os.close(descriptor)
        return lock(folder)
    return lambda: os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class _FileLock:
    """A file that only one process can make. It names the process, whose thread touches the file while the process lives."""

    def __init__(self, path: Path) -> None:
        """Make the file, in place of a file whose process has died; raise LockedError where that lives."""
        self.path, self.ended = path, threading.Event()
        mine = {"process": os.getpid(), "started": _started(os.getpid()), "token": uuid.uuid4().hex}
        self.content = to_json(_host() | mine).encode()
        while not self._make():
            held = self._read()
            if held is None:
                continue  # it has just been unlocked
            if not self._is_stale(held):
                raise LockedError(_named(held))
            self._take_away(held)
        threading.Thread(target=self._beat, daemon=True).start()

    def unlock(self) -> None:
        """Remove the file, if it is still this lock's."""
        self.ended.set()
        with suppress(OSError):
            if self._read() == self.content:
                self.path.unlink()

    def _make(self) -> bool:
        """Make the file; return whether there was none."""
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.content)
        return True

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def _is_stale(self, held: bytes) -> bool:
        """Return whether the process has died: on this host by its number, elsewhere by the time since it touched the file."""
        owner = _parsed(held)
        if owner.items() >= _host().items() and os.name == "posix" and isinstance(owner.get("process"), int):
            return _is_dead(owner["process"]) or owner.get("started") != _started(owner["process"])
        with suppress(FileNotFoundError):
            return self._now() - self.path.stat().st_mtime > STALE_SECONDS
        return False

    def _now(self) -> float:
        """Return the file system's time, which a server's clock and not this host's gives."""
        probe = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        try:
            probe.touch()
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _take_away(self, held: bytes) -> None:
        """Remove the file if it still has this content; of several processes that try, one renames it."""
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            self.path.rename(aside)
            if aside.read_bytes() != held:  # somebody was faster, and has the lock now
                aside.rename(self.path)
            else:
                aside.unlink()

    def _beat(self) -> None:
        while not self.ended.wait(SECONDS_BETWEEN_BEATS):
            with suppress(OSError):  # the server may come back
                os.utime(self.path)


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the owner; empty where the file is damaged, or is being written."""
    try:
        owner = json.loads(content)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _named(content: bytes) -> str:
    owner = _parsed(content)
    known = f"process {owner['process']} on {owner['host']}" if {"process", "host"} <= owner.keys() else "a process"
    return f"{known}; a process that has died gives way after {STALE_SECONDS / 60:.0f} minutes"


def _host() -> dict[str, str]:
    """Return this host's name, and the space of its processes' numbers: containers may share a name."""
    try:
        return {"host": platform.node(), "space": os.readlink("/proc/self/ns/pid")}
    except OSError:
        return {"host": platform.node(), "space": ""}


def _is_dead(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False


def _started(process: int) -> str | None:
    """Return when a process started, in the system's ticks: its number may be given to another later. None: not known."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
