"""What PyTorch's ways share: data, networks, losses and optimizers with the same arithmetic as ours.

Shapes: B examples of a batch, C classes, R replicas; `...` is no replica axis, [R] or [S, V] (seeds, variants). A layer is a
kernel [..., inputs, outputs] and a bias [..., 1, outputs], so that one update serves both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.workloads import SHAPES, made_up
from jaxcompare import data as datasets
from jaxcompare.config.settings import Settings
from jaxcompare.system.cores import usable_cores

Layers = list[tuple[Tensor, Tensor]]


class Task(NamedTuple):
    """What is trained on, and from where."""

    x: Tensor  # [N, D] float32, scaled beforehand
    y: Tensor  # [N] int64
    batch_size: int
    device: torch.device
    weights: Callable[[int], Layers]  # seed -> the initial layers, on the host
    # seeds, epoch (from 0) -> orders [S, N] of the examples, on the device
    orders: Callable[[Sequence[int], int], Tensor]


def start(threads: int | None = None) -> torch.device:
    """The device, with as many threads as there are cores, or as many as are wanted."""
    torch.set_num_threads(threads or usable_cores())
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # as JAX does by default there
        return torch.device("cuda")
    return torch.device("cpu")


def make_task(settings: Settings, device: torch.device) -> Task:
    """The workload's data on the device, with weights and orders drawn by PyTorch."""
    dataset = made_up(settings.dataset)
    examples = datasets.split(dataset, validation_fraction=settings.validation_fraction, seed=settings.data_seed).train
    factor, shift = datasets.scaling(examples.x, settings.input_scaling, dataset.input_max)
    x = torch.from_numpy(examples.x.astype(np.float32) * factor + shift).to(device)
    y = torch.from_numpy(examples.y.astype(np.int64)).to(device)
    shape = SHAPES[settings.dataset]
    widths = (shape.features, *settings.hidden, shape.classes)

    def weights(seed: int) -> Layers:
        generator = torch.Generator().manual_seed(seed)
        return [
            (torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5, torch.zeros(1, outputs))
            for inputs, outputs in itertools.pairwise(widths)
        ]

    def orders(seeds: Sequence[int], epoch: int) -> Tensor:
        if device.type == "cuda":  # all at once, and there: drawing them on the host would take longer than the epoch
            generator = torch.Generator(device).manual_seed(1000 * seeds[0] + epoch)
            return torch.rand(len(seeds), len(y), generator=generator, device=device).argsort(1)
        generators = [torch.Generator().manual_seed(1000 * seed + epoch) for seed in seeds]
        return torch.stack([torch.randperm(len(y), generator=generator) for generator in generators])

    return Task(x, y, settings.batch_size, device, weights, orders)


def batches(task: Task, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Indices [S, B] of the batches of each seed, epoch after epoch without end."""
    epoch = 0
    while True:
        orders = task.orders(seeds, epoch)
        for first in range(0, orders.shape[1] - task.batch_size + 1, task.batch_size):
            yield orders[:, first : first + task.batch_size]
        epoch += 1


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """[..., B, C], [..., B] -> the mean over the batch [...]."""
    return -torch.log_softmax(logits, -1).gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1)


def mse(logits: Tensor, y: Tensor) -> Tensor:
    """The mean over batch and classes of (softmax(logits) - one-hot)^2: [...]."""
    one_hot = (y.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)).to(logits.dtype)
    return (torch.softmax(logits, -1) - one_hot).square().mean((-1, -2))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cross_entropy": cross_entropy, "mse": mse}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.01),
    "sigmoid": torch.sigmoid,
}


def select(index: Tensor | None, functions: Sequence[Callable[..., Tensor]], *arguments: Tensor) -> Tensor:
    """`functions[index](*arguments)` for an index that broadcasts against the result; a single function is just called."""
    result = functions[0](*arguments)
    for position, function in enumerate(functions[1:], start=1):
        result = torch.where(index == position, function(*arguments), result)
    return result


class Rates(NamedTuple):
    """An optimizer's numbers: a learning rate [..., 1, 1] for each replica, and the options, the same for all."""

    learning_rate: Tensor
    options: dict[str, float]


Update = Callable[[Tensor, Tensor, Sequence[Tensor], Tensor, Rates], None]


def _sgd(parameter: Tensor, gradient: Tensor, slots: Sequence[Tensor], count: Tensor, rates: Rates) -> None:
    parameter.sub_(rates.learning_rate * gradient)


def _momentum(parameter: Tensor, gradient: Tensor, slots: Sequence[Tensor], count: Tensor, rates: Rates) -> None:
    (velocity,) = slots
    velocity.mul_(rates.options["momentum"]).add_(gradient)
    parameter.sub_(rates.learning_rate * velocity)


def _adam(parameter: Tensor, gradient: Tensor, slots: Sequence[Tensor], count: Tensor, rates: Rates) -> None:
    (mean, square), options = slots, rates.options
    mean.lerp_(gradient, 1 - options["beta1"])
    square.mul_(options["beta2"]).addcmul_(gradient, gradient, value=1 - options["beta2"])
    root = (square / (1 - options["beta2"] ** count)).sqrt_().add_(options["epsilon"])
    size = rates.learning_rate / (1 - options["beta1"] ** count)
    parameter.sub_(size * mean / root)


def _adamw(parameter: Tensor, gradient: Tensor, slots: Sequence[Tensor], count: Tensor, rates: Rates) -> None:
    parameter.mul_(1 - rates.learning_rate * rates.options["weight_decay"])
    _adam(parameter, gradient, slots, count, rates)


# name -> how many slots it keeps for a parameter, and its update, which writes in place. `count` is 1. at the first step.
UPDATES: dict[str, tuple[int, Update]] = {"sgd": (0, _sgd), "momentum": (1, _momentum), "adamw": (2, _adamw)}


def options_of(settings: Settings) -> dict[str, float]:
    """The optimizer's own options."""
    names = ("momentum", "beta1", "beta2", "epsilon", "weight_decay")
    return {name: value for name in names if (value := getattr(settings, name)) is not None}


def make_optimizer(parameters: Any, settings: Settings, *, fused: bool) -> torch.optim.Optimizer:
    """PyTorch's own optimizer of the same arithmetic, for one replica."""
    options = options_of(settings)
    if settings.optimizer == "adamw":
        betas, decay = (options["beta1"], options["beta2"]), options["weight_decay"]
        return torch.optim.AdamW(
            parameters, settings.learning_rate, betas, options["epsilon"], decay, fused=fused or None
        )
    velocity = options.get("momentum", 0.0)
    return torch.optim.SGD(parameters, settings.learning_rate, velocity, fused=fused or None)


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
