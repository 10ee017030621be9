"""How much RAM this process may use, and how sizes are written. Standard library only."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from jaxcompare.system.cores import folders

# A cgroup's folder, its controller in version 1, and its files: limit, usage, and the reclaimable file cache in the usage.
CGROUPS = (
    ("sys/fs/cgroup", "", "memory.max", "memory.current", "inactive_file"),
    ("sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
UNLIMITED = 2**60  # cgroup v1 writes a number near 2**63 where there is no limit


def free_ram(root: Path = Path("/")) -> int | None:
    """Return the available RAM in bytes, within this process's cgroup limits; None where the system does not say."""
    available = _meminfo(root)
    return min((size for size in (available, *_cgroups(root)) if size is not None), default=None)


def give_back_freed_memory() -> None:
    """Give freed memory back to the system. The GNU C library keeps most of it: compilers free many small pieces."""
    with suppress(OSError, AttributeError, TypeError):  # another C library; Windows
        ctypes.CDLL(None).malloc_trim(0)


def _meminfo(root: Path) -> int | None:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if root == Path("/") and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _cgroups(root: Path) -> list[int]:
    """Return the bytes that each memory limit leaves: the limits of this process's cgroups and of their parents."""
    left = []
    for base, controller, limit_name, usage_name, cache_name in CGROUPS:
        for folder in folders(root, base, controller):
            try:
                limit = (folder / limit_name).read_text().strip()
                usage = int((folder / usage_name).read_text())
                statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue
            if limit != "max" and int(limit) < UNLIMITED:
                left.append(max(0, int(limit) - usage + int(statistics.get(cache_name, 0))))
    return left


def spell_bytes(size: int) -> str:
    """Write a number of bytes with its unit.

    >>> spell_bytes(1536), spell_bytes(5 * 2**30)
    ('1.5 KiB', '5 GiB')
    """
    power = min(4, max(0, (max(1, size).bit_length() - 1) // 10))
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{size / 2 ** (10 * power):.3g} {unit}"
