"""What a reader must know of how a comparison was run, as the manifest keeps it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import jax

from jaxcompare import __version__
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.request import Request
from jaxcompare.config.settings import OPTION_TABLES, Settings
from jaxcompare.execution.fingerprint import code_digest, flags, plugin_digests, versions
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.planning.programs import Program
from jaxcompare.system.cores import usable_cores


def record(
    comparison: Comparison,
    programs: Sequence[Program],
    sizes: TileSizes,
    request: Request,
    started: datetime,
    wall: float,
) -> dict[str, Any]:
    """Return a comparison's part of the manifest.

    Args:
        comparison: as it was run.
        programs: as they were planned.
        sizes: the tiles that they got, and the devices.
        request: what the command asked.
        started: the start of the run.
        wall: seconds of training, compilation included, of all comparisons of the command.
    """
    return {
        "title": comparison.title,
        "question": comparison.question,
        "target": comparison.target,
        "words": comparison.words,
        "labels": comparison.labels,
        "files": comparison.files,
        "config": resolved(comparison),
        "asked": request.asked.get(comparison.name),
        "command": request.command,
        "out": str(request.out),
        "quick": request.quick,
        "started": started.isoformat(timespec="seconds"),
        "training_seconds_of_the_last_run": round(wall, 1),
        "versions": {**versions(), "python": sys.version.split()[0], "jaxcompare": __version__},
        "code": code_digest(),
        "custom": plugin_digests(variant.settings for study in comparison.studies for variant in study.variants),
        "flags": flags(),
        "device": _device(sizes, request.cluster),
        "seeds": sorted({seed for study in comparison.studies for seed in study.seeds}),
        "data": _data(programs),
        "programs": [_program(program, sizes) for program in programs],
    }


def _data(programs: Sequence[Program]) -> dict[str, Any]:
    """Return source, classes, sizes and warnings of each data set by name."""
    found: dict[str, Any] = {}
    for program in programs:
        material, name = program.material, program.settings.dataset
        warned = [one._asdict() for one in material.warnings]
        before = found.get(name, {}).get("warnings", [])  # of programs with another scaling
        found[name] = {
            "source": material.source,
            "digest": material.digest,
            "classes": list(material.class_names),
            "train": len(material.data.train.y),
            "validation": len(material.data.validation.y),
            "test": len(material.data.test.y),
            "warnings": before + [one for one in warned if one not in before],
        }
    return found


def _device(sizes: TileSizes, cluster: str | None) -> dict[str, Any]:
    devices = [device for place in sizes.places for device in place.devices.flat]
    mesh = {"replica": len(sizes.places), "data": sizes.places[0].size}
    here = {"count": len(devices), "mesh": mesh, "cpu_cores": usable_cores()}
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        **(here if cluster is None else {"cluster": cluster}),
        "default_matmul_precision": str(jax.config.values["jax_default_matmul_precision"]),
        **software(devices[0]),
        "memory": device_memory(devices),
        "host_memory": host_memory(),
    }


def _program(program: Program, sizes: TileSizes) -> dict[str, Any]:
    current, entry = sizes.chain(program)[-1], sizes.entry(program)
    return {
        "name": program.name,
        "study": program.study,
        "variants": len(program.variants),
        "seeds": len(program.seeds),
        "tile": _tile(current),
        "lowered_from": None if current is program else _tile(program),
        "micro_batches": current.settings.micro_batches,
        **{key: entry[key] for key in ("planned_bytes", "free_bytes", "how") if key in entry},
    }


def software(device: Any, root: Path = Path("/")) -> dict[str, str | None]:
    """Return the versions of a GPU's driver and of CUDA; None where there is no GPU, or the version is not known."""
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
    """Return the bytes that a device may use, and the most that one used; None where the devices do not say."""
    found = [device.memory_stats() or {} for device in devices]
    names = {"limit": "bytes_limit", "peak": "peak_bytes_in_use"}
    told = {name: max(one[key] for one in found) for name, key in names.items() if all(key in one for one in found)}
    return told or None


def host_memory() -> dict[str, int] | None:
    """Return the bytes of RAM, and the most that this process used; None where the system does not say."""
    try:
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"limit": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "peak": peak}
    except (ImportError, ValueError, OSError):
        return None


def _tile(program: Program) -> dict[str, int]:
    return {"seeds": program.shape[0], "variants": program.shape[1]}


def resolved(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as a config that says everything: a grid for each variant, with every key."""

    def plain(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    def written(settings: Settings) -> dict[str, Any]:
        """Return the settings as keys of a base or grid: of a table of options each option, by which roles know it."""
        tables = OPTION_TABLES.values()
        options = {f"{table}.{key}": value for table in tables for key, value in getattr(settings, table).items()}
        return {key: value for key, value in asdict(settings).items() if key not in tables} | options

    studies = []
    for study in comparison.studies:
        every = [
            {key: plain(value) for key, value in written(variant.settings).items() if value is not None}
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
    files = {"files": comparison.files} if comparison.files else {}
    labels = {"labels": comparison.labels} if comparison.labels else {}
    return {**texts, **target, **words, **labels, **files, "study": studies}
