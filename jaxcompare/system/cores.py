"""How many CPU cores this process may use, and where its Linux control groups lie. Standard library only."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

# A cgroup's folder, its controller in version 1, and the files that hold the CPU quota and the period it applies to.
QUOTAS = (
    ("sys/fs/cgroup", "", ("cpu.max",)),
    ("sys/fs/cgroup/cpu", "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")),
)
UNLIMITED = ("max", "-1")


def folders(root: Path, base: str, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups, each followed by its parents up to the mount's root.

    Args:
        root: the root of the file system.
        base: the folder where the controller is mounted, below `root`.
        controller: the controller's name in cgroups of version 1; empty for version 2.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, names, path in (line.split(":", 2) for line in lines):
        if controller in names.split(","):
            group = Path(path.lstrip("/"))
            yield from (root / base / part for part in (group, *group.parents))


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many CPU cores this process may use, by its affinity and by its cgroups' quotas (`docker --cpus=2`)."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for base, controller, names in QUOTAS:
        for folder in folders(root, base, controller):
            try:
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if quota not in UNLIMITED:
                    limits.append(math.ceil(int(quota) / int(period)))
            except (OSError, ValueError, ZeroDivisionError):
                continue
    return max(1, min(limits))
