"""A folder is one process's at a time, on file systems with locks and without."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxcompare.execution import run_folder
from jaxcompare.system import lock as locks
from jaxcompare.system.lock import LockedError, lock

HOLD = """
import errno, sys
from pathlib import Path
from jaxcompare.system import lock as locks

def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")

locks.fcntl.flock = flock
unlock = locks.lock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=[errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS, None], ids=str)
def without_locks(request, monkeypatch):
    def flock(*_):
        raise OSError(request.param, os.strerror(request.param))

    if request.param is None:
        monkeypatch.setattr(locks, "fcntl", None)  # Windows
    else:
        monkeypatch.setattr(locks.fcntl, "flock", flock)


@pytest.fixture
def no_locks(monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)


def held_elsewhere(folder, **owner):
    """Write the lock of a process of another host, which last touched the file some seconds ago."""
    seconds = owner.pop("seconds", 0.0)
    (folder / "lock.json").write_text(json.dumps({"host": "elsewhere", "space": "", "process": 7} | owner))
    os.utime(folder / "lock.json", (time.time() - seconds,) * 2)


def test_a_run_locks_its_folder_without_the_systems_locks(tmp_path, without_locks):
    first, second = run_folder.RunFolder(tmp_path), run_folder.RunFolder(tmp_path)
    named = rf"writes there now \(process {os.getpid()} on .*choose another"
    with first.claimed("one"):
        first.begin("one", "command")
        with pytest.raises(run_folder.StoreError, match=named), second.claimed("one"):
            pass
    with second.claimed("one"):
        pass
    assert sorted(path.name for path in (tmp_path / ".run").glob("lock*")) == ["lock"]


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, no_locks):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(LockedError, match=f"process {process.pid} "):
            lock(tmp_path)
        process.kill()
        process.wait()
        unlock = lock(tmp_path)
    assert json.loads((tmp_path / "lock.json").read_text())["process"] == os.getpid()
    unlock()
    assert not (tmp_path / "lock.json").exists()


def test_the_number_of_a_dead_process_may_be_anothers_now(tmp_path, no_locks):
    held_elsewhere(tmp_path, **locks._host(), process=os.getpid(), started="another time")
    lock(tmp_path)()
    held_elsewhere(tmp_path, **locks._host(), process=os.getpid(), started=locks._started(os.getpid()), seconds=10_000)
    with pytest.raises(LockedError):  # it lives, however long it has been suspended
        lock(tmp_path)


def test_another_hosts_lock_is_taken_over_when_its_heart_has_stopped(tmp_path, no_locks, monkeypatch):
    held_elsewhere(tmp_path, seconds=locks.STALE_SECONDS - 100)
    with pytest.raises(LockedError, match="process 7 on elsewhere"):
        lock(tmp_path)
    held_elsewhere(tmp_path, seconds=locks.STALE_SECONDS + 100)
    lock(tmp_path)()
    (tmp_path / "lock.json").touch()  # it is being written
    with pytest.raises(LockedError, match="a process"):
        lock(tmp_path)
    (tmp_path / "lock.json").unlink()

    monkeypatch.setattr(locks, "SECONDS_BETWEEN_BEATS", 0.01)
    unlock = lock(tmp_path)
    os.utime(tmp_path / "lock.json", (0, 0))
    until = time.monotonic() + 10
    while (tmp_path / "lock.json").stat().st_mtime == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert time.time() - (tmp_path / "lock.json").stat().st_mtime < 60
    held_elsewhere(tmp_path)
    unlock()
    assert (tmp_path / "lock.json").exists()  # it is another's by now


def test_of_two_that_take_a_stale_lock_over_one_has_it(tmp_path, no_locks, monkeypatch):
    held_elsewhere(tmp_path, seconds=10_000)

    def and_another(self, held):
        monkeypatch.setattr(locks._FileLock, "_take_away", original)
        faster.append(lock(tmp_path))
        original(self, held)

    faster, original = [], locks._FileLock._take_away
    monkeypatch.setattr(locks._FileLock, "_take_away", and_another)
    with pytest.raises(LockedError, match=f"process {os.getpid()} "):
        lock(tmp_path)
    faster[0]()
    assert [path.name for path in Path(tmp_path).glob("lock.*")] == []


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
@pytest.mark.parametrize("locking", [True, False], ids=["locks", "no locks"])
def test_files_of_a_lock_have_the_mode_that_umask_gives(tmp_path, monkeypatch, mask, mode, locking):
    if not locking:
        monkeypatch.setattr(locks, "fcntl", None)
    before = os.umask(mask)
    try:
        unlock = lock(tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}
    unlock()
