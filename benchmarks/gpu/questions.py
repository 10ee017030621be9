"""QUESTIONS: what is asked of a GPU, the most wanted first, and the jobs that answer it. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """A function of `jobs` and what it is given; without a function, the benchmark of `benchmarks`."""

    name: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    repeats: int = 3
    seconds: float = 0.3  # of one repeat
    replicas: int = 270  # of comparison C's three optimizers
    most: int = 4096  # replicas in a tile
    factor: int = 8  # from one number of them to the next
    steps: int = 200  # under the profiler
    seeds: int = 10  # of the studies
    epochs: int | None = None  # of the studies; None: as shipped


FULL = Scale()
QUICK = Scale(repeats=1, seconds=0.05, replicas=9, most=4, factor=4, steps=5, seeds=2, epochs=2)

Asked = Callable[[Scale, dict[str, Any], str], list[Job]]  # scale, the machine as far as it is known, folder -> jobs


@dataclass(frozen=True)
class Stage:
    """How the jobs of neighbouring questions are run. What compiles tries products out on the device, and whoever else is on
    it meanwhile spoils the trial: so rates come from stages in which one process runs at a time.
    """

    seconds: float = 150.0  # that one process may take
    one_process: bool = False  # for all its jobs: a question's are compiled together, then measured one after another
    side_by_side: bool = False  # a process a job, several of which compile at once; only where no rate is asked for


@dataclass(frozen=True)
class Question:
    """One of them."""

    title: str
    jobs: Asked
    stage: str


def _timing(scale: Scale) -> dict[str, Any]:
    return {"repeats": scale.repeats, "seconds": scale.seconds}


def _machine(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [Job("device", "device")]


def _ceilings(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [Job("ceilings", "ceilings", _timing(scale))]


def _precisions(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shared = {"workload": "c_fashion", "replicas": scale.replicas, "keep": folder, **_timing(scale)}
    kinds = ("tensorfloat32", "bfloat16", "float16", "float32")
    return [Job(kind, "engine", {"kind": kind, **shared}) for kind in kinds]


# Two runs of the benchmark, each with ours: the ways that the goals name, and the rest.
GOALS = ("ours", "torch dataloader", "torch indexed", "torch vmap compiled")
OTHERS = ("ours", "ours on CPU", "torch vmap", "torch baddbmm compiled")
COMPILED = ("ours", "ours on CPU", "torch vmap compiled", "torch baddbmm compiled")
PATIENCE = 110.0  # seconds that a way may take to prepare


def _bench(name: str, workload: str, replicas: int, ways: tuple[str, ...], scale: Scale) -> Job:
    shared = {"limit": PATIENCE, "no-ceiling": True, **_timing(scale)}  # the ceilings are a question of their own
    return Job(name, "", {"workload": [workload], "replicas": [replicas], "way": ways, **shared})


def _torch(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [_bench("comparison C", "c_fashion", scale.replicas, GOALS, scale)]


def _others(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [_bench("comparison C", "c_fashion", scale.replicas, OTHERS, scale)]


def _more(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    cells = {"b_moons": 3, "digits": 2} if scale is QUICK else {"b_moons": 1500, "digits": 200}
    return [_bench(name, name, size, COMPILED, scale) for name, size in {**cells, "a_fashion": 2}.items()]


VARIANTS = 8  # of a seed, where there are enough replicas: they share their batches, as a study's do


def _powers(most: int, factor: int) -> list[int]:
    found = [1]
    while found[-1] * factor <= most:
        found.append(found[-1] * factor)
    return found


def shape_of(replicas: int) -> tuple[int, int]:
    """Seeds and variants of a tile of so many replicas, as a study would have them.

    >>> shape_of(4), shape_of(1024)
    ((1, 4), (128, 8))
    """
    variants = min(VARIANTS, replicas)
    return -(-replicas // variants), variants


def _replicas(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shared = {"kind": "tensorfloat32", **_timing(scale)}
    most = {"fashion_mnist": scale.most, "moons": scale.most, "digits": scale.most, "wide": min(scale.most, 64)}
    return [
        Job(
            network,
            "tiles",
            {"network": network, "shapes": [shape_of(count) for count in _powers(limit, scale.factor)], **shared},
        )
        for network, limit in most.items()
    ]


def _shares(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    count = min(64, scale.most)
    shapes = [[1, count], [count // 2, 2], [count, 1]]
    arguments = {"network": "fashion_mnist", "shapes": shapes, "kind": "tensorfloat32", **_timing(scale)}
    return [Job(f"{count} replicas", "tiles", arguments)]


def _choices(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shared = {"kind": "tensorfloat32", **_timing(scale)}
    if scale is QUICK:
        return [Job("losses", "choices", {"workload": "digits", "replicas": 2, "key": "loss", **shared})]
    return [
        Job("activations", "choices", {"workload": "b_moons", "replicas": 1500, "key": "activation", **shared}),
        Job("losses", "choices", {"workload": "digits", "replicas": 200, "key": "loss", **shared}),
    ]


def _planner(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    if scale is QUICK:
        return [Job("moons", "planner", {"network": "moons", "seeds": 2, "variants": 2, "kind": "float32"})]
    deep = {"network": "digits", "hidden": [256] * 12, "batch_size": 1024}
    asked = [
        ("fashion_mnist", {"network": "fashion_mnist", "seeds": 16, "kind": "float32"}),
        ("fashion_mnist, bfloat16", {"network": "fashion_mnist", "seeds": 16, "kind": "bfloat16"}),
        ("deep, remat", {"seeds": 4, "kind": "float32", "remat": True, **deep}),
    ]
    return [Job(name, "planner", {"variants": VARIANTS, **arguments}) for name, arguments in asked]


SMALL_DEVICE = 4 * 2**30  # bytes that a run is left with, so that asking for more takes seconds, not minutes
TOO_MUCH = 1.5  # times what there is


def _over_ask(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    # `bytes_limit` is what three quarters of the device come to, unless JAX was told otherwise.
    limit = machine.get("memory_bytes")
    fraction = min(0.75, 0.75 * SMALL_DEVICE / limit) if limit else 0.1
    environment = {"XLA_CLIENT_MEM_FRACTION": f"{fraction:.4f}"}
    return [
        Job(
            "fashion_mnist",
            "over_ask",
            {"network": "fashion_mnist", "variants": VARIANTS, "times": TOO_MUCH},
            environment,
        )
    ]


# The six studies of precision and memory; those of batch sizes need Fashion-MNIST where it is looked for first. What recomputed
# activations cost is a rate: so that study is a question of its own.
STUDIES = (("a", "precision"), ("b", "precision"), ("c", "precision"))
WITH_DOWNLOADS = (("a", "batch_size"), ("c", "batch_size"))


def _studies(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [_study(*one, scale) for one in (STUDIES[:1] if scale is QUICK else STUDIES + WITH_DOWNLOADS)]


def _memory_study(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [_study("c", "memory", scale)]


def _study(experiment: str, name: str, scale: Scale) -> Job:
    arguments = {"experiment": experiment, "name": name, "seeds": scale.seeds, "epochs": scale.epochs}
    return Job(f"{experiment} {name}", "study", arguments)


def _profile(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shape = [2, 2] if scale is QUICK else [10, 9]
    shared = {"network": "fashion_mnist", "shape": shape, "steps": scale.steps}
    return [Job("tensorfloat32", "profiled", {"kind": "tensorfloat32", **shared})]


# Names of XLA's options as of jaxlib 0.10 to 0.11.
FLAGS = {
    "as they are": "",
    "no command buffers": "--xla_gpu_enable_command_buffer=",
    "loops in command buffers": "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL",
    "no Triton products": "--xla_gpu_enable_triton_gemm=false",
}


def _flags(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shapes = [[1, 2]] if scale is QUICK else [[10, 9]]
    arguments = {"network": "fashion_mnist", "shapes": shapes, "kind": "tensorfloat32", **_timing(scale)}
    wanted = list(FLAGS)[:1] if scale is QUICK else list(FLAGS)
    # Else one finds what another has compiled, or tried out, otherwise.
    own = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    return [Job(name, "tiles", arguments, own | ({"XLA_FLAGS": FLAGS[name]} if FLAGS[name] else {})) for name in wanted]


STAGES: dict[str, Stage] = {
    "machine": Stage(seconds=90.0),
    "comparison": Stage(seconds=200.0, one_process=True),
    "beside": Stage(seconds=240.0),
    "tiles": Stage(seconds=220.0, one_process=True),
    "memory": Stage(side_by_side=True),
    "apart": Stage(seconds=90.0),
}

QUESTIONS: dict[str, Question] = {
    "machine": Question("The machine", _machine, "machine"),
    "ceilings": Question("What it can do", _ceilings, "comparison"),
    "precisions": Question("Comparison C in each kind of products", _precisions, "comparison"),
    "torch": Question("Beside PyTorch", _torch, "beside"),
    "replicas": Question("Replicas in a tile", _replicas, "tiles"),
    "choices": Question("Chosen in one program, or a program each", _choices, "tiles"),
    "shares": Question("Seeds or variants", _shares, "tiles"),
    "remat": Question("Recomputed activations", _memory_study, "tiles"),
    "profile": Question("Where the time goes", _profile, "tiles"),
    "planner": Question("Memory: planned, compiled, held", _planner, "memory"),
    "over_ask": Question("A tile that is too large", _over_ask, "memory"),
    "studies": Question("Half precision under real training", _studies, "memory"),
    "others": Question("Beside the CPU, and PyTorch's other ways", _others, "beside"),
    "flags": Question("XLA's options", _flags, "apart"),
    "more": Question("Other workloads", _more, "beside"),
}
