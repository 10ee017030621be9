"""A run from checked comparisons to published results: data, training, tables, pictures, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from jax.sharding import Mesh

from jaxcompare import __version__, analysis, report, tensorboard
from jaxcompare.config.comparison import Comparison, digest
from jaxcompare.config.confirmation import confirming_share
from jaxcompare.config.files import free, safe
from jaxcompare.config.outputs import Outputs
from jaxcompare.config.request import EVERY_DEVICE, Request, parse_bytes, parse_mesh
from jaxcompare.config.settings import AUTO
from jaxcompare.data.loading import Loaded, load_built_in, load_custom
from jaxcompare.execution import manifest as manifests
from jaxcompare.execution.compare import train_comparisons
from jaxcompare.execution.fingerprint import code_digest, flags, plugin_digests, processor_of, versions
from jaxcompare.execution.places import (
    check_batches,
    first_device,
    local_devices,
    local_places,
    start_jax,
)
from jaxcompare.execution.prepare import Planner, prepare, settle_precision
from jaxcompare.execution.program_cache import ProgramCache, default_folder
from jaxcompare.execution.progress import Progress
from jaxcompare.execution.replaced import check_replaced, say_edited
from jaxcompare.execution.run_folder import RunFolder, StoreError, results_of
from jaxcompare.execution.table_files import merge, write_tables
from jaxcompare.execution.tables import Tables, gather
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.tile_sizes import TileSizes
from jaxcompare.execution.training import Callbacks, Resources
from jaxcompare.execution.workers import check_cluster, connected
from jaxcompare.planning.cadence import Arrays
from jaxcompare.planning.programs import Program, Tile
from jaxcompare.system import publishing
from jaxcompare.system.cores import usable_cores
from jaxcompare.system.files import write_atomically
from jaxcompare.system.manifest import MANIFEST, write_manifest
from jaxcompare.words import language_of

_LOG = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """How a run ended."""

    text: str  # for the command to print
    failures: int = 0  # pictures or parts of the report that could not be made


def run(comparisons: Sequence[Comparison], configs: Mapping[str, Mapping[str, Any]], request: Request) -> Outcome:
    """Train the comparisons and publish tables, pictures and report.

    Args:
        comparisons: checked and expanded.
        configs: by the comparisons' names, after every override.
        request: what the command asks.

    Raises:
        ConfigError: the folder cannot be used, or a custom function is missing.
        DataError: a data set cannot be found.
    """
    shape = parse_mesh(request.mesh) if request.mesh else EVERY_DEVICE
    if request.cluster is not None:
        check_cluster(request.cluster, request.mesh)
    comparisons, chosen = settle_precision(comparisons, configs, first_device)
    every = [variant.settings for one in comparisons for study in one.studies for variant in study.variants]
    check_batches(shape.data, every)
    # Of custom data, the content decides whether a run is complete.
    custom = load_custom(comparisons, request.data_dir, folder=request.folder)
    folder, run_digest = RunFolder(request.out), _run_digest(comparisons, request, custom)
    already = Outcome(f"{folder.out}: complete already, nothing to train (--again trains it again)")

    def is_complete() -> bool:
        return not request.again and folder.is_complete(run_digest, request.outputs.written())

    if is_complete():
        return already
    start_jax()
    local_devices()  # an error where there is none; processes of jax.distributed wait for each other here, not at the lock
    with folder.claimed(run_digest, force=request.force):
        if is_complete():  # another process has just finished it
            return already
        return _train_and_publish(comparisons, custom, request, folder, run_digest, shape, chosen)


def _train_and_publish(
    comparisons: list[Comparison],
    custom: Loaded,
    request: Request,
    folder: RunFolder,
    run_digest: str,
    shape: Any,
    chosen: Mapping[str, Sequence[Any]],
) -> Outcome:
    """Do a run's work in a folder that is claimed."""
    if not request.force:
        check_replaced(folder.out, comparisons, request.asked)
    say_edited(folder.out, comparisons)
    previous, started = _previous(folder.out, comparisons), datetime.now(UTC)
    loaded = {**custom, **load_built_in(comparisons, request.data_dir)}
    places, state = local_places(shape.replica, data=shape.data), folder.state()
    again = request.again and (state.get("complete") or state.get("digest") != run_digest)
    limit = parse_bytes(request.memory) if request.memory else None
    sizes = TileSizes(places, limit=limit, path=folder.run / "tiles.json", blank=again)
    comparisons, programs, planner, notes = prepare(comparisons, loaded, sizes)
    with ExitStack() as stack, ExitStack() as cluster:
        workers = cluster.enter_context(connected(request.cluster)) if request.cluster else None
        tiles = TileCache(folder.run / "parts", _device_name(places[0]))
        if again:
            tiles.clear()  # before the run has begun: if it is stopped afterwards, the same command resumes it
        folder.begin(run_digest, request.command)
        sizes.save()
        resources = Resources(places, sizes, ProgramCache(default_folder()), tiles, workers)
        log = stack.enter_context(tensorboard.log_of(folder.out, list(programs), request.outputs.tensorboard))
        wall = time.perf_counter()
        tables, drawn = _train(comparisons, programs, planner, resources, request, log)
        cluster.close()  # the report needs no workers
        wall = time.perf_counter() - wall
        records = {
            one.name: manifests.record(one, programs[one.name], sizes, request, started, wall)
            | {"auto": [*chosen.get(one.name, ()), *notes[one.name]]}
            for one in comparisons
        }
        manifest = {"jaxcompare": __version__, "experiments": {**previous.get("experiments", {}), **records}}
        failures = _publish(folder, list(tables.values()), previous, manifest, request, drawn, log)
    folder.complete(run_digest, request.command, request.outputs.written(), failures)
    tiles.prune()
    page = min(folder.out.glob("report*.html"), default=folder.out)
    return Outcome(f"done: {page}", failures)


def _run_digest(comparisons: Sequence[Comparison], request: Request, custom: Loaded) -> str:
    """Return the digest of all that decides a run's results."""
    every = [variant.settings for one in comparisons for study in one.studies for variant in study.variants]
    plugins = plugin_digests(every)
    described = [comparison.as_dict() for comparison in comparisons]
    # Where memory decides the training itself, another amount of memory is another run.
    amount = [request.memory] if any(settings.batch_size == AUTO for settings in every) else []
    data = [[dataset.digest, dataset.class_names] for dataset in custom.values()]
    return digest([described, plugins, versions(), flags(), code_digest(), __version__, *amount, *data])


def _device_name(place: Mesh) -> str:
    # Devices that share a tile add up gradients in another order: to rounding the same, but not the same bits.
    device = place.devices.flat[0]
    kind = f"{device.device_kind} {processor_of(device)}".strip()
    return kind if place.size == 1 else f"{kind}, {place.size} to a tile"


def _train(
    comparisons: Sequence[Comparison],
    programs: Mapping[str, Sequence[Program]],
    planner: Planner,
    resources: Resources,
    request: Request,
    log: tensorboard.Log | None,
) -> tuple[dict[str, Tables], Mapping[Any, Any]]:
    """Train with progress shown, while pictures of finished comparisons are drawn; return tables and drawn pictures."""
    confirming = {one.name: _confirming_seconds(one, programs[one.name]) for one in comparisons}
    training = sum(program.seconds for each in programs.values() for program in each) + sum(confirming.values())
    with ExitStack() as stack:
        background = stack.enter_context(report.Background(request.outputs.languages, request.outputs.formats))

        def confirm(comparison: Comparison, fresh: Sequence[Program]) -> None:
            progress.replan(confirming[comparison.name], sum(program.seconds for program in fresh))

        def finished(comparison: Comparison, tables: Tables) -> None:
            if comparison is not comparisons[-1]:  # nothing trains after the last comparison
                frames, target = tables.frames, {comparison.name: comparison.target}
                summary = analysis.summarise(frames["replicas"], frames["history"], target)
                told = {
                    comparison.name: {"title": comparison.title, "words": comparison.words, "labels": comparison.labels}
                }
                background.start({**frames, "summary": summary}, tables.fields, told)

        def measured(tile: Tile, epochs: range, arrays: Arrays) -> None:
            if log is not None:
                log.watch(tile, epochs, arrays)

        with Progress(training, sum(map(len, programs.values()))) as progress:
            callbacks = Callbacks(progress.compiled, progress.trained, measured, confirm, finished)
            tables = train_comparisons(comparisons, programs, planner, resources, callbacks)
        _LOG.info("writing tables, pictures and report")
        return tables, background.collect()


def _confirming_seconds(comparison: Comparison, programs: Sequence[Program]) -> float:
    """Estimate the training on fresh seeds, which is planned once a study has selected its variants."""
    share = {study.name: confirming_share(study) for study in comparison.studies}
    return sum(share[program.study] * program.seconds for program in programs)


def _publish(
    folder: RunFolder,
    tables: Sequence[Tables],
    previous: Mapping[str, Any],
    manifest: dict[str, Any],
    request: Request,
    drawn: Mapping[Any, Any],
    log: tensorboard.Log | None,
) -> int:
    """Write everything beside what is there, then move it into place; return how many parts of the report failed."""
    frames = gather([one.frames for one in tables])
    fields = {name: values for one in tables for name, values in one.fields.items()}
    if previous:
        frames = merge(report.read_tables(folder.out), frames)
        fields = report.read_fields(folder.out) | fields
    targets = {name: one.get("target") for name, one in manifest["experiments"].items()}
    frames |= analysis.results(frames, targets, analysis.declared_in(manifest["experiments"]))
    staging = publishing.fresh_staging(folder.out)
    write_tables(staging / "tables", frames, fields, every_csv=request.outputs.csv)
    written: list[str] = []
    for name, one in manifest["experiments"].items():
        written.append(free(safe(f"config_{name}.toml"), written, name))
        write_atomically(staging / "config" / written[-1], tomli_w.dumps(one["config"]).encode())
    try:
        failures = _report(staging, frames, fields, manifest, request.outputs, drawn, log)
    except Exception as error:  # hours of training are in the tables: they are published in any case
        if isinstance(error, OSError) and folder.concerns(error):
            raise
        failures = 1
        _LOG.warning("the report could not be made (%s: %s); the tables are there", type(error).__name__, error)
        _LOG.debug("the report could not be made", exc_info=True)
    write_manifest(staging, manifest)
    folder.check_staged(staging, frames)
    publishing.publish(folder.out)
    return failures


def _report(
    staging: Path,
    frames: Mapping[str, Any],
    fields: Mapping[str, Any],
    manifest: Mapping[str, Any],
    outputs: Outputs,
    drawn: Mapping[Any, Any],
    log: tensorboard.Log | None,
) -> int:
    """Write pictures and report; return how many parts failed."""
    languages, data = outputs.languages, (frames, fields, manifest)
    written = report.write(
        staging, *data, workers=usable_cores(), drawn=drawn, languages=languages, formats=outputs.formats
    )
    if log is not None:
        shown = [path for path in sorted(staging.glob("*.png")) if language_of(path.name) == languages[0]]
        log.pictures({path.name: path.read_bytes() for path in shown})
    return len(written.failures)


def _previous(out: Path, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the manifest of results that have comparisons which this run has not: those are kept."""
    manifest, mine = results_of(out), {one.name for one in comparisons}
    others = {name: one for name, one in manifest.get("experiments", {}).items() if name not in mine}
    if others:
        report.read_tables(out)  # what is damaged is said before anything trains
        report.read_fields(out)
    for name, one in others.items():
        try:
            tomli_w.dumps(one["config"])
        except (KeyError, TypeError, ValueError) as error:  # null, say, which TOML lacks; later, training would be lost
            raise StoreError(
                f"--out {out}: experiments.{name}.config of {MANIFEST} cannot be written again ({error!r}); choose another "
                "--out"
            ) from error
    return {**manifest, "experiments": others} if others else {}
