"""PyTorch's ways: eager loops over one replica after another, and compiled steps of stacks whose shape is chosen by trial."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import torch_parts as parts
from benchmarks.timing import Prepared, Shape, Unit, fastest, measured, shapes, timed
from benchmarks.ways import SIZE, repeated
from jaxcompare.config.settings import Settings

TRIAL_SECONDS = 0.15


def product() -> Prepared:
    """Operations of PyTorch's product, on all cores: a ceiling."""
    device = parts.start()
    x = torch.rand(SIZE[device.type], SIZE[device.type], device=device)
    out = torch.empty_like(x)
    return repeated(lambda: torch.mm(x, x, out=out), lambda _: parts.synchronize(device), 2 * len(x) ** 3)


class Loop:
    """One replica, trained batch after batch; without `loader` batches are indexed out of tensors, the optimizer fused."""

    def __init__(self, task: parts.Task, settings: Settings, seed: int, *, loader: bool) -> None:
        self.task = task
        modules: list[nn.Module] = []
        for kernel, bias in task.weights(seed):
            linear = nn.Linear(*kernel.shape)
            with torch.no_grad():
                linear.weight.copy_(kernel.T)
                linear.bias.copy_(bias[0])
            modules += [linear, parts.ACTIVATIONS[settings.activation][1]()]
        self.network = nn.Sequential(*modules[:-1]).to(task.device)
        self.loss = {**parts.LOSSES, "cross_entropy": nn.functional.cross_entropy}[settings.loss]
        make, fused = parts.OPTIMIZERS[settings.optimizer][2], None if loader else True
        self.optimizer = make(self.network.parameters(), settings, fused=fused)
        self.loss_sum = torch.zeros((), device=task.device)
        self.batches = self._loaded(seed) if loader else self._indexed(seed)

    def _loaded(self, seed: int) -> Iterator[list[Tensor]]:
        examples = TensorDataset(self.task.x.cpu(), self.task.y.cpu())
        for epoch in itertools.count():
            (order,) = self.task.orders([seed], epoch)
            for batch in DataLoader(examples, self.task.batch_size, sampler=order.tolist(), drop_last=True):
                yield [tensor.to(self.task.device, non_blocking=True) for tensor in batch]

    def _indexed(self, seed: int) -> Iterator[list[Tensor]]:
        for (indices,) in parts.batches(self.task, [seed]):
            yield [self.task.x[indices], self.task.y[indices]]

    def run(self, steps: int) -> None:
        """Train some more steps."""
        for x, y in itertools.islice(self.batches, steps):
            self.optimizer.zero_grad()
            loss = self.loss(self.network(x), y)
            loss.backward()
            self.optimizer.step()
            self.loss_sum += loss.detach()
        parts.synchronize(self.task.device)


def dataloader(workload: str, replicas: int, *, loader: bool = True) -> Prepared:
    """Take a DataLoader's batches one after another, the loop of most tutorials; one replica represents its group."""
    device, groups = parts.start(), parts.groups_of(workload, replicas)
    task = parts.make_task(groups[0].variants[0], device)
    units = [Unit(Loop(task, one.variants[0], 0, loader=loader).run, one.replicas) for one in groups]
    return Prepared(units, replicas, 0.0, f"{torch.get_num_threads()} threads on {device.type}")


def indexed(workload: str, replicas: int) -> Prepared:
    """Index batches out of tensors that stay on the device, with a fused optimizer."""
    return dataloader(workload, replicas, loader=False)


class Stack:
    """Replicas [R], seeds outside and variants inside, trained together by a step of `make_step`."""

    def __init__(self, task: parts.Task, group: parts.Group, step: Callable[..., Any]) -> None:
        self.task, self.step = task, step

        def stacked(each: Sequence[Tensor]) -> Tensor:
            return torch.stack(list(each)).repeat_interleave(len(group.variants), 0).to(task.device)

        initial = zip(*[task.weights(seed) for seed in group.seeds], strict=True)
        layers = [(stacked([kernel for kernel, _ in layer]), stacked([bias for _, bias in layer])) for layer in initial]
        count, _, _ = parts.OPTIMIZERS[group.variants[0].optimizer]
        slots = [[torch.zeros_like(tensor) for _ in range(count)] for tensor in parts.flat(layers)]
        zeros = torch.zeros(group.replicas, device=task.device)
        self.state = parts.State(layers, slots, torch.zeros((), device=task.device), zeros)
        rates = torch.tensor([one.learning_rate for one in group.variants]).repeat(len(group.seeds))
        self.rates = rates[:, None, None].to(task.device)
        self.batches = parts.batches(task, group.seeds)

    def run(self, steps: int) -> None:
        """Train some more steps."""
        for _ in range(steps):
            self.step(self.state, self.task.x, self.task.y, next(self.batches), self.rates)
        parts.synchronize(self.task.device)

    def tensors(self) -> list[Tensor]:
        """List everything that a step reads or writes, except the batches' indices."""
        layers, slots, *rest = self.state
        return [*parts.flat(layers), *parts.flat(slots), *rest, self.task.x, self.task.y, self.rates]


class Maker:
    """Stacks of one layout for one workload; each step is compiled once for a shape."""

    def __init__(self, groups: Sequence[parts.Group], layout: str) -> None:
        self.device, self.layout = parts.start(), layout
        self.task = parts.make_task(groups[0].variants[0], self.device)
        self.steps: dict[tuple, Callable[..., Any]] = {}
        self.seconds: dict[tuple, float] = {}  # of compilation
        torch._dynamo.config.recompile_limit = 256  # each kind and shape is a compilation of its own

    def stack(self, group: parts.Group, shape: Shape) -> tuple[Stack, float]:
        """Return a warm stack of this number of seeds and variants, and the seconds that its step took to compile."""
        key, cuda = (repr(group.variants[0]), shape), self.device.type == "cuda"
        if key not in self.steps:
            step, mode = parts.make_step(self.layout, group.variants[0]), "reduce-overhead" if cuda else None
            self.steps[key] = torch.compile(step, dynamic=False, fullgraph=True, mode=mode)
        stack = Stack(self.task, parts.Group(group.variants[: shape[1]], group.seeds[: shape[0]]), self.steps[key])
        for tensor in (
            stack.tensors() if cuda else ()
        ):  # else CUDA graphs are not used: a step writes into its arguments
            torch._dynamo.mark_static_address(tensor)
        taken = timed(Unit(stack.run), 1)
        return stack, self.seconds.setdefault(key, taken)

    def trial(self, group: parts.Group, shape: Shape) -> float:
        """Return the replica-steps a second of one stack in a short trial."""
        prepared = Prepared([Unit(self.stack(group, shape)[0].run)], math.prod(shape))
        return measured(prepared, 2, TRIAL_SECONDS)["greatest"]


def _stacked(workload: str, replicas: int, layout: str) -> Prepared:
    """Prepare a stack of each group in the shape nearest to the best, representing all stacks of the group."""
    groups = parts.groups_of(workload, replicas)
    maker, units, seconds = Maker(groups, layout), list[Unit](), 0.0
    note = f"{torch.get_num_threads()} threads on {maker.device.type}; seeds x variants at a time:"
    every = [shapes(len(group.seeds), len(group.variants)) for group in groups]
    best = fastest(lambda shape: maker.trial(groups[0], shape), every[0], maker.device.type)
    for group, some in zip(groups, every, strict=True):
        shape = min(some, key=lambda one: abs(math.prod(one) - math.prod(best)))
        stack, taken = maker.stack(group, shape)
        units.append(Unit(stack.run, group.replicas / math.prod(shape)))
        seconds, note = seconds + taken, f"{note} {shape[0]}x{shape[1]}"
    if maker.device.type == "cuda":  # PyTorch continues without them, and only warns
        note += f"; CUDA graphs left out {torch._dynamo.utils.counters['inductor']['cudagraph_skips']} times"
    return Prepared(units, replicas, seconds, note)


def vmap(workload: str, replicas: int) -> Prepared:
    """Use `torch.func.vmap` over stacked replicas, the whole step compiled, with CUDA graphs on a GPU."""
    return _stacked(workload, replicas, "vmap")


def baddbmm(workload: str, replicas: int) -> Prepared:
    """Use batched products written by hand, the whole step compiled, with CUDA graphs on a GPU."""
    return _stacked(workload, replicas, "baddbmm")
