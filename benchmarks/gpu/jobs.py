"""The measurements: generators that take plain values and return plain values, run by a process of their own (`child`).

Up to its only `yield` a job compiles all that it will measure; so several can compile side by side while nothing is measured.
One device is measured. A rate is of training alone, in the engine's own programs, with nothing measured on the way.
"""

from __future__ import annotations

import gc
import gzip
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import ceiling
from benchmarks.gpu import hlo, networks, profile
from benchmarks.measure import spread
from benchmarks.measured import Prepared, Unit, rate, steps_for
from benchmarks.ours import runner
from benchmarks.workloads import WORKLOADS, loaded, operations, streamed, traffic
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.settings import Settings
from jaxcompare.engine import sweep
from jaxcompare.execution import trainer
from jaxcompare.planning import fitting, layout
from jaxcompare.system.cores import usable_cores

Row = dict[str, Any]
Work = Generator[None, None, Any]
KINDS = ("float32", "tensorfloat32", "bfloat16", "float16")  # of products
COMPILING = ThreadPoolExecutor(max(2, 3 * usable_cores() // 4))  # compiles for all jobs of a process


def answer(work: Work) -> Any:
    """Both parts of a job, and what it returns."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        return end.value


def one_device() -> Any:
    """The mesh of the first device."""
    return sweep.local_mesh(jax.local_devices()[:1])


def settings_of(kind: str) -> dict[str, Any]:
    """What a config says for a kind of products.

    >>> settings_of("tensorfloat32"), settings_of("bfloat16")
    ({'precision': 'float32', 'matmul_precision': 'tensorfloat32'}, {'precision': 'bfloat16'})
    """
    if kind in ("float32", "tensorfloat32"):
        return {"precision": "float32", "matmul_precision": kind}
    return {"precision": kind}


def measured(prepared: Prepared, repeats: int, seconds: float) -> Row:
    """Median, least and greatest rate of some repeats."""
    steps = steps_for(prepared, seconds)
    rates = [rate(prepared, steps) for _ in range(repeats)]
    return {**spread(rates), "rates": rates, "steps": steps}


def device_bytes(name: str) -> int | None:
    """One of the device's own figures of its memory; None where it keeps none."""
    return (jax.local_devices()[0].memory_stats() or {}).get(name)


def failure(error: BaseException) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def device() -> Work:
    """What the device is."""
    yield
    found = jax.local_devices()[0]
    return {
        "platform": found.platform,
        "device": found.device_kind,
        "devices": jax.local_device_count(),
        "compute_capability": getattr(found, "compute_capability", None),
        "runtime": getattr(found.client, "platform_version", None),
        "memory_bytes": device_bytes("bytes_limit"),
        "driver": driver() if found.platform == "gpu" else None,
    }


def driver() -> str | None:
    """The driver's version, the power limit and the greatest clocks, as nvidia-smi tells them."""
    wanted = "driver_version,power.limit,clocks.max.sm,clocks.max.mem"
    try:
        asked = ["nvidia-smi", f"--query-gpu={wanted}", "--format=csv,noheader", "--id=0"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def ceilings(repeats: int, seconds: float) -> Work:
    """What it can do: operations a second of products of each kind, bytes a second of copying."""
    yield
    found: Row = {"products": {}}
    for kind in KINDS:
        found["products"][kind] = rate_of(partial(ceiling.jax_product, kind), repeats, seconds)
    return found | {"copy": rate_of(ceiling.jax_copy, repeats, seconds)}


def rate_of(prepare: Callable[[], Prepared], repeats: int, seconds: float) -> Row:
    """Of one ceiling; a kind that this device has not is a figure less."""
    try:
        return measured(prepare(), repeats, seconds)
    except Exception as error:
        return {"error": failure(error)}
    finally:
        gc.collect()


def trainers(plans: Sequence[layout.Plan], mesh: Any) -> list[trainer.Trainer | str]:
    """Each plan compiled, side by side; of one that fails, why. Tiles stay as they are, whatever memory says."""

    def one(plan: layout.Plan) -> trainer.Trainer | str:
        try:
            return trainer.Trainer(plan, mesh)
        except Exception as error:  # the others can still be measured
            return failure(error)

    return list(COMPILING.map(one, plans))


def costs(widths: Sequence[int], settings: Settings) -> Row:
    """Of one step of one replica, by arithmetic."""
    optimizer = settings.optimizer
    return {
        "optimizer": optimizer,
        "operations": operations(widths, settings.batch_size),
        "traffic": traffic(widths, optimizer),
        "streamed": streamed(widths, optimizer),
    }


def held(made: trainer.Trainer) -> Row:
    """A program's bytes by XLA's account."""
    account = made.executables.memory
    return {"compiled_bytes": account and account.total, "temporary_bytes": account and account.temporaries}


def unit_of(made: trainer.Trainer) -> Unit:
    """One tile of a program, which stands for all of its tiles."""
    return Unit(runner(made, made.plan.tiles[:1]), len(made.plan.tiles))


def tile_row(made: trainer.Trainer | str, repeats: int, seconds: float) -> Row:
    """The rate of one tile, and what it holds by XLA's account."""
    if isinstance(made, str):
        return {"error": made}
    row = held(made)
    try:
        row |= measured(Prepared([unit_of(made)], made.plan.replicas), repeats, seconds)
    except Exception as error:  # too much for the device, say: the smaller ones stand
        row["error"] = failure(error)
    made.release()
    gc.collect()
    return row


def tiles(
    network: str, shapes: Sequence[tuple[int, int]], kind: str, repeats: int, seconds: float, **base: Any
) -> Work:
    """The rate of one tile in each of several shapes."""
    mesh, plans = one_device(), []
    for seeds, variants in shapes:
        made = networks.comparison(network, seeds, variants, **{**settings_of(kind), **base})
        plans.append(networks.plan_of(made))
    shared = {
        "network": network,
        "kind": kind,
        **costs(networks.widths(network), plans[0].program.settings),
    }
    every = trainers(plans, mesh)
    yield
    found = [shared | tile_row(made, repeats, seconds) for made in every]
    for row, shape in zip(found, shapes, strict=True):
        row |= {"shape": list(shape), "replicas": math.prod(shape)}
    return found


def engine(workload: str, replicas: int, kind: str, repeats: int, seconds: float, keep: str | None = None) -> Work:
    """A whole workload as the engine trains it in one kind of products: its rate, each program's, bytes, HLO in figures.

    `keep` is a folder for XLA's text of AdamW's program, the one that moves most.
    """
    comparison = WORKLOADS[workload].comparison(replicas, **settings_of(kind))
    plans = layout.plan(comparison, loaded(comparison), platform="gpu")
    every = trainers(plans, one_device())
    yield
    units, rows = [], []
    for plan, made in zip(plans, every, strict=True):
        row: Row = {
            "program": plan.program.name,
            "replicas": len(plan.program.seeds) * len(plan.program.variants),
            "tile": list(plan.shape),
            **costs(WORKLOADS[workload].widths, plan.program.settings),
        }
        rows.append(row)
        if isinstance(made, str):
            row["error"] = made
            continue
        row |= held(made)
        text = getattr(made.executables.train, "as_text", lambda: None)() or ""
        row["hlo"] = hlo.summary(text)
        if keep and row["optimizer"] == "adamw":
            Path(keep, f"hlo_adamw_{kind}.txt.gz").write_bytes(gzip.compress(text.encode()))
        unit = unit_of(made)
        row |= measured(Prepared([replace(unit, count=1)], plan.replicas), repeats, seconds)
        units.append(unit)
    found: Row = {"workload": workload, "replicas": replicas, "kind": kind, "programs": rows}
    if len(units) == len(plans):
        found |= measured(Prepared(units, replicas), repeats, seconds)
    return found


def choices(workload: str, replicas: int, key: str, kind: str, repeats: int, seconds: float) -> Work:
    """Variants that differ in an activation or a loss: chosen by an index in one program, and in a program each."""
    base = settings_of(kind)
    comparison = WORKLOADS[workload].comparison(replicas, **base)
    (study,) = comparison.studies
    values = list(dict.fromkeys(getattr(variant.settings, key) for variant in study.variants))

    def only(value: str) -> Comparison:
        kept = tuple(variant for variant in study.variants if getattr(variant.settings, key) == value)
        return replace(comparison, studies=(replace(study, variants=kept),))

    data, mesh = loaded(comparison), one_device()
    ways = {"in one program": [comparison], "a program each": [only(value) for value in values]}
    plans = {
        way: [one for part in parts for one in layout.plan(part, data, platform="gpu")] for way, parts in ways.items()
    }
    every = trainers([one for each in plans.values() for one in each], mesh)
    yield
    found: Row = {"workload": workload, "replicas": replicas, "key": key, "values": values}
    for way, each in plans.items():
        made, every = every[: len(each)], every[len(each) :]
        errors = [one for one in made if isinstance(one, str)]
        if errors:
            found[way] = {"error": errors[0]}
            continue
        units = [unit_of(one) for one in made if not isinstance(one, str)]
        found[way] = measured(Prepared(units, replicas), repeats, seconds)
        found[way]["tiles"] = [[*plan.shape, len(plan.tiles)] for plan in each]
    return found


def planner(network: str, seeds: int, variants: int, kind: str, **base: Any) -> Work:
    """Bytes as planned, as compiled, and the most that the device held while one tile was trained and measured.

    Trying out products takes memory too: where training does not go beyond that, what it held is not known.
    """
    made = networks.comparison(network, seeds, variants, epochs=1, **{**settings_of(kind), **base})
    plan, mesh = networks.plan_of(made), one_device()
    planned = fitting.compiled(plan, mesh).of(plan.replicas)
    found: Row = {"network": network, "kind": kind, "replicas": plan.replicas, "base": base}
    found |= {"reckoned_bytes": fitting.arithmetic(plan).of(plan.replicas), "planned_bytes": planned}
    (job,) = trainer.prepare([plan], mesh, trainer.Forgetful())
    account = job.trainer.executables.memory if job.trainer else None
    yield
    before, tried_out = device_bytes("bytes_in_use"), device_bytes("peak_bytes_in_use")
    for _ in trainer.train_job(job, trainer.Forgetful(), lambda tick: None):
        pass
    peak = device_bytes("peak_bytes_in_use")
    held = peak if peak is not None and peak > (tried_out or 0) else None
    found |= {"compiled_bytes": account and account.total, "bytes_before": before, "peak_bytes": held}
    found["tried_out_bytes"] = tried_out
    return found


def over_ask(network: str, variants: int, times: float) -> Work:
    """A tile that needs so many times of what the device has, trained all the same: what became of it."""
    mesh, limit = one_device(), device_bytes("bytes_limit")
    if limit is None:
        return {"skipped": "this device does not say how much memory it has"}
    small = networks.plan_of(networks.comparison(network, 4, variants, epochs=1))
    planned = fitting.compiled(small, mesh)  # of the small one, because the large one may not even compile
    seeds = max(1, math.ceil((times * limit - planned.of(0)) / max(1, planned.replica) / variants))
    plan = networks.plan_of(networks.comparison(network, seeds, variants, epochs=1))
    asked = planned.of(plan.replicas)
    (job,) = trainer.prepare([plan], mesh, trainer.Forgetful())  # not fitted: so it asks for too much
    yield
    start = time.perf_counter()
    trained = list(trainer.train_job(job, trainer.Forgetful(), lambda tick: None))
    finite = [bool((one.arrays["first_nonfinite_step"] < 0).all()) for one in trained]
    return {
        "network": network,
        "limit_bytes": limit,
        "asked_bytes": asked,
        "asked": list(plan.shape),
        "ended": list(trained[-1].plan.shape),
        "tiles": len(trained),
        "replicas": sum(len(one.tile.seeds) * len(one.tile.variants) for one in trained),
        "wanted": plan.replicas,
        "all_finite": all(finite),
        "seconds": time.perf_counter() - start,
    }


def study(experiment: str, name: str, seeds: int, epochs: int | None = None) -> Work:
    """A shipped study, trained on its real data: what half precision does to accuracy, steps skipped, the scale, bytes."""
    from jaxcompare.config.load import load
    from jaxcompare.config.parse import parse
    from jaxcompare.data import fashion_mnist, sources
    from jaxcompare.data.loading import load_datasets
    from jaxcompare.execution import compare

    _, config = load(experiment)
    found = [one for one in config["study"] if one["name"] == name]
    config = {**config, "study": found, "base": {**config["base"], "seeds": seeds}}
    if epochs is not None:
        found[0]["base"] = {**found[0].get("base", {}), "epochs": epochs}
    dataset = found[0].get("base", {}).get("dataset", config["base"].get("dataset"))
    if dataset == fashion_mnist.NAME:  # nothing is downloaded: the others' time would be spent on waiting
        local = sources.find(fashion_mnist.local_sources(None, fashion_mnist.PINNED))
        if not isinstance(local, sources.Found):
            return {"experiment": experiment, "study": name, "skipped": "Fashion-MNIST is not on this machine"}
    made = parse(experiment, config)
    plans = layout.plan(made, load_datasets([made]), platform=jax.default_backend())
    trainer.prepare(plans, sweep.local_mesh(), trainer.Forgetful())  # found again below
    yield
    start = time.perf_counter()
    frames = compare.compare(config, name=experiment)
    seconds = time.perf_counter() - start
    history, replicas = frames["history"], frames["replicas"]
    joined = history.merge(replicas[["replica_id", "variant_id", "precision"]], on="replica_id")
    scales = []
    for variant, rows in joined[joined["precision"] == "float16"].groupby("variant_id", sort=False):
        by_epoch = rows.groupby("epoch")
        last = rows[rows["epoch"] == rows["epoch"].max()]
        scales.append(
            {
                "variant_id": variant,
                "skipped_mean": float(last["skipped_steps"].mean()),
                "skipped_most": int(last["skipped_steps"].max()),
                "steps": int(last["step"].max()),
                "epochs": [int(epoch) for epoch in by_epoch["epoch"].first()],
                "scale": [float(value) for value in by_epoch["loss_scale"].median()],
                "n": len(last),
            }
        )
    figures = ["variant_id", "label", "n", "n_failed"]
    figures += [f"test_accuracy_{part}" for part in ("mean", "low", "high")]
    claims, effects = frames["claims"], frames["effects"]
    differences = [*_records(claims), *_records(effects[effects["factor"].isin(("precision", "remat"))])]
    return {
        "experiment": experiment,
        "study": name,
        "seconds": seconds,
        "summary": _records(frames["summary"][figures]),
        "differences": differences,
        "scales": scales,
        "timing": _records(frames["timing"]),
    }


def _records(frame: Any) -> list[Row]:
    """A table's rows as plain values; what is not a number is None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {key: value.item() if isinstance(value, np.generic) else value for key, value in row.items()} for row in rows
    ]


def profiled(network: str, shape: tuple[int, int], kind: str, steps: int) -> Work:
    """Where a tile's time goes: the kernels that take the most, by the profiler.

    The profiler makes each kernel's start slower, and XLA leaves out command buffers under it: so the same steps are timed
    without it, too.
    """
    made = trainer.Trainer(networks.plan_of(networks.comparison(network, *shape, **settings_of(kind))), one_device())
    yield
    run: Callable[[int], None] = runner(made, made.plan.tiles[:1])
    run(steps)  # so that nothing is done for the first time
    start = time.perf_counter()
    run(steps)
    alone = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            start = time.perf_counter()
            run(steps)
            seconds = time.perf_counter() - start
        found = profile.read(folder, seconds)
    if not found["kernels"]:
        return {"skipped": "the profiler saw no kernel of a device"}
    return {"network": network, "shape": list(shape), "kind": kind, "steps": steps, "alone_seconds": alone} | found
