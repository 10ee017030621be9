"""JOBS: the measurements, generators from plain values to rows of `tables`, run by a process of their own (`child`).

Up to its only `yield` a job compiles all that it will measure, so that several compile side by side while nothing is measured.
One device is measured. A rate is of training alone, in the engine's own programs, without measurements on the way.
"""

from __future__ import annotations

import gc
import gzip
import json
import math
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import pandas as pd

from benchmarks import ours, ways
from benchmarks.gpu import hlo
from benchmarks.process import failure
from benchmarks.tables import TILE, XLA, Row
from benchmarks.timing import Prepared, measured
from benchmarks.workloads import WORKLOADS, costs, grid_of

Work = Generator[None, None, list[Row]]
KINDS = ("float32", "tensorfloat32", "bfloat16", "float16")  # of products
DEFAULT, KERNELS = "tensorfloat32", 25  # kind of products; kernels that are named
SMI = "nvidia-smi --query-gpu=driver_version,power.limit,clocks.max.sm,clocks.max.mem --format=csv,noheader --id=0"


def settings_of(kind: str) -> dict[str, Any]:
    """Return a config's settings for a kind of products.

    >>> settings_of("tensorfloat32"), settings_of("bfloat16")
    ({'precision': 'float32', 'matmul_precision': 'tensorfloat32'}, {'precision': 'bfloat16'})
    """
    return {"precision": "float32", "matmul_precision": kind} if kind.endswith("32") else {"precision": kind}


def device_bytes(name: str) -> int | None:
    """Return one of the device's figures of its memory; None where it keeps none."""
    return (jax.local_devices()[0].memory_stats() or {}).get(name)


def one_tile(network: str, shape: Sequence[int], kind: str = DEFAULT, **base: Any) -> Any:
    """Return a program of a network with one tile of this shape."""
    comparison = grid_of(network, shape[0], shape[1], **settings_of(kind), **base)
    return ours.planned(comparison, platform="gpu", one_tile=True)[0]


def device() -> Work:
    """Return what the device is."""
    yield
    one, count = jax.local_devices()[0], jax.local_device_count()
    driver = subprocess.run(SMI, shell=True, capture_output=True, text=True, timeout=20).stdout.strip()
    known = {"platform": one.platform, "device": one.device_kind, "devices": count, "driver": driver or None}
    known |= {"capability": getattr(one, "compute_capability", None), "runtime": one.client.platform_version}
    known |= {"memory_bytes": device_bytes("bytes_limit")}
    return [{"what": what, "is": value} for what, value in known.items() if value is not None]


def ceilings(repeats: int, seconds: float) -> Work:
    """Return the rates of products of each kind, and of copying; a kind that the device lacks has an error."""
    yield
    rows: list[Row] = []
    products: dict[str, Callable[[], Prepared]] = {kind: partial(ways.jax_product, kind) for kind in KINDS}
    for name, prepare in {**products, "copy": ways.jax_copy}.items():
        unit = "TB/s, read and written" if name == "copy" else "TFLOP/s"
        try:
            rate = measured(prepare(), repeats, seconds)["median"]
            rows.append({"what": name, "rate": rate, "is": f"{rate / 1e12:.3g} {unit}"})
        except Exception as error:
            rows.append({"what": name, "error": failure(error)})
        gc.collect()
    return rows


def rated(one: ours.Compiled | str, program: Any, repeats: int, seconds: float) -> Row:
    """Return a program's row: shapes, costs by arithmetic, rate, bytes and kernels; or its error."""
    settings, replicas = program.settings, len(program.seeds) * len(program.variants)
    widths = (program.material.features, *settings.hidden, program.material.classes)
    row = {TILE: list(program.shape), "tiles": len(program.tiles), "replicas": replicas}
    row |= costs(widths, settings.optimizer, settings.batch_size)
    if isinstance(one, str):
        return row | {"error": one}
    row[XLA] = one.bytes
    for loop in hlo.summary(one.text)[:1]:
        row |= {"kernels a step": loop["kernels"], "moved": loop["bytes"] / program.tile_replicas, "hlo": loop}
    try:
        return row | measured(Prepared([one.unit()], replicas), repeats, seconds)
    except Exception as error:  # too large for the device, say: the smaller ones remain
        return row | {"error": failure(error)}


def rated_all(programs: Sequence[Any], repeats: int, seconds: float, rows: Sequence[Row]) -> Work:
    """Compile programs and then measure each; add the results to some rows. XLA's text of AdamW's programs becomes a file."""
    every = ours.compile_all(programs, ours.local_places(1))
    yield
    done = []
    for row, program in zip(rows, programs, strict=True):
        one = every.pop(0)
        if row.get("program") == "adamw" and isinstance(one, ours.Compiled):
            Path(f"hlo_adamw_{row['kind']}.txt.gz").write_bytes(gzip.compress(one.text.encode()))
        done.append(row | rated(one, program, repeats, seconds))
        gc.collect()  # the last tile's memory is free before the next one is measured
    return done


def whole(rows: Sequence[Row]) -> Row:
    """Return the rate of programs that train one after another, or the error of any."""
    if errors := [row["error"] for row in rows if "error" in row]:
        return {"error": errors[0]}
    replicas = sum(row["replicas"] for row in rows)
    return {"replicas": replicas, "median": replicas / sum(row["replicas"] / row["median"] for row in rows)}


def tiles(
    network: str,
    shapes: Sequence[Any],
    repeats: int,
    seconds: float,
    options: str = "",
    kind: str = DEFAULT,
    **base: Any,
) -> Work:
    """Return the rate of one tile in each of several shapes; `options` of XLA are in the environment."""
    row = {"options": options or None, "network": network, "kind": kind, "compare": network}
    programs = [one_tile(network, shape, kind, **base) for shape in shapes]
    return (yield from rated_all(programs, repeats, seconds, [row] * len(programs)))


def bits(network: str, shape: Sequence[int], repeats: int, seconds: float, options: str) -> Work:
    """Return the rate under some options, with a digest of the weights after 40 steps, which parts of 15 and 25 must equal."""
    one = ours.compile_one(one_tile(network, shape), ours.local_places(1))
    yield
    at_once, in_parts = one.digest(40), one.digest(15, 25)
    row = {"options": options or "none", "compare": "", "weights": at_once[:8], "same in parts": at_once == in_parts}
    return [row | rated(one, one.program, repeats, seconds)]


def engine(replicas: int, kind: str, repeats: int, seconds: float) -> Work:
    """Return comparison C's rate in one kind of products, and each program's."""
    comparison = WORKLOADS["c_fashion"].comparison(replicas, **settings_of(kind))
    programs = ours.planned(comparison, platform="gpu")
    names = [program.settings.optimizer for program in programs]
    rows = [{"kind": kind, "program": name, "compare": name} for name in names]
    rows = yield from rated_all(programs, repeats, seconds, rows)
    return [{"kind": kind, "program": "all", "compare": "all", **whole(rows)}, *rows]


def choices(workload: str, replicas: int, key: str, repeats: int, seconds: float) -> Work:
    """Compare variants whose activation or loss is chosen by an index in one program with those of a program each."""
    comparison = WORKLOADS[workload].comparison(replicas, **settings_of(DEFAULT))
    (study,) = comparison.studies
    values = dict.fromkeys(getattr(variant.settings, key) for variant in study.variants)
    split = [tuple(one for one in study.variants if getattr(one.settings, key) == value) for value in values]
    programs: list[tuple[str, Any]] = []
    for way, parts in ((f"one program: {', '.join(values)}", [study.variants]), ("a program each", split)):
        for variants in parts:
            part = replace(comparison, studies=(replace(study, variants=variants),))
            programs += [(way, program) for program in ours.planned(part, platform="gpu")]
    rows = [{"workload": workload, f"{key} chosen in": way, "compare": workload} for way, _ in programs]
    done = yield from rated_all([program for _, program in programs], repeats, seconds, rows)
    each = {way: [row for (one, _), row in zip(programs, done, strict=True) if one == way] for way, _ in programs}
    keys = (*rows[0], TILE)
    return [
        {name: of[0].get(name) for name in keys} | {f"{key} chosen in": way} | whole(of) for way, of in each.items()
    ]


def planner(network: str, shape: Sequence[int], kind: str, **base: Any) -> Work:
    """Return the bytes of a tile as planned and compiled, and the most that the device held while the tile trained.

    Trying out products takes memory too: where training does not exceed that, what it held is unknown.
    """
    program, places, cache = one_tile(network, shape, kind, epochs=1, **base), ours.local_places(1), ours.ProgramCache()
    total, train = ours.compile_one(program, places, cache).bytes, ours.trainer(program, places, cache)
    yield
    tried_out, planned = device_bytes("peak_bytes_in_use"), ours.planned_bytes(program)
    train()
    row = {"network": network, "kind": kind, TILE: list(program.shape), "planned, bytes": planned, XLA: total}
    held = device_bytes("peak_bytes_in_use") or 0
    if held > (tried_out or 0):
        row |= {"most held, bytes": held, "planned / held": planned / held, "compiled / held": (total or 0) / held}
    return [row]


def over_ask(network: str, times: float) -> Work:
    """Train a tile that needs several times what the device has, and return what became of it."""
    limit, places = device_bytes("bytes_limit"), ours.local_places(1)
    if limit is None:
        raise ValueError("this device does not report how much memory it has")
    small = one_tile(network, [4, 8], epochs=1)  # the large one may not even compile
    data = small.material.bytes
    replica = ((ours.compile_one(small, places).bytes or ours.planned_bytes(small)) - data) / small.tile_replicas
    program = one_tile(network, [math.ceil((times * limit - data) / replica / 8), 8], epochs=1)
    row = {"network": network, "asked, bytes": int(data + replica * program.tile_replicas), "of, bytes": limit}
    train = ours.trainer(program, places)
    yield
    start = time.perf_counter()
    trained = train()
    row |= {TILE: list(program.shape), "ended in tile": list(trained[-1][0].program.shape), "tiles": len(trained)}
    row |= {"replicas": sum(tile.replicas for tile, _ in trained), "wanted": program.tile_replicas}
    finite = all((arrays["first_nonfinite_step"] < 0).all() for _, arrays in trained)
    return [row | {"finite": bool(finite), "seconds": time.perf_counter() - start}]


def study(experiment: str, name: str, seeds: int, epochs: int | None = None, rates: bool = False) -> Work:
    """Train a shipped study on its real data: accuracy, differences, steps that half precision skipped, its scale, bytes."""
    from jaxcompare.config.load import load
    from jaxcompare.config.parse import parse
    from jaxcompare.data import fashion_mnist, sources
    from jaxcompare.data.loading import load_datasets

    _, config = load(experiment)
    (chosen,) = [one for one in config["study"] if one["name"] == name]
    base = {**config["base"], **chosen.get("base", {}), "seeds": seeds, **({"epochs": epochs} if epochs else {})}
    config = {**config, "study": [{**chosen, "base": {}}], "base": base}
    if base.get("dataset") == fashion_mnist.NAME:  # nothing is downloaded: waiting would take the others' time
        local = sources.find(fashion_mnist.local_sources(None, fashion_mnist.PINNED))
        if not isinstance(local, sources.Found):
            raise FileNotFoundError("Fashion-MNIST is not on this machine")
    comparison = parse(experiment, config)
    train = ours.study(comparison, load_datasets([comparison]))
    yield
    return study_rows(train(config), rates)


STUDY = {  # the tables of a study that are shown, and their columns
    "summary": ["label", "n", "n_failed", "test_accuracy_mean", "test_accuracy_low", "test_accuracy_high"],
    "claims": ["first", "second", "apart", "second_id", "n", "difference", "low", "high", "p_t_holm"],
    "effects": ["first", "second", "apart", "second_id", "n", "difference", "low", "high", "p_t_holm", "factor"],
    "timing": ["program", "replicas", "wall_seconds", "argument_bytes", "temporary_bytes", "replica_steps_per_second"],
}


def study_rows(frames: dict[str, pd.DataFrame], rates: bool) -> list[Row]:
    """Return the rows of a study's tables; rates only where nothing else was on the device while the study trained."""
    labels, rows = frames["summary"].set_index("variant_id")["label"], list[Row]()
    for name, columns in STUDY.items():
        frame = frames[name][columns if rates or name != "timing" else columns[:-1]]
        if name == "effects":
            frame = frame[frame["factor"].isin(("precision", "remat"))]
        if "second_id" in frame:
            frame = frame.assign(second_id=frame["second_id"].map(labels).fillna(frame["apart"])).drop(columns="apart")
        rows += [{"table": name, **one} for one in json.loads(frame.to_json(orient="records", double_precision=15))]
    joined = frames["history"].merge(frames["replicas"][["replica_id", "variant_id", "precision"]], on="replica_id")
    for variant, each in joined[joined["precision"] == "float16"].groupby("variant_id", sort=False):
        last, scale = each[each["epoch"] == each["epoch"].max()], each.groupby("epoch")["loss_scale"].median()
        row = {"table": "float16", "label": labels[variant], "n": len(last), "steps": int(last["step"].max())}
        row |= {"skipped steps, mean": last["skipped_steps"].mean(), "most": int(last["skipped_steps"].max())}
        rows.append(row | {"loss scale, median, by epoch": scale.iloc[:: max(1, len(scale) // 7)].tolist()})
    return rows


def profiled(network: str, shape: Sequence[int], steps: int) -> Work:
    """Return the kernels of a tile's training that take the most time, by JAX's profiler.

    The profiler delays each kernel's start, and XLA leaves out command buffers under it: so the same steps are timed alone too.
    """
    one = ours.compile_one(one_tile(network, shape), ours.local_places(1))
    yield
    run, alone = one.unit().run, 0.0
    for _ in range(2):  # the first run warms up
        start = time.perf_counter()
        run(steps)
        alone = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run(steps)
        (trace,) = Path(folder).rglob("*.trace.json.gz")
        rows = kernels(json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"], steps)
    if not rows:
        raise ValueError("the profiler recorded no kernel of a device")
    return [{"network": network, TILE: list(shape), "steps timed": steps, "seconds alone": alone}, *rows]


def kernels(events: Sequence[dict[str, Any]], steps: int) -> list[Row]:
    """Return the rows of the kernels in a trace's events, added up by name."""
    spent, calls, names = Counter[str](), Counter[str](), dict[Any, str]()
    for event in events:
        if event.get("name") in ("process_name", "thread_name"):
            names[event["pid"], event.get("tid") if event["name"] == "thread_name" else None] = event["args"]["name"]
    for event in events:
        process, thread = names.get((event.get("pid"), None), ""), names.get((event.get("pid"), event.get("tid")), "")
        # Beside a stream's line of kernels there are lines that group the same time by module and operation.
        if event.get("ph") == "X" and "/device:" in process and thread.lower().startswith("stream"):
            name = event["name"].partition("(")[0][:80]
            spent[name] += event["dur"]
            calls[name] += 1
    rows = []
    for name, taken in spent.most_common(KERNELS):
        row = {"table": "kernels", "kernel": name, "of the time": taken / spent.total()}
        rows.append(row | {"calls a step": calls[name] / steps, "microseconds each": taken / calls[name]})
    return rows


JOBS: dict[str, Callable[..., Work]] = {
    one.__name__: one for one in (device, ceilings, tiles, bits, engine, choices, planner, over_ask, study, profiled)
}
