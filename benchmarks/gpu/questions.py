"""QUESTIONS: what is asked of a GPU, the most wanted first, and the jobs that answer it. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

KINDS = ("float32", "tensorfloat32", "bfloat16", "float16")  # of products; the others are compared with the first
Jobs = dict[str, dict[str, Any]]  # a question's arguments by the name of the job


class Scale(NamedTuple):
    """How much is measured."""

    timing: dict[str, float]  # the repeats of a rate, and the seconds of each
    replicas: int = 270  # of comparison C's three optimizers
    most: int = 4096  # replicas in a tile
    factor: int = 8  # from one number of replicas to the next
    tile: tuple[int, int] = (10, 9)
    steps: int = 200  # under the profiler
    seeds: int = 10  # of the studies
    epochs: int | None = None  # of the studies; None: as shipped
    first: int | None = None  # only this number of jobs; None: all


FULL = Scale({"repeats": 3, "seconds": 0.3})
QUICK = Scale({"repeats": 1, "seconds": 0.05}, 9, 4, 4, tile=(1, 2), steps=5, seeds=2, epochs=2, first=1)


class Stage(NamedTuple):
    """How the jobs of neighbouring questions run. XLA tries products out on the device while it compiles, and any other use
    of the device spoils the trial: so rates come from stages in which one process runs at a time.
    """

    seconds: float = 150.0  # that one process may take
    one_process: bool = False  # for all jobs: a question's are compiled together, then measured one after another
    side_by_side: bool = False  # a process a job, several of which compile at once; only where no rate is asked for


class Question(NamedTuple):
    """The jobs of one function of `jobs.JOBS`; without a function they are runs of the benchmark."""

    title: str
    stage: str
    function: str
    jobs: Callable[[Scale], Jobs]
    environment: Callable[[str, Mapping[str, Any]], dict[str, str]] = lambda job, machine: {}


STAGES: dict[str, Stage] = {
    "machine": Stage(seconds=90.0),
    "comparison": Stage(seconds=200.0, one_process=True),
    "beside": Stage(seconds=240.0),
    "tiles": Stage(seconds=220.0, one_process=True),
    "memory": Stage(side_by_side=True),
    "alone": Stage(seconds=90.0),
}
VARIANTS = 8  # of a seed, where there are enough replicas: they share their batches, as a study's do
# Options of XLA as of jaxlib 0.10 to 0.11. What is asked again shows whether another process computes the same bits.
FLAGS = {
    "as they are": "",
    "as they are, again": "",
    "deterministic": "--xla_gpu_deterministic_ops=true",
    "deterministic, again": "--xla_gpu_deterministic_ops=true",
    "no command buffers": "--xla_gpu_enable_command_buffer=",
    "loops in command buffers": "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL",
    "no Triton products": "--xla_gpu_enable_triton_gemm=false",
}
SMALL_DEVICE = (
    4 * 2**30
)  # bytes that a run is left with, so that asking for 1.5 times as much takes seconds, not minutes


def shapes_of(most: int, factor: int) -> list[list[int]]:
    """List the tiles, seeds and variants, of 1, `factor`, ... to `most` replicas, as a study would have them.

    >>> shapes_of(1024, 8)
    [[1, 1], [1, 8], [8, 8], [64, 8]]
    """
    counts = [factor**power for power in range(most.bit_length()) if factor**power <= most]
    return [[-(-count // VARIANTS), min(VARIANTS, count)] for count in counts]


def _bench(s: Scale, *ways: str, **cells: int) -> Jobs:
    shared = {"ways": ["ours", *ways], **s.timing}
    return {name: {"workload": name, "replicas": replicas, **shared} for name, replicas in cells.items()}


def _replicas(s: Scale) -> Jobs:
    most = {"fashion_mnist": s.most, "moons": s.most, "digits": s.most, "wide": min(s.most, 64)}
    return {name: {"network": name, "shapes": shapes_of(count, s.factor), **s.timing} for name, count in most.items()}


def _shares(s: Scale) -> Jobs:
    count = min(64, s.most)
    shapes = [[1, count], [count // 2, 2], [count, 1]]
    return {f"{count} replicas": {"network": "fashion_mnist", "shapes": shapes, **s.timing}}


def _choices(s: Scale) -> Jobs:
    asked = {"losses": ("digits", 2 if s.first else 200, "loss"), "activations": ("b_moons", 1500, "activation")}
    names = ("workload", "replicas", "key")
    return {job: dict(zip(names, one, strict=True)) | s.timing for job, one in list(asked.items())[: s.first]}


def _planner(s: Scale) -> Jobs:
    shape = [16 if s is FULL else 2, VARIANTS]
    jobs: Jobs = {kind: {"network": "fashion_mnist", "shape": shape, "kind": kind} for kind in ("float32", "bfloat16")}
    deep = {"network": "digits", "hidden": [256] * 12, "batch_size": 1024, "remat": True}
    jobs["deep, remat"] = {"shape": [4, VARIANTS], "kind": "float32", **deep}
    return dict(list(jobs.items())[: s.first])


def _studies(s: Scale, *names: str, rates: bool = False) -> Jobs:
    shared = {"seeds": s.seeds, "epochs": s.epochs, "rates": rates}
    return {one: dict(zip(("experiment", "name"), one.split(), strict=True)) | shared for one in names[: s.first]}


def _flags(s: Scale) -> Jobs:
    shared = {"network": "fashion_mnist", "shapes": [s.tile], "bits": True, **s.timing}
    return {name: {**shared, "options": name} for name in list(FLAGS)[: s.first]}


def _own_flags(job: str, machine: Mapping[str, Any]) -> dict[str, str]:
    # Without the cache, because a process must not find what another has compiled or tried out with other options.
    return {"JAX_ENABLE_COMPILATION_CACHE": "false", **({"XLA_FLAGS": FLAGS[job]} if FLAGS[job] else {})}


def _small_device(job: str, machine: Mapping[str, Any]) -> dict[str, str]:
    limit = machine.get("memory_bytes")  # three quarters of the device by default
    return {"XLA_CLIENT_MEM_FRACTION": f"{min(0.75, 0.75 * SMALL_DEVICE / limit) if limit else 0.1:.4f}"}


DATALOADER, INDEXED, VMAP, BADDBMM, CPU = (
    *("torch dataloader", "torch indexed", "torch vmap compiled", "torch baddbmm compiled", "ours on CPU"),
)
NET = {"network": "fashion_mnist"}
_ = Question
QUESTIONS: dict[str, Question] = {
    "machine": _("The machine", "machine", "device", lambda s: {"device": {}}),
    "ceilings": _("What it can do", "comparison", "ceilings", lambda s: {"ceilings": s.timing}),
    "precisions": _(
        "Comparison C in each kind of products",
        "comparison",
        "engine",
        lambda s: {kind: {"replicas": s.replicas, "kind": kind, **s.timing} for kind in KINDS},
    ),
    "torch": _("Beside PyTorch", "beside", "", lambda s: _bench(s, DATALOADER, INDEXED, VMAP, c_fashion=s.replicas)),
    "replicas": _("Replicas in a tile", "tiles", "tiles", _replicas),
    "choices": _("Chosen in one program, or a program each", "tiles", "choices", _choices),
    "shares": _("Seeds or variants", "tiles", "tiles", _shares),
    # What recomputed activations cost is a rate.
    "remat": _("Recomputed activations", "tiles", "study", lambda s: _studies(s, "c memory", rates=True)),
    "profile": _(
        "Where the time goes", "tiles", "profiled", lambda s: {"adamw": {**NET, "shape": s.tile, "steps": s.steps}}
    ),
    "planner": _("Memory: planned, compiled, held", "memory", "planner", _planner),
    "over_ask": _(
        "A tile that is too large", "memory", "over_ask", lambda s: {"1.5 times": {**NET, "times": 1.5}}, _small_device
    ),
    # Those of batch sizes need Fashion-MNIST on the machine.
    "studies": _(
        "Half precision under real training",
        "memory",
        "study",
        lambda s: _studies(s, "a precision", "b precision", "c precision", "a batch_size", "c batch_size"),
    ),
    "others": _(
        "Beside the CPU, and products by hand", "beside", "", lambda s: _bench(s, CPU, BADDBMM, c_fashion=s.replicas)
    ),
    "flags": _("XLA's options, and the same bits after a resumption", "alone", "tiles", _flags, _own_flags),
    "more": _(
        "Other workloads",
        "beside",
        "",
        lambda s: _bench(
            s, CPU, VMAP, BADDBMM, b_moons=3 if s.first else 1500, digits=2 if s.first else 200, a_fashion=2
        ),
    ),
}
