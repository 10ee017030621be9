"""What the machine offers: memory and cores within a container's limits, and files that are written whole."""

import os
import stat
from pathlib import Path

import pytest

from jaxcompare.system.cores import usable_cores
from jaxcompare.system.files import cache_folder, write_atomically
from jaxcompare.system.memory import free_ram


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MEMINFO = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"}
V2 = {
    "proc/self/cgroup": "0::/jobs/mine\n",
    "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
    "sys/fs/cgroup/jobs/mine/memory.current": "10\n",
    "sys/fs/cgroup/jobs/mine/memory.stat": "anon 10\n",
    "sys/fs/cgroup/jobs/memory.max": "5000\n",
    "sys/fs/cgroup/jobs/memory.current": "3000\n",
    "sys/fs/cgroup/jobs/memory.stat": "anon 2000\ninactive_file 1000\n",
}
V1 = {
    "proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/job\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "7000\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "3000\n",
    "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 500\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "3000\n",
    "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 500\n",
}


@pytest.mark.parametrize(
    ("files", "free"),
    [(MEMINFO, 8000 * 1024), (MEMINFO | V2, 3000), (MEMINFO | V1, 4500), (V2, 3000), ({}, None)],
    ids=["no cgroup", "v2, the parent's limit", "v1", "no meminfo", "nothing is known"],
)
def test_free_ram_is_what_every_limit_leaves(tmp_path, files, free):
    write(tmp_path, files)
    assert free_ram(tmp_path) == free


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, 2),
        (
            V1
            | {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"},
            1,
        ),
        (V1 | {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "damaged\n"}, 8),
    ],
)
def test_cores_are_those_that_a_container_leaves(tmp_path, monkeypatch, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    write(tmp_path, files)
    assert usable_cores(tmp_path) == cores


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/jaxcompare")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somebody")
    assert cache_folder() == Path("/somebody/.cache/jaxcompare")


def test_a_user_without_a_home_has_no_cache_folder(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    assert cache_folder() is None


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "some.txt"
    write_atomically(path, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["some.txt"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_has_the_mode_that_umask_gives(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "some.txt", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "some.txt").stat().st_mode) == mode
