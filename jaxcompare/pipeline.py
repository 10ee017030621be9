"""A run from checked comparisons to published results: data, training, tables, pictures, report."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from jaxcompare import __version__, experiment, loading, store
from jaxcompare import data as datasets
from jaxcompare.progress import Progress

if TYPE_CHECKING:
    from jaxcompare import planning

COMPILE_SECONDS = 8.0  # of a program, for --list


def listing(comparisons: Sequence[experiment.Comparison], data_dir: str | None) -> str:
    """What would train, in words: variants x seeds, programs, steps, estimated minutes."""
    loaded = loading.load_datasets(comparisons, data_dir)
    from jaxcompare import planning

    cores, lines, whole = usable_cores(), [], 0.0
    for comparison in comparisons:
        lines.append(f"{comparison.name}: {comparison.title} - {comparison.question}")
        plans = planning.plan(comparison, loaded, platform="cpu")
        for study in comparison.studies:
            own = [plan for plan in plans if plan.program.study == study.name]
            seconds = sum(_seconds(plan, cores) for plan in own) * (1 + experiment.confirming_share(study))
            whole += seconds
            steps = ", ".join(str(steps) for steps in sorted({plan.total_steps for plan in own}))
            lines.append(
                f"  {study.name}: {len(study.variants)} variants x {len(study.seeds)} seeds = "
                f"{len(study.variants) * len(study.seeds)} replicas in {len(own)} program{'s'[: len(own) != 1]}, "
                f"{steps} steps each, about {seconds / 60:.1f} min"
                + (f", the selected ones again on {study.confirm} fresh seeds" if study.confirm else "")
            )
            lines += [f"    {variant.label} ({variant.settings.dataset})" for variant in study.variants]
    lines.append(f"about {whole / 60:.1f} minutes of training in all on this machine's {cores} CPU cores (an estimate)")
    return "\n".join(lines)


def _seconds(plan: planning.Plan, cores: int) -> float:
    from jaxcompare.planning import replica_steps, step_seconds

    return COMPILE_SECONDS + replica_steps(plan) * step_seconds(plan) / cores


def usable_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_jax() -> Any:
    """Imports JAX with one CPU device a core and a cache of compiled programs.

    Products this small gain nothing from two threads: replicas spread over cores do. There are at least two devices, because
    XLA compiles for one alone by other passes, which round otherwise: so a replica's bits are the same on any CPU count.
    """
    import jax

    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", max(2, usable_cores()))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxcompare" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    return jax


def run(
    comparisons: Sequence[experiment.Comparison],
    configs: Mapping[str, Mapping[str, Any]],
    arguments: argparse.Namespace,
    command: str,
) -> None:
    """Trains the comparisons and publishes tables, pictures and report into the folder that the arguments name.

    Raises:
        ConfigError: the folder cannot be used, or a user's own function is not there.
        DataError: a data set cannot be found.
    """
    folder = store.RunFolder(Path(arguments.out))
    plugins = [
        store.plugin_digests(variant.settings)
        for comparison in comparisons
        for study in comparison.studies
        for variant in study.variants
    ]
    described = [comparison.as_dict() for comparison in comparisons]
    run_digest = experiment.digest([described, plugins, store.versions(), store.code_digest(), __version__])
    if folder.is_complete(run_digest) and not arguments.again:
        print(f"{folder.out}: complete already, nothing to train (--again trains anew)")
        return
    previous = _previous(folder.out, comparisons)
    started = datetime.now(UTC)
    loaded = loading.load_datasets(comparisons, arguments.data_dir)
    from jaxcompare import compare, planning, report  # JAX, from here on

    jax = start_jax()
    platform, device = jax.default_backend(), jax.devices()[0].device_kind
    plans = {one.name: planning.plan(one, loaded, platform=platform) for one in comparisons}
    for plan in (plan for each in plans.values() for plan in each):
        planning.check(plan)
    state = folder.state()
    folder.begin(run_digest, command, force=arguments.force)
    parts = store.TileStore(folder.run / "parts", device)
    if arguments.again and (state.get("complete") or state.get("digest") != run_digest):
        shutil.rmtree(parts.folder, ignore_errors=True)  # once: if it is stopped, it goes on
    wall = time.perf_counter()
    with Progress(
        sum(planning.replica_steps(plan) * planning.step_seconds(plan) for each in plans.values() for plan in each)
    ) as progress:

        def planner(second: experiment.Comparison) -> list[planning.Plan]:
            made = planning.plan(second, loaded, platform=platform)
            progress.more(sum(planning.replica_steps(plan) * planning.step_seconds(plan) for plan in made))
            return made

        trained = compare.train_comparisons(comparisons, plans, planner=planner, parts=parts, tick=progress.tick)
        found = list(trained.values())
    wall = time.perf_counter() - wall
    print("writing tables, pictures and report", file=sys.stderr)
    now = {
        one.name: _record(one, plans[one.name], loaded, jax, arguments, command, started, wall) for one in comparisons
    }
    manifest = {"jaxcompare": __version__, "experiments": {**previous.get("experiments", {}), **now}}
    frames = compare.gather([tables.frames for tables in found])
    fields = {name: values for tables in found for name, values in tables.fields.items()}
    if previous:
        frames = store.merge(report.read_tables(folder.out), frames)
        fields = report.read_fields(folder.out) | fields
    publish(folder, frames, fields, manifest, configs)
    folder.complete(run_digest, command)
    print(f"done: {folder.out / 'report.html'}")


def publish(
    folder: store.RunFolder,
    frames: dict[str, Any],
    fields: dict[str, Any],
    manifest: dict[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
) -> None:
    """Writes everything beside what is there, then moves it into place."""
    from jaxcompare import analysis, report

    targets = {name: one["target"] for name, one in manifest["experiments"].items()}
    frames |= analysis.results(frames, targets, analysis.declared_in(manifest["experiments"]))
    staging = folder.fresh_staging()
    store.write_tables(staging / "tables", frames, fields)
    for name, one in manifest["experiments"].items():
        store.write_atomically(staging / "config" / f"config_{name}.toml", tomli_w.dumps(one["config"]).encode())
    report.write(staging, frames, fields, manifest, workers=usable_cores())
    store.write_manifest(staging, manifest)
    folder.publish()


def _previous(out: Path, comparisons: Sequence[experiment.Comparison]) -> dict[str, Any]:
    """The manifest of results that are there, where they have comparisons that this run has not: those are kept."""
    if not store.is_results(out):
        return {}
    manifest = store.read_manifest(out)
    mine = {one.name for one in comparisons}
    others = {name: one for name, one in manifest.get("experiments", {}).items() if name not in mine}
    return {**manifest, "experiments": others} if others else {}


def _record(
    comparison: experiment.Comparison,
    plans: Sequence[planning.Plan],
    loaded: Mapping[tuple, datasets.Dataset],
    jax: Any,
    arguments: argparse.Namespace,
    command: str,
    started: datetime,
    wall: float,
) -> dict[str, Any]:
    """What a reader must know of how a comparison was run."""
    devices = jax.devices()
    return {
        "title": comparison.title,
        "question": comparison.question,
        "target": comparison.target,
        "config": resolved(comparison),
        "command": command,
        "quick": bool(arguments.quick),
        "started": started.isoformat(timespec="seconds"),
        "training_seconds_of_this_session": round(wall, 1),
        "versions": {**store.versions(), "python": sys.version.split()[0], "jaxcompare": __version__},
        "code": store.code_digest(),
        "device": {
            "platform": devices[0].platform,
            "kind": devices[0].device_kind,
            "count": len(devices),
            "cpu_cores": usable_cores(),
            "default_matmul_precision": str(jax.config.jax_default_matmul_precision),
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
                "tile": {"seeds": plan.shape[0], "variants": plan.shape[1]},
            }
            for plan in plans
        ],
    }


def resolved(comparison: experiment.Comparison) -> dict[str, Any]:
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
    return {**texts, **target, "study": studies}
