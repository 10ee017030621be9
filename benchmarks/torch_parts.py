"""PyTorch's data, losses, optimizers and functional steps, with the same arithmetic as ours.

Shapes: B examples of a batch, C classes, R replicas, S seeds; `...` is no replica axis or [R]. A layer is a kernel
[..., inputs, outputs] and a bias [..., 1, outputs], so that one update serves both.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.workloads import WORKLOADS, made_up
from jaxcompare import data as datasets
from jaxcompare.config.settings import Settings
from jaxcompare.system.cores import usable_cores

Layers = list[tuple[Tensor, Tensor]]


class Task(NamedTuple):
    """What a replica is trained on."""

    x: Tensor  # [N, D] float32, scaled beforehand
    y: Tensor  # [N] int64
    batch_size: int
    device: torch.device
    weights: Callable[[int], Layers]  # seed -> the initial layers, on the host
    orders: Callable[[Sequence[int], int], Tensor]  # seeds, epoch (from 0) -> orders [S, N] of the examples


class Group(NamedTuple):
    """Variants that one step serves: they differ in the learning rate alone."""

    variants: Sequence[Settings]
    seeds: Sequence[int]

    @property
    def replicas(self) -> int:
        """Seeds times variants."""
        return len(self.variants) * len(self.seeds)


def groups_of(workload: str, replicas: int) -> list[Group]:
    """Split a workload's variants by optimizer, activation and loss: by its only factor beside the rate."""
    (study,) = WORKLOADS[workload].comparison(replicas).studies
    settings = [variant.settings for variant in study.variants]
    by_kind = itertools.groupby(settings, key=lambda one: (one.optimizer, one.activation, one.loss))
    return [Group(tuple(each), study.seeds) for _, each in by_kind]


def start() -> torch.device:
    """Return the device, and use as many threads as cores, or as the environment says."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", usable_cores())))
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")  # TensorFloat32, as our way there
    return torch.device("cuda")


def make_task(settings: Settings, device: torch.device) -> Task:
    """Put the workload's data on the device; PyTorch draws weights and orders."""
    dataset = made_up(settings.dataset)
    examples = datasets.split(dataset, validation_fraction=settings.validation_fraction, seed=settings.data_seed).train
    factor, shift = datasets.scaling(examples.x, settings.input_scaling, dataset.input_max)
    x = torch.from_numpy(examples.x.astype(np.float32) * factor + shift).to(device)
    y = torch.from_numpy(examples.y.astype(np.int64)).to(device)
    widths = (x.shape[1], *settings.hidden, dataset.classes)

    def weights(seed: int) -> Layers:
        generator = torch.Generator().manual_seed(seed)
        return [
            (torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5, torch.zeros(1, outputs))
            for inputs, outputs in itertools.pairwise(widths)
        ]

    def orders(seeds: Sequence[int], epoch: int) -> Tensor:
        if device.type == "cuda":  # all at once on the device: drawn on the host they would take longer than the epoch
            generator = torch.Generator(device).manual_seed(1000 * seeds[0] + epoch)
            return torch.rand(len(seeds), len(y), generator=generator, device=device).argsort(1)
        generators = [torch.Generator().manual_seed(1000 * seed + epoch) for seed in seeds]
        return torch.stack([torch.randperm(len(y), generator=generator) for generator in generators])

    return Task(x, y, settings.batch_size, device, weights, orders)


def batches(task: Task, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Yield indices [S, B] of the batches of each seed, epoch after epoch without end."""
    for epoch in itertools.count():
        orders = task.orders(seeds, epoch)
        for first in range(0, orders.shape[1] - task.batch_size + 1, task.batch_size):
            yield orders[:, first : first + task.batch_size]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean over the batch: [..., B, C], [..., B] -> [...]."""
    return -torch.log_softmax(logits, -1).gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1)


def mse(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean over batch and classes of (softmax(logits) - one-hot)^2: [...]."""
    one_hot = (y.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)).to(logits.dtype)
    return (torch.softmax(logits, -1) - one_hot).square().mean((-1, -2))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cross_entropy": cross_entropy, "mse": mse}
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[], nn.Module]]] = {
    "relu": (torch.relu, nn.ReLU),
    "leaky_relu": (lambda x: functional.leaky_relu(x, 0.01), lambda: nn.LeakyReLU(0.01)),
    "sigmoid": (torch.sigmoid, nn.Sigmoid),
}
# An update takes parameter, gradient, slots, count (1. at the first step), rate [..., 1, 1] and settings, and writes in place.


def _sgd(parameter: Tensor, gradient: Tensor, slots: Any, count: Tensor, rate: Tensor, one: Any) -> None:
    parameter.sub_(rate * gradient)


def _momentum(parameter: Tensor, gradient: Tensor, slots: Any, count: Tensor, rate: Tensor, one: Any) -> None:
    slots[0].mul_(one.momentum).add_(gradient)
    parameter.sub_(rate * slots[0])


def _adamw(parameter: Tensor, gradient: Tensor, slots: Any, count: Tensor, rate: Tensor, one: Any) -> None:
    mean, square = slots
    parameter.mul_(1 - rate * one.weight_decay)
    mean.lerp_(gradient, 1 - one.beta1)
    square.mul_(one.beta2).addcmul_(gradient, gradient, value=1 - one.beta2)
    root = (square / (1 - one.beta2**count)).sqrt_().add_(one.epsilon)
    parameter.sub_(rate / (1 - one.beta1**count) * mean / root)


# name -> the slots that it keeps for a parameter, its update, and PyTorch's own optimizer for one replica
OPTIMIZERS: dict[str, tuple[int, Callable[..., None], Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (0, _sgd, lambda p, one, **kw: torch.optim.SGD(p, one.learning_rate, **kw)),
    "momentum": (1, _momentum, lambda p, one, **kw: torch.optim.SGD(p, one.learning_rate, one.momentum, **kw)),
    "adamw": (
        *(2, _adamw),
        lambda p, o, **kw: torch.optim.AdamW(p, o.learning_rate, (o.beta1, o.beta2), o.epsilon, o.weight_decay, **kw),
    ),
}


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


Gradients = Callable[
    [Layers, Tensor, Tensor], tuple[Any, Tensor]
]  # layers [R], x [S, B, D], y [S, B] -> gradients, losses


def _loss(settings: Settings, product: Callable[..., Tensor]) -> Callable[..., Tensor]:
    (activation, _), loss = ACTIVATIONS[settings.activation], LOSSES[settings.loss]

    def loss_of(layers: Layers, x: Tensor, y: Tensor) -> Tensor:
        for kernel, bias in layers[:-1]:
            x = activation(product(bias, x, kernel))
        return loss(product(layers[-1][1], x, layers[-1][0]), y)

    return loss_of


def _vmap(settings: Settings) -> Gradients:
    one = torch.func.grad_and_value(_loss(settings, torch.addmm))
    over_both = torch.func.vmap(torch.func.vmap(one, in_dims=(0, None, None)))

    def gradients(layers: Layers, x: Tensor, y: Tensor) -> tuple[Any, Tensor]:
        grid = [tuple(tensor.unflatten(0, (len(x), -1)) for tensor in layer) for layer in layers]  # [S, V, ...]
        slopes, losses = over_both(grid, x, y)
        return [tuple(tensor.flatten(0, 1) for tensor in layer) for layer in slopes], losses.flatten()

    return gradients


def _baddbmm(settings: Settings) -> Gradients:
    loss_of = _loss(settings, torch.baddbmm)

    def total(layers: Layers, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        each = loss_of(layers, x, y)
        return each.sum(), each  # no replica sees another, so the sum's gradients are each replica's own

    def gradients(layers: Layers, x: Tensor, y: Tensor) -> tuple[Any, Tensor]:
        variants = len(layers[0][0]) // len(x)
        x = x[:, None].expand(-1, variants, -1, -1).flatten(0, 1)  # a view, without copies, where there is one seed
        y = y[:, None].expand(-1, variants, -1).flatten(0, 1)
        slopes, (_, each) = torch.func.grad_and_value(total, has_aux=True)(layers, x, y)
        return slopes, each

    return gradients


LAYOUTS: dict[str, Callable[[Settings], Gradients]] = {"vmap": _vmap, "baddbmm": _baddbmm}


class State(NamedTuple):
    """Everything that a step changes in place."""

    layers: Layers  # [R, ...]
    slots: list[list[Tensor]]
    count: Tensor  # []
    loss_sum: Tensor  # [R]


def make_step(layout: str, settings: Settings) -> Callable[..., None]:
    """Return `step(state, x, y, indices [S, B], rates [R, 1, 1])`: one step of all replicas, in place."""
    gradients_of, update = LAYOUTS[layout](settings), OPTIMIZERS[settings.optimizer][1]

    def step(state: State, x: Tensor, y: Tensor, indices: Tensor, rates: Tensor) -> None:
        slopes, losses = gradients_of(state.layers, x[indices], y[indices])
        state.count.add_(1)
        state.loss_sum.add_(losses)
        for parameter, slope, own in zip(flat(state.layers), flat(slopes), state.slots, strict=True):
            update(parameter, slope, own, state.count, rates, settings)

    return step


def flat(layers: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """List the tensors of some lists."""
    return [tensor for layer in layers for tensor in layer]
