"""PyTorch's eager ways: one replica after another, each a module with an optimizer of PyTorch's own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from benchmarks import torch_parts as parts
from benchmarks.measured import Prepared, Unit
from benchmarks.workloads import WORKLOADS
from jaxcompare.config.settings import Settings

_MODULES = {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(0.01), "sigmoid": nn.Sigmoid}


class _Order(Sampler):
    """An epoch's order, another one each epoch; what RandomSampler costs."""

    def __init__(self, task: parts.Task, seed: int) -> None:
        self.task, self.seed, self.epoch = task, seed, 0

    def __iter__(self) -> Iterator[int]:
        (order,) = self.task.orders([self.seed], self.epoch)
        self.epoch += 1
        yield from order.tolist()

    def __len__(self) -> int:
        return len(self.task.y)


class Loop:
    """One replica, trained batch after batch.

    Args:
        task: what is trained on.
        settings: the variant.
        seed: of weights and orders.
        loader: with a DataLoader; else batches are indexed out of the tensors, and the optimizer is fused.
    """

    def __init__(self, task: parts.Task, settings: Settings, seed: int, *, loader: bool) -> None:
        self.task, self.loss = task, parts.LOSSES[settings.loss]
        modules: list[nn.Module] = []
        for kernel, bias in task.weights(seed):
            linear = nn.Linear(*kernel.shape)
            with torch.no_grad():
                linear.weight.copy_(kernel.T)
                linear.bias.copy_(bias[0])
            modules += [linear, _MODULES[settings.activation]()]
        self.network = nn.Sequential(*modules[:-1]).to(task.device)
        if settings.loss == "cross_entropy":
            self.loss = nn.functional.cross_entropy
        self.optimizer = parts.make_optimizer(self.network.parameters(), settings, fused=not loader)
        self.loss_sum = torch.zeros((), device=task.device)
        self.batches = self._loaded(seed) if loader else self._indexed(seed)

    def _loaded(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        task = self.task
        examples = TensorDataset(task.x.cpu(), task.y.cpu())
        loader = DataLoader(examples, task.batch_size, sampler=_Order(task, seed), drop_last=True)
        while True:
            for x, y in loader:
                yield x.to(task.device, non_blocking=True), y.to(task.device, non_blocking=True)

    def _indexed(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        for (indices,) in parts.batches(self.task, [seed]):
            yield self.task.x[indices], self.task.y[indices]

    def run(self, steps: int) -> None:
        """So many steps more."""
        for _ in range(steps):
            x, y = next(self.batches)
            self.optimizer.zero_grad()
            loss = self.loss(self.network(x), y)
            loss.backward()
            self.optimizer.step()
            self.loss_sum += loss.detach()
        parts.synchronize(self.task.device)

    def layers(self) -> parts.Layers:
        """Kernels [inputs, outputs] and biases [1, outputs]."""
        linear = [module for module in self.network if isinstance(module, nn.Linear)]
        return [(module.weight.detach().T, module.bias.detach()[None]) for module in linear]


def _prepare(workload: str, replicas: int, *, loader: bool) -> Prepared:
    device, start = parts.start(), time.perf_counter()
    study = WORKLOADS[workload].single().studies[0]
    task = parts.make_task(study.variants[0].settings, device)
    load_seconds = time.perf_counter() - start
    count = replicas / len(study.variants)
    units = [Unit(Loop(task, variant.settings, 0, loader=loader).run, count) for variant in study.variants]
    return Prepared(units, replicas, 0.0, load_seconds, f"{torch.get_num_threads()} threads on {device.type}")


def dataloader(workload: str, replicas: int) -> Prepared:
    """A DataLoader's batches one after another: the loop of most tutorials."""
    return _prepare(workload, replicas, loader=True)


def indexed(workload: str, replicas: int) -> Prepared:
    """Batches indexed out of tensors that stay on the device, and a fused optimizer."""
    return _prepare(workload, replicas, loader=False)
