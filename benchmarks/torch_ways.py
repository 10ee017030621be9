"""PyTorch's functional ways made ready: how replicas are grouped is tried out, and the fastest grouping is timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from benchmarks import torch_parts as parts
from benchmarks.measured import Prepared, Unit, rate, steps_for
from benchmarks.torch_stacks import Kind, Stack, kind_of, make_step
from benchmarks.workloads import WORKLOADS
from jaxcompare.config.settings import Settings

TRIAL_SECONDS = 0.15
GROWTH = 3  # sizes tried grow by at least this: each costs a compilation
SLOW = 0.8  # of the best rate
# So many slow ones in a row, and no further group is tried; a CPU's trials are less certain.
PATIENCE = {"cpu": 2, "cuda": 1}
FEW = 4  # with fewer replicas of one kind, groups of mixed losses and activations are tried as well


class Group(NamedTuple):
    """Variants that one step serves."""

    variants: tuple[Settings, ...]
    seeds: tuple[int, ...]


class Maker:
    """Stacks of one layout for one workload; what was compiled or tried once is kept."""

    def __init__(self, workload: str, layout: str, *, compiled: bool, threads: int | None = None) -> None:
        self.device, start = parts.start(threads), time.perf_counter()
        self.layout, self.compiled = layout, compiled
        self.task = parts.make_task(WORKLOADS[workload].settings, self.device)
        self.load_seconds = time.perf_counter() - start
        self.steps: dict[tuple, tuple[Callable[..., Any], float]] = {}
        self.tried: dict[tuple, float] = {}
        if compiled:
            torch._dynamo.config.recompile_limit = 256  # each kind and shape is a compilation of its own

    def stack(self, group: Group, shape: tuple[int, int]) -> tuple[Stack, float]:
        """A stack of so many seeds and variants of a group, warm; and the seconds that its compilation took."""
        variants, kind = group.variants[: shape[1]], kind_of(group.variants)
        if kind_of(variants) != kind:  # a part of a mixed group that lacks some kinds would be another program
            variants = (*variants[:-1], group.variants[-1])
        key = (kind_of(variants), shape)
        step, seconds = self.steps.get(key) or (self._step(kind_of(variants)), -1.0)
        made = Stack(self.task, variants, group.seeds[: shape[0]], self.layout, step)
        if self.device.type == "cuda" and self.compiled:
            for tensor in made.tensors():  # else CUDA graphs are not used, because the step writes into its arguments
                torch._dynamo.mark_static_address(tensor)
        if seconds < 0:
            start = time.perf_counter()
            made.run(1)
            self.steps[key] = (step, seconds := (time.perf_counter() - start) * self.compiled)
        return made, seconds

    def _step(self, kind: Kind) -> Callable[..., Any]:
        step = make_step(self.layout, kind)
        if not self.compiled:
            return step
        mode = "reduce-overhead" if self.device.type == "cuda" else None
        return torch.compile(step, dynamic=False, fullgraph=True, mode=mode)

    def rate(self, group: Group, shape: tuple[int, int]) -> float:
        """Replica-steps a second of one stack, from a short trial."""
        key = (kind_of(group.variants), shape)
        if key not in self.tried:
            made = Prepared([Unit(self.stack(group, shape)[0].run)], shape[0] * shape[1])
            steps = steps_for(made, TRIAL_SECONDS)
            self.tried[key] = max(rate(made, steps) for _ in range(2))
        return self.tried[key]

    def best(
        self, group: Group, weigh: Callable[[tuple[int, int]], float] = lambda shape: 1.0
    ) -> tuple[tuple[int, int], float]:
        """The fastest shape for a group, and its rate times what `weigh` makes of the shape.

        A GPU wants many replicas, so there the largest come first: what is not tried need not be compiled.
        """
        found: dict[tuple[int, int], float] = {}
        every, slow = shapes(len(group.seeds), len(group.variants)), 0
        for shape in reversed(every) if self.device.type == "cuda" else every:
            found[shape] = self.rate(group, shape) * weigh(shape)
            slow = slow + 1 if found[shape] < SLOW * max(found.values()) else 0
            if slow == PATIENCE[self.device.type]:
                break
        return max(found.items(), key=lambda item: item[1])


def shapes(seeds: int, variants: int) -> list[tuple[int, int]]:
    """Seeds x variants of stacks that fill a group without a rest, from one replica to all, each well above the last."""
    every = [(1, v) for v in range(1, variants + 1) if variants % v == 0]
    every += [(s, variants) for s in range(2, seeds + 1) if seeds % s == 0]
    found = every[:1]
    for shape in every[1:]:
        if math.prod(shape) >= GROWTH * math.prod(found[-1]):
            found.append(shape)
    return found if found[-1] == every[-1] else [*found, every[-1]]


def groups_of(workload: str, replicas: int, *, mixed: bool) -> list[Group]:
    """The workload's variants by what is static: optimizer, loss and activation, or the optimizer alone."""
    study = WORKLOADS[workload].comparison(replicas).studies[0]
    found: dict[tuple, list[Settings]] = {}
    for variant in study.variants:
        one = variant.settings
        key = (one.optimizer,) if mixed else (one.optimizer, one.activation, one.loss)
        found.setdefault(key, []).append(one)
    return [Group(tuple(variants), study.seeds) for variants in found.values()]


_MAKERS: dict[tuple, Maker] = {}


def _maker(workload: str, layout: str, *, compiled: bool, threads: int | None = None) -> Maker:
    key = (workload, layout, compiled, threads)
    if key not in _MAKERS:
        _MAKERS[key] = Maker(workload, layout, compiled=compiled, threads=threads)
    return _MAKERS[key]


def _stacked(workload: str, replicas: int, layout: str, *, compiled: bool) -> Prepared:
    maker = _maker(workload, layout, compiled=compiled)
    groups, best = _chosen(maker, workload, replicas)
    return _units(maker, groups, best, replicas)


def _chosen(maker: Maker, workload: str, replicas: int) -> tuple[list[Group], tuple[int, int]]:
    """The grouping, and the shape of a group's stacks, that were fastest in a trial on the first group."""
    groups = groups_of(workload, replicas, mixed=False)
    best, fastest = maker.best(groups[0])
    if len(groups[0].variants) * len(groups[0].seeds) < FEW:
        joined = groups_of(workload, replicas, mixed=True)
        other, its_rate = maker.best(joined[0])
        if its_rate > fastest and len(joined) < len(groups):
            return joined, other
    return groups, best


def _units(maker: Maker, groups: Sequence[Group], best: tuple[int, int], replicas: int) -> Prepared:
    """A stack of each group, standing for all of the group's."""
    units, compile_seconds, notes = [], 0.0, []
    for group in groups:
        shape = _nearest(best, shapes(len(group.seeds), len(group.variants)))
        made, seconds = maker.stack(group, shape)
        whole = len(group.seeds) * len(group.variants)
        units.append(Unit(made.run, whole / (shape[0] * shape[1])))
        compile_seconds += seconds
        notes.append(f"{shape[0]}x{shape[1]} of {whole}")
    note = f"{torch.get_num_threads()} threads on {maker.device.type}; seeds x variants at a time: {', '.join(notes)}"
    details = {"shape": best, "groups": len(groups), "tried": _tried(maker)}
    if maker.compiled and maker.device.type == "cuda":  # PyTorch goes on without them, and only warns
        details["cuda_graphs_skipped"] = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
    return Prepared(units, replicas, compile_seconds, maker.load_seconds, note, details)


def _tried(maker: Maker) -> dict[str, float]:
    return {f"{shape[0]}x{shape[1]}": round(rate, 1) for (_, shape), rate in maker.tried.items()}


def _nearest(wanted: tuple[int, int], known: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(known, key=lambda shape: abs(shape[0] * shape[1] - wanted[0] * wanted[1]))


def compiled(workload: str, replicas: int) -> Prepared:
    """`torch.compile` on the whole step, one replica after another; one of each kind is timed and stands for its kind."""
    maker = _maker(workload, "single", compiled=True)
    variants = [variant.settings for variant in WORKLOADS[workload].single().studies[0].variants]
    units, seconds = [], 0.0
    for settings in variants:
        made, taken = maker.stack(Group((settings,), (0,)), (1, 1))
        units.append(Unit(made.run, replicas / len(variants)))
        seconds += taken
    note = f"{torch.get_num_threads()} threads on {maker.device.type}"
    return Prepared(units, replicas, seconds, maker.load_seconds, note)


def vmap(workload: str, replicas: int) -> Prepared:
    """`torch.func.vmap` over stacked replicas, eager."""
    return _stacked(workload, replicas, "vmap", compiled=False)


def vmap_compiled(workload: str, replicas: int) -> Prepared:
    """`torch.func.vmap` over stacked replicas, the whole step compiled."""
    return _stacked(workload, replicas, "vmap", compiled=True)


def baddbmm_compiled(workload: str, replicas: int) -> Prepared:
    """Batched products written by hand, the whole step compiled; with CUDA graphs on a GPU."""
    return _stacked(workload, replicas, "baddbmm", compiled=True)


def baddbmm_one_thread(workload: str, replicas: int, processes: int, shape: list[int] | None) -> Prepared:
    """`baddbmm_compiled` on one thread, for one of several processes that share the stacks; no shape: tries them."""
    maker = _maker(workload, "baddbmm", compiled=True, threads=1)
    groups = groups_of(workload, replicas, mixed=False)

    def balance(shape: tuple[int, int]) -> float:
        return 1 / idling(len(groups) * len(groups[0].variants) * len(groups[0].seeds) // math.prod(shape), processes)

    best = maker.best(groups[0], balance)[0] if shape is None else (shape[0], shape[1])
    return _units(maker, groups, best, replicas)


def idling(stacks: int, processes: int) -> float:
    """How much longer so many stacks take than if they could be shared evenly.

    >>> idling(3, 2)
    1.3333333333333333
    """
    return math.ceil(stacks / processes) * processes / stacks
