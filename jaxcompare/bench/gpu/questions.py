"""QUESTIONS: what is asked of a GPU, the most wanted first, and the jobs that answer it. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PROCESS_SECONDS = 300.0  # no job may take longer


@dataclass(frozen=True)
class Job:
    """A function of `jobs` and what it is given; without a function, the benchmark of `jaxcompare.bench`."""

    name: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = PROCESS_SECONDS


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    repeats: int = 3
    seconds: float = 0.3  # of one repeat
    replicas: int = 270  # of comparison C's three optimizers
    most: int = 4096  # replicas in a tile
    steps: int = 200  # under the profiler
    seeds: int = 10  # of the studies
    epochs: int | None = None  # of the studies; None: as shipped


FULL = Scale()
QUICK = Scale(repeats=1, seconds=0.05, replicas=9, most=4, steps=5, seeds=2, epochs=2)

Asked = Callable[[Scale, dict[str, Any], str], list[Job]]  # scale, the machine as far as it is known, folder -> jobs


@dataclass(frozen=True)
class Question:
    """One of them."""

    title: str
    jobs: Asked


def _timing(scale: Scale) -> dict[str, Any]:
    return {"repeats": scale.repeats, "seconds": scale.seconds}


def _machine(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    return [Job("machine", "machine", _timing(scale))]


def _precisions(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shared = {"workload": "c_fashion", "replicas": scale.replicas, "keep": folder, **_timing(scale)}
    kinds = ("tensorfloat32", "bfloat16", "float16", "float32")
    return [Job(kind, "engine", {"kind": kind, **shared}) for kind in kinds]


# The most wanted workload first: each one's rows are kept as soon as they are there.
CELLS = ("c_fashion", "b_moons", "digits", "a_fashion")
WAYS = ("ours", "ours on CPU", "torch dataloader", "torch vmap compiled", "torch baddbmm compiled")


def _torch(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    sizes = [scale.replicas] if scale is QUICK else [270, 1500, 200, 2]
    arguments = {"workload": CELLS[: len(sizes)], "replicas": sizes, "way": WAYS, **_timing(scale)}
    return [Job("ways", "", arguments)]


def _powers(most: int, factor: int) -> list[int]:
    found = [1]
    while found[-1] * factor <= most:
        found.append(found[-1] * factor)
    return found


def _shapes(replicas: list[int]) -> list[list[int]]:
    variants = [min(8, count) for count in replicas]
    return [[-(-count // width), width] for count, width in zip(replicas, variants, strict=True)]


def _replicas(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shared = {"kind": "tensorfloat32", **_timing(scale)}
    most = {"moons": scale.most, "fashion_mnist": scale.most, "digits": scale.most, "wide": min(scale.most, 64)}
    return [
        Job(network, "tiles", {"network": network, "shapes": _shapes(_powers(limit, 4)), **shared})
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
    few = {"workload": "b_moons", "key": "activation", **shared}
    return [
        Job("activations, 1500", "choices", {"replicas": 1500, **few}),
        Job("activations, 150", "choices", {"replicas": 150, **few}),
        Job("losses, 200", "choices", {"workload": "digits", "replicas": 200, "key": "loss", **shared}),
    ]


def _planner(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    if scale is QUICK:
        return [Job("moons", "planner", {"network": "moons", "seeds": 2, "variants": 2, "kind": "float32"})]
    deep = {"network": "digits", "hidden": [256] * 12, "batch_size": 1024}
    asked = [
        ("fashion_mnist", {"network": "fashion_mnist", "seeds": 16, "kind": "float32"}),
        ("fashion_mnist, bfloat16", {"network": "fashion_mnist", "seeds": 16, "kind": "bfloat16"}),
        ("deep", {"seeds": 4, "kind": "float32", **deep}),
        ("deep, remat", {"seeds": 4, "kind": "float32", "remat": True, **deep}),
    ]
    return [Job(name, "planner", {"variants": 8, **arguments}) for name, arguments in asked]


SMALL_DEVICE = 4 * 2**30  # bytes that a run is left with, so that asking for more takes seconds, not minutes
TOO_MUCH = 1.5  # times what there is


def _over_ask(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    # `bytes_limit` is what three quarters of the device come to, unless JAX was told otherwise.
    limit = machine.get("memory_bytes")
    fraction = min(0.75, 0.75 * SMALL_DEVICE / limit) if limit else 0.1
    environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{fraction:.4f}"}
    return [Job("fashion_mnist", "over_ask", {"network": "fashion_mnist", "times": TOO_MUCH}, environment)]


# The six studies of precision and memory; those of batch sizes need Fashion-MNIST where it is looked for first.
STUDIES = (("a", "precision"), ("b", "precision"), ("c", "precision"), ("c", "memory"))
WITH_DOWNLOADS = (("a", "batch_size"), ("c", "batch_size"))


def _studies(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    wanted = STUDIES[:1] if scale is QUICK else STUDIES + WITH_DOWNLOADS
    shared = {"seeds": scale.seeds, "epochs": scale.epochs}
    return [
        Job(f"{experiment} {name}", "study", {"experiment": experiment, "name": name, **shared})
        for experiment, name in wanted
    ]


def _profile(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shape = [2, 2] if scale is QUICK else [10, 9]
    shared = {"network": "fashion_mnist", "shape": shape, "steps": scale.steps}
    return [Job(kind, "profiled", {"kind": kind, **shared}) for kind in ("tensorfloat32", "bfloat16")]


# Names of XLA's options as of jaxlib 0.10 to 0.11.
FLAGS = {
    "as they are": "",
    "no command buffers": "--xla_gpu_enable_command_buffer=",
    "loops in command buffers": "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL",
    "no Triton products": "--xla_gpu_enable_triton_gemm=false",
    "exhaustive tiling": "--xla_gpu_exhaustive_tiling_search=true",
}


def _flags(scale: Scale, machine: dict[str, Any], folder: str) -> list[Job]:
    shapes = [[1, 2]] if scale is QUICK else [[10, 9]]
    arguments = {"network": "fashion_mnist", "shapes": shapes, "kind": "tensorfloat32", **_timing(scale)}
    wanted = list(FLAGS)[:1] if scale is QUICK else list(FLAGS)
    return [Job(name, "tiles", arguments, {"XLA_FLAGS": FLAGS[name]} if FLAGS[name] else {}) for name in wanted]


QUESTIONS: dict[str, Question] = {
    "machine": Question("The machine", _machine),
    "precisions": Question("Comparison C in each kind of products", _precisions),
    "torch": Question("Beside PyTorch, and beside the CPU", _torch),
    "replicas": Question("Replicas in a tile", _replicas),
    "planner": Question("Memory: planned, compiled, held", _planner),
    "over_ask": Question("A tile that is too large", _over_ask),
    "studies": Question("Half precision under real training", _studies),
    "choices": Question("Chosen in one program, or a program each", _choices),
    "flags": Question("XLA's options", _flags),
    "profile": Question("Where the time goes", _profile),
    "shares": Question("Seeds or variants", _shares),
}
