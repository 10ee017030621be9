"""PyTorch's functional steps: stacked replicas by `torch.func.vmap` or batched products, with hand-written updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import torch_parts as parts
from jaxcompare.config.settings import Settings


class Kind(NamedTuple):
    """What is static in a step."""

    optimizer: str
    activations: tuple[str, ...]
    losses: tuple[str, ...]
    options: tuple[tuple[str, float], ...]


class Numbers(NamedTuple):
    """What a step takes of its replicas: each [...] of the layout."""

    learning_rate: Tensor  # [..., 1, 1]
    activation: Tensor  # index into the kind's
    loss: Tensor


def kind_of(variants: Sequence[Settings]) -> Kind:
    """The kind that serves all of these variants, of one optimizer."""
    options = {tuple(parts.options_of(settings).items()) for settings in variants}
    (optimizer,) = {settings.optimizer for settings in variants}
    (shared,) = options
    activations = tuple(dict.fromkeys(settings.activation for settings in variants))
    losses = tuple(dict.fromkeys(settings.loss for settings in variants))
    return Kind(optimizer, activations, losses, shared)


def _replica_loss(kind: Kind) -> Callable[..., Tensor]:
    activations = [parts.ACTIVATIONS[name] for name in kind.activations]
    losses = [parts.LOSSES[name] for name in kind.losses]

    def replica_loss(layers: parts.Layers, x: Tensor, y: Tensor, activation: Tensor, loss: Tensor) -> Tensor:
        """One replica: x [B, D], y [B] -> []."""
        for kernel, bias in layers[:-1]:
            x = parts.select(activation, activations, torch.addmm(bias, x, kernel))
        return parts.select(loss, losses, torch.addmm(layers[-1][1], x, layers[-1][0]), y)

    return replica_loss


def _single(kind: Kind) -> Callable[..., tuple]:
    """Gradients and loss of one replica: x [1, B, D]."""
    one = torch.func.grad_and_value(_replica_loss(kind))
    return lambda layers, x, y, numbers: one(layers, x[0], y[0], numbers.activation, numbers.loss)


def _vmap(kind: Kind) -> Callable[..., tuple]:
    """Gradients and losses of replicas [S, V]: x [S, B, D]."""
    one = torch.func.grad_and_value(_replica_loss(kind))
    over_variants = torch.func.vmap(one, in_dims=(0, None, None, 0, 0))
    over_seeds = torch.func.vmap(over_variants, in_dims=(0, 0, 0, None, None))
    return lambda layers, x, y, numbers: over_seeds(layers, x, y, numbers.activation, numbers.loss)


def _baddbmm(kind: Kind) -> Callable[..., tuple]:
    """Gradients and losses of replicas [R], seeds outside: x [S, B, D]."""
    activations = [parts.ACTIVATIONS[name] for name in kind.activations]
    losses = [parts.LOSSES[name] for name in kind.losses]

    def total(layers: parts.Layers, x: Tensor, y: Tensor, numbers: Numbers) -> tuple[Tensor, Tensor]:
        for kernel, bias in layers[:-1]:
            x = parts.select(numbers.activation[:, None, None], activations, torch.baddbmm(bias, x, kernel))
        each = parts.select(numbers.loss, losses, torch.baddbmm(layers[-1][1], x, layers[-1][0]), y)
        return each.sum(), each  # no replica sees another: the gradients are each one's own

    def gradients(layers: parts.Layers, x: Tensor, y: Tensor, numbers: Numbers) -> tuple:
        per_seed = layers[0][0].shape[0] // x.shape[0]
        # A view where there is one seed: its variants then share the batch without copies.
        x = x[:, None].expand(-1, per_seed, -1, -1).reshape(-1, *x.shape[1:])
        y = y[:, None].expand(-1, per_seed, -1).reshape(-1, y.shape[1])
        found, (_, each) = torch.func.grad_and_value(total, has_aux=True)(layers, x, y, numbers)
        return found, each

    return gradients


# name -> gradients of a kind, and whether replicas are laid out [S, V] (True), [R] (False) or not at all (None)
LAYOUTS: dict[str, tuple[Callable[[Kind], Callable[..., tuple]], bool | None]] = {
    "single": (_single, None),
    "vmap": (_vmap, True),
    "baddbmm": (_baddbmm, False),
}


def make_step(layout: str, kind: Kind) -> Callable[..., None]:
    """`step(layers, slots, count, loss_sum, x, y, indices, numbers)`: one step of all replicas, in place."""
    gradients_of = LAYOUTS[layout][0](kind)
    _, update = parts.UPDATES[kind.optimizer]
    options = dict(kind.options)

    def step(
        layers: parts.Layers,
        slots: list[list[Tensor]],
        count: Tensor,
        loss_sum: Tensor,
        x: Tensor,
        y: Tensor,
        indices: Tensor,
        numbers: Numbers,
    ) -> None:
        gradients, losses = gradients_of(layers, x[indices], y[indices], numbers)
        count.add_(1)
        loss_sum.add_(losses)
        rates = parts.Rates(numbers.learning_rate, options)
        flat = zip(_flat(layers), _flat(gradients), slots, strict=True)
        for parameter, gradient, own in flat:
            update(parameter, gradient, own, count, rates)

    return step


def _flat(layers: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [tensor for layer in layers for tensor in layer]


class Stack:
    """Replicas seeds x variants of one kind, trained together.

    Args:
        task: what is trained on.
        variants: all of one kind.
        seeds: of weights and orders; variants of one seed share its batches.
        layout: a key of `LAYOUTS`.
        step: of `make_step`, or that compiled.
    """

    def __init__(
        self,
        task: parts.Task,
        variants: Sequence[Settings],
        seeds: Sequence[int],
        layout: str,
        step: Callable[..., Any],
    ) -> None:
        self.task, self.step, self.seeds, self.kind = task, step, list(seeds), kind_of(variants)
        grid, device = LAYOUTS[layout][1], task.device
        axes = {None: (), True: (len(seeds), len(variants)), False: (len(seeds) * len(variants),)}[grid]

        def stacked(each: Sequence[Tensor]) -> Tensor:
            repeated = torch.stack(list(each)).repeat_interleave(len(variants), 0)
            return repeated.reshape(*axes, *each[0].shape).to(device)

        initial = [task.weights(seed) for seed in seeds]
        self.layers = [
            (stacked([one[i][0] for one in initial]), stacked([one[i][1] for one in initial]))
            for i in range(len(initial[0]))
        ]
        slots, _ = parts.UPDATES[self.kind.optimizer]
        self.slots = [[torch.zeros_like(tensor) for _ in range(slots)] for tensor in _flat(self.layers)]
        self.count = torch.zeros((), device=device)
        self.loss_sum = torch.zeros(axes, device=device)
        self.numbers = _numbers(variants, self.kind, len(seeds), grid, device)
        self.batches: Iterator[Tensor] = parts.batches(task, seeds)

    def run(self, steps: int) -> None:
        """So many steps more."""
        task = self.task
        for _ in range(steps):
            arguments = (self.layers, self.slots, self.count, self.loss_sum, task.x, task.y, next(self.batches))
            self.step(*arguments, self.numbers)
        parts.synchronize(task.device)

    def tensors(self) -> list[Tensor]:
        """All that a step reads or writes, but for the batches' indices."""
        slots = [slot for each in self.slots for slot in each]
        return [*_flat(self.layers), *slots, self.count, self.loss_sum, self.task.x, self.task.y, *self.numbers]


def _numbers(variants: Sequence[Settings], kind: Kind, seeds: int, grid: bool | None, device: torch.device) -> Numbers:
    rates = torch.tensor([settings.learning_rate for settings in variants])
    activation = torch.tensor([kind.activations.index(settings.activation) for settings in variants])
    loss = torch.tensor([kind.losses.index(settings.loss) for settings in variants])
    if grid is None:
        each = (rates[0], activation[0], loss[0])
    elif grid:
        each = (rates[None, :, None, None], activation, loss)
    else:
        each = (rates.repeat(seeds)[:, None, None], activation.repeat(seeds), loss.repeat(seeds))
    return Numbers(*(one.to(device) for one in each))
