"""A run from checked comparisons to published results: data, training, tables, pictures, report."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from jaxcompare import __version__
from jaxcompare.config import outputs
from jaxcompare.config.comparison import Comparison, digest
from jaxcompare.config.confirmation import confirming_share
from jaxcompare.config.parse import asks_precision, parse
from jaxcompare.config.settings import AUTO
from jaxcompare.data import loading
from jaxcompare.execution import store
from jaxcompare.execution.devices import EVERY_DEVICE, MeshShape, check_batches, make_mesh, parse_mesh, start_jax
from jaxcompare.execution.progress import Progress
from jaxcompare.planning import memory
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.files import write_atomically
from jaxcompare.words import language_of, say

if TYPE_CHECKING:
    from jaxcompare import tensorboard
    from jaxcompare.execution.tables import Tables
    from jaxcompare.planning import layout

COMPILE_SECONDS = 8.0  # of a program, for --list


def listing(comparisons: Sequence[Comparison], configs: Mapping[str, Mapping[str, Any]], data_dir: str | None) -> str:
    """What would train, in words: variants x seeds, programs, steps, estimated minutes."""
    comparisons, _ = settle(comparisons, configs, EVERY_DEVICE)
    loaded = loading.load_datasets(comparisons, data_dir)
    from jaxcompare.planning import batches, layout

    comparisons = [batches.resolve(one, loaded, None)[0] for one in comparisons]
    cores, lines, whole = usable_cores(), [], 0.0
    for comparison in comparisons:
        lines.append(f"{comparison.name}: {comparison.title} - {comparison.question}")
        plans = layout.plan(comparison, loaded, platform="cpu")
        for plan in plans:
            layout.check(plan)
        for study in comparison.studies:
            own = [plan for plan in plans if plan.program.study == study.name]
            seconds = sum(_seconds(plan, cores) for plan in own) * (1 + confirming_share(study))
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


def _seconds(plan: layout.Plan, cores: int) -> float:
    from jaxcompare.planning.layout import replica_steps, step_seconds

    return COMPILE_SECONDS + replica_steps(plan) * step_seconds(plan) / cores


def run(
    comparisons: Sequence[Comparison],
    configs: Mapping[str, Mapping[str, Any]],
    arguments: argparse.Namespace,
    command: str,
) -> int:
    """Trains the comparisons and publishes tables, pictures and report into the folder that the arguments name.

    Returns how many pictures or parts of the report could not be made.

    Raises:
        ConfigError: the folder cannot be used, or a user's own function is not there.
        DataError: a data set cannot be found.
    """
    shape = parse_mesh(arguments.mesh) if arguments.mesh else EVERY_DEVICE
    comparisons, chosen = settle(comparisons, configs, shape)
    every = [variant.settings for one in comparisons for study in one.studies for variant in study.variants]
    check_batches(shape, every)
    folder = store.RunFolder(Path(arguments.out))
    plugins = [store.plugin_digests(settings) for settings in every]
    described = [comparison.as_dict() for comparison in comparisons]
    # Where memory decides the training itself, another amount of it is another run.
    amount = [arguments.memory] if any(settings.batch_size == AUTO for settings in every) else []
    run_digest = digest([described, plugins, store.versions(), store.code_digest(), __version__, *amount])
    wanted = outputs.parse(arguments)
    if folder.is_complete(run_digest, wanted._asdict()) and not arguments.again:
        print(f"{folder.out}: complete already, nothing to train (--again trains anew)")
        return 0
    if not arguments.force:
        _check_larger(folder.out, comparisons)
    previous = _previous(folder.out, comparisons)
    started = datetime.now(UTC)
    loaded = loading.load_datasets(comparisons, arguments.data_dir)
    from jaxcompare import analysis, report, tensorboard  # JAX, from here on
    from jaxcompare.execution import compare, program_cache
    from jaxcompare.execution import manifest as manifests
    from jaxcompare.planning import batches, fitting, layout

    jax = start_jax(shape)
    mesh = make_mesh(shape)
    platform, device = jax.default_backend(), jax.devices()[0].device_kind
    state = folder.state()
    anew = arguments.again and (state.get("complete") or state.get("digest") != run_digest)
    limit = memory.parse_bytes(arguments.memory) if arguments.memory else None
    book = fitting.Book(folder.run / "tiles.json", device, limit, blank=anew)
    sized = [batches.resolve(one, loaded, mesh, limit=limit, book=book) for one in comparisons]
    comparisons, notes = [one for one, _ in sized], {one.name: said for one, said in sized}
    check_batches(shape, (v.settings for one in comparisons for study in one.studies for v in study.variants))
    plans = {one.name: layout.plan(one, loaded, platform=platform) for one in comparisons}
    for plan in (plan for each in plans.values() for plan in each):
        layout.check(plan)
    fitted = fitting.fit([plan for each in plans.values() for plan in each], mesh, limit=limit, book=book)
    plans = {name: [plan for plan in fitted if plan.program.comparison == name] for name in plans}
    folder.begin(run_digest, command, force=arguments.force)
    book.save()
    # Devices that share a tile add up gradients in another order: to rounding the same, but not the same bits.
    parts = store.TileStore(folder.run / "parts", device if shape.data == 1 else f"{device}, {shape.data} to a tile")
    if anew:
        shutil.rmtree(parts.folder, ignore_errors=True)  # once: if it is stopped, it goes on
    wall = time.perf_counter()
    everything = (plan for each in plans.values() for plan in each)
    with tensorboard.logging(folder.out, list(plans), wanted.tensorboard) as log:
        with report.Background(wanted.languages, wanted.formats) as background:

            def trained(comparison: Comparison, tables: Tables) -> None:
                if comparison is not comparisons[-1]:  # nothing trains after the last one
                    summary = analysis.summarise(
                        tables.frames["replicas"], tables.frames["history"], {comparison.name: comparison.target}
                    )
                    background.start({**tables.frames, "summary": summary}, tables.fields)

            with Progress(sum(map(layout.plan_seconds, everything))) as progress:

                def planner(second: Comparison) -> list[layout.Plan]:
                    made = layout.plan(second, loaded, platform=platform)
                    made = fitting.fit(made, mesh, limit=limit, book=book)
                    progress.more(sum(map(layout.plan_seconds, made)))
                    return made

                results = compare.train_comparisons(
                    comparisons,
                    plans,
                    planner=planner,
                    mesh=mesh,
                    parts=parts,
                    book=book,
                    tick=progress.tick,
                    ready=progress.ready,
                    done=trained,
                    watch=log.watch if log else None,
                    shelf=program_cache.ProgramStore(program_cache.folder(), mesh),
                )
            wall = time.perf_counter() - wall
            print("writing tables, pictures and report", file=sys.stderr)
            drawn = background.collect()
        found = list(results.values())
        now = {
            one.name: manifests.record(one, book.latest(plans[one.name], mesh), mesh, arguments, command, started, wall)
            | {"auto": [*chosen.get(one.name, ()), *notes[one.name]]}
            for one in comparisons
        }
        manifest = {"jaxcompare": __version__, "experiments": {**previous.get("experiments", {}), **now}}
        frames = compare.gather([tables.frames for tables in found])
        fields = {name: values for tables in found for name, values in tables.fields.items()}
        if previous:
            frames = store.merge(report.read_tables(folder.out), frames)
            fields = report.read_fields(folder.out) | fields
        failures = publish(folder, frames, fields, manifest, wanted, drawn, log)
    folder.complete(run_digest, command, wanted._asdict())
    parts.prune()
    print(f"done: {folder.out / 'report.html'}")
    return failures


def settle(
    comparisons: Sequence[Comparison], configs: Mapping[str, Mapping[str, Any]], shape: MeshShape
) -> tuple[list[Comparison], dict[str, list[dict[str, Any]]]]:
    """The comparisons expanded anew where they leave a precision to the device, and what the manifest keeps of that."""
    found, chosen = [], {}
    for one in comparisons:
        if asks_precision(configs[one.name]):
            device = start_jax(shape).local_devices()[0]  # else JAX is not needed yet
            from jaxcompare.components import precision

            value = precision.fastest(device)
            one = parse(one.name, configs[one.name], precision=value)
            chosen[one.name] = [{"key": "precision", "value": value, "device": device.device_kind}]
            print(f"{one.name}: {say('auto.precision', **chosen[one.name][0])}", file=sys.stderr)
        found.append(one)
    return found, chosen


def publish(
    folder: store.RunFolder,
    frames: dict[str, Any],
    fields: dict[str, Any],
    manifest: dict[str, Any],
    wanted: outputs.Outputs,
    drawn: Mapping[Any, Any],
    log: tensorboard.Log | None = None,
) -> int:
    """Writes everything beside what is there, then moves it into place; returns how much of the report failed."""
    from jaxcompare import analysis, report

    targets = {name: one["target"] for name, one in manifest["experiments"].items()}
    frames |= analysis.results(frames, targets, analysis.declared_in(manifest["experiments"]))
    staging = folder.fresh_staging()
    store.write_tables(staging / "tables", frames, fields)
    for name, one in manifest["experiments"].items():
        write_atomically(staging / "config" / f"config_{name}.toml", tomli_w.dumps(one["config"]).encode())
    written = report.write(
        staging,
        frames,
        fields,
        manifest,
        workers=usable_cores(),
        drawn=drawn,
        languages=wanted.languages,
        formats=wanted.formats,
    )
    if log is not None:
        shown = [path for path in sorted(staging.glob("*.png")) if language_of(path.name) == wanted.languages[0]]
        log.pictures({path.name: path.read_bytes() for path in shown})
    store.write_manifest(staging, manifest)
    folder.publish()
    return len(written.failures)


def _check_larger(out: Path, comparisons: Sequence[Comparison]) -> None:
    """Raises StoreError where results of more seeds or epochs would give way to less."""
    if not store.is_results(out):
        return
    held = store.read_manifest(out)["experiments"]
    for one in comparisons:
        before = {study["name"]: study["base"] for study in held.get(one.name, {}).get("config", {}).get("study", ())}
        for study in one.studies:
            for key in ("seeds", "epochs"):
                there, here = before.get(study.name, {}).get(key), getattr(study.variants[0].settings, key)
                if isinstance(there, int) and here < there:
                    raise store.StoreError(
                        f"--out {out}: holds comparison {one.name!r} with {key} = {there} in study {study.name!r}, and this "
                        f"run has {here}; choose another --out, or replace it with --force"
                    )


def _previous(out: Path, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The manifest of results that are there, where they have comparisons that this run has not: those are kept."""
    if not store.is_results(out):
        return {}
    manifest = store.read_manifest(out)
    mine = {one.name for one in comparisons}
    others = {name: one for name, one in manifest.get("experiments", {}).items() if name not in mine}
    return {**manifest, "experiments": others} if others else {}
