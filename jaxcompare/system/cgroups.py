"""What a container leaves this process, by Linux' control groups. Standard library only."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Where a group's files lie, the controller's name in version 1, and what says how long its processes may run in what time.
QUOTAS = (
    ("sys/fs/cgroup", "", ("cpu.max",)),
    ("sys/fs/cgroup/cpu", "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")),
)
UNLIMITED = ("max", "-1")


def folders(root: Path, base: str, controller: str) -> Iterator[Path]:
    """This process's groups of a controller, and those that hold them: up to the mount's own root, all that it may see.

    Args:
        root: of the file system.
        base: where the controller is mounted.
        controller: its name in version 1; empty for version 2.
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
    """How many CPU cores this process may use: those it may run on, or fewer where a quota allows less (`docker --cpus=2`)."""
    found = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for base, controller, names in QUOTAS:
        for folder in folders(root, base, controller):
            try:
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if quota not in UNLIMITED:
                    found.append(math.ceil(int(quota) / int(period)))
            except (OSError, ValueError, ZeroDivisionError):
                continue
    return max(1, min(found))
