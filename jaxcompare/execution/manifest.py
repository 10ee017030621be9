"""What a reader must know of how a comparison was run, as the manifest keeps it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxcompare import __version__
from jaxcompare.config.comparison import Comparison
from jaxcompare.execution import store
from jaxcompare.planning import layout
from jaxcompare.system.cores import usable_cores


def record(
    comparison: Comparison,
    plans: Sequence[layout.Plan],
    mesh: Mesh,
    arguments: argparse.Namespace,
    command: str,
    started: datetime,
    wall: float,
) -> dict[str, Any]:
    """A comparison's part of the manifest.

    Args:
        comparison: as it was run.
        plans: of its programs.
        mesh: the devices.
        arguments: of the command line.
        command: as it was given.
        started: when.
        wall: seconds that training took, compilation included, of all comparisons of the command.
    """
    devices = list(mesh.devices.flat)
    return {
        "title": comparison.title,
        "question": comparison.question,
        "target": comparison.target,
        "words": comparison.words,
        "config": resolved(comparison),
        "command": command,
        "out": str(arguments.out),
        "quick": bool(arguments.quick),
        "started": started.isoformat(timespec="seconds"),
        "training_seconds_of_the_last_run": round(wall, 1),
        "versions": {**store.versions(), "python": sys.version.split()[0], "jaxcompare": __version__},
        "code": store.code_digest(),
        "device": {
            "platform": devices[0].platform,
            "kind": devices[0].device_kind,
            "count": len(devices),
            "mesh": dict(mesh.shape),
            "cpu_cores": usable_cores(),
            "default_matmul_precision": str(jax.config.values["jax_default_matmul_precision"]),
            **software(devices[0]),
            "memory": device_memory(devices),
            "host_memory": host_memory(),
        },
        "seeds": sorted({seed for study in comparison.studies for seed in study.seeds}),
        "data": {
            plan.program.settings.dataset: {
                "source": plan.material.source,
                "digest": plan.material.digest,
                "train": len(plan.material.data.train.y),
                "validation": len(plan.material.data.validation.y),
                "test": len(plan.material.data.test.y),
            }
            for plan in plans
        },
        "programs": [
            {
                "name": plan.program.name,
                "study": plan.program.study,
                "variants": len(plan.program.variants),
                "seeds": len(plan.program.seeds),
                "tile": _tile(plan),
                "lowered_from": _tile(layout.widest_first(plan)[0]) if plan.wider else None,
                "micro_batches": plan.program.settings.micro_batches,
                **(plan.footprint._asdict() if plan.footprint else {}),
            }
            for plan in plans
        ],
    }


def software(device: Any, root: Path = Path("/")) -> dict[str, str | None]:
    """Versions of the driver and of CUDA that a GPU is used through; None where there is no GPU, or it does not say."""
    if device.platform == "cpu":
        return {"driver": None, "cuda": None}
    try:
        told = (root / "proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        told = ""
    driver = re.search(r"\b(\d{3,}\.\d[\d.]*)\b", told)
    cuda = re.search(r"cuda (\d+)", str(getattr(device.client, "platform_version", "")))
    version = int(cuda[1]) if cuda else 0  # 12090 is 12.9
    return {
        "driver": driver[1] if driver else None,
        "cuda": f"{version // 1000}.{version % 1000 // 10}" if version else None,
    }


def device_memory(devices: Sequence[Any]) -> dict[str, int] | None:
    """Bytes that a device may use, and the most that one of them used; None where they do not say."""
    found = [device.memory_stats() or {} for device in devices]
    names = {"limit": "bytes_limit", "peak": "peak_bytes_in_use"}
    told = {name: max(one[key] for one in found) for name, key in names.items() if all(key in one for one in found)}
    return told or None


def host_memory() -> dict[str, int] | None:
    """Bytes of RAM, and the most that this process used; None where the system does not say."""
    try:
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"limit": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "peak": peak}
    except (ImportError, ValueError, OSError):
        return None


def _tile(plan: layout.Plan) -> dict[str, int]:
    return {"seeds": plan.shape[0], "variants": plan.shape[1]}


def resolved(comparison: Comparison) -> dict[str, Any]:
    """The comparison as a config that says everything: each variant a grid of its own, with every key."""

    def plain(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    studies = []
    for study in comparison.studies:
        every = [
            {key: plain(value) for key, value in asdict(variant.settings).items() if value is not None}
            for variant in study.variants
        ]
        shared = {key: value for key, value in every[0].items() if all(one.get(key) == value for one in every)}
        own = [{key: [value] for key, value in one.items() if key not in shared} for one in every]
        claims = {"claims": [claim.as_table() for claim in study.claims]} if study.claims else {}
        confirm = {"confirm": study.confirm} if study.confirm else {}
        studies.append({"name": study.name, "base": shared, "roles": study.roles, **claims, **confirm, "grid": own})
    texts = {"title": comparison.title, "question": comparison.question}
    target = {} if comparison.target is None else {"target": comparison.target}
    words = {"words": comparison.words} if comparison.words else {}
    return {**texts, **target, **words, "study": studies}
