"""Arithmetic about the built-in networks: layers, parameters, operations. Standard library only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxcompare.config.settings import Settings


class LayerShape(NamedTuple):
    """A layer's kernel, and how often the kernel is applied to one example."""

    name: str
    inputs: int  # weights that end in one unit
    units: int
    positions: int  # pixels of a convolution, else 1


def layers(settings: Settings, features: int | Sequence[int], classes: int) -> list[LayerShape]:
    """Return the network's layers, first to last: `conv_1` .., `hidden_1` .., `output`.

    `features` is the shape of an example, or the number of its features; flat images are square and grey.
    """
    shapes = []
    shape = (features,) if isinstance(features, int) else tuple(features)
    inputs = math.prod(shape)
    side = math.isqrt(inputs)
    height, width, depth = (side, side, 1) if len(shape) == 1 else (*shape, 1)[:3]
    for number, channels in enumerate(settings.channels or (), start=1):
        shapes.append(LayerShape(f"conv_{number}", (settings.kernel_size or 1) ** 2 * depth, channels, height * width))
        depth, height, width = channels, height // 2, width // 2
        inputs = height * width * depth
    widths = [inputs, *settings.hidden, classes]
    names = [*(f"hidden_{number}" for number in range(1, len(settings.hidden) + 1)), "output"]
    return shapes + [
        LayerShape(name, fan_in, units, 1)
        for name, (fan_in, units) in zip(names, itertools.pairwise(widths), strict=True)
    ]


def parameters(settings: Settings, features: int | Sequence[int], classes: int) -> int:
    """Count the network's parameters."""
    return sum((layer.inputs + 1) * layer.units for layer in layers(settings, features, classes))


def operations(settings: Settings, features: int | Sequence[int], classes: int) -> int:
    """Count the multiplications (each with its addition) that one example takes through the network."""
    return sum((layer.inputs + 1) * layer.units * layer.positions for layer in layers(settings, features, classes))
