"""How much memory a program needs, and how much there is. Standard library only: arithmetic, and one question to the device."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxcompare.config.errors import ConfigError
from jaxcompare.system.memory import free_ram

NUMBER = 4  # bytes of a float32

# Arithmetic counts what the program must hold; XLA's copies, fusions and layouts it cannot know. Where so many times its
# figure is free, it is not asked (measured against arithmetic: docs/performance.md).
FAR_BELOW = 4

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Cost(NamedTuple):
    """Bytes of a program on one device: linear in the replicas of a tile."""

    shared: int  # once a device: the data set
    replica: int  # each replica

    def of(self, replicas: int) -> int:
        """Bytes of so many replicas."""
        return self.shared + self.replica * replicas


class Footprint(NamedTuple):
    """What is known of a planned program's memory."""

    planned_bytes: int | None  # of a tile and the data set on a device; None: found by trying
    free_bytes: int | None  # of the device for this program when it was planned; None: the device does not say
    how: str  # "arithmetic", "compiled" (read off two compiled programs), or "memory ran out" with a wider tile


def estimate(*, outputs: Sequence[int], parameters: int, examples: int, evaluated: int, state: int, data: int) -> Cost:
    """The bytes of a program by arithmetic.

    Args:
        outputs: numbers that one example is, and becomes in each layer: features, units (times positions), classes.
        parameters: of the network.
        examples: of the largest batch that a gradient is taken on: a micro-batch, or the probe.
        evaluated: examples that are evaluated at once.
        state: bytes of one replica's carry, parameters and optimizer slots among them.
        data: bytes of the data set.
    """
    # A layer's pre-activation, its activation and the gradient of one of them; the features twice, raw and scaled.
    trained = (2 * outputs[0] + 3 * sum(outputs[1:])) * examples
    forward = 2 * max(map(sum, itertools.pairwise(outputs))) * evaluated  # of which no layer is kept
    # The gradients, and the updates made of them; the state twice, as it is and as it will be.
    return Cost(data, 2 * state + (max(trained, forward) + 2 * parameters) * NUMBER)


def through_two(few: tuple[int, int], more: tuple[int, int]) -> Cost:
    """The cost through two measurements (replicas, bytes).

    >>> through_two((1, 110), (2, 120)).of(5)
    150
    """
    replica = max(0, -(-(more[1] - few[1]) // (more[0] - few[0])))
    return Cost(max(0, few[1] - replica * few[0]), replica)


def halve(shape: tuple[int, int]) -> tuple[int, int] | None:
    """A tile's shape with half as many seeds, or half as many variants where there is one seed; None for one replica.

    >>> halve((3, 5)), halve((1, 5)), halve((1, 1))
    ((2, 5), (1, 3), None)
    """
    seeds, variants = shape
    if seeds > 1:
        return -(-seeds // 2), variants
    return (1, -(-variants // 2)) if variants > 1 else None


def powers_of_two(least: int, most: int) -> list[int]:
    """The powers of two from `most` down to `least`.

    >>> powers_of_two(3, 40)
    [32, 16, 8, 4]
    """
    return [2**power for power in range(int(math.log2(max(1, most))), -1, -1) if least <= 2**power <= most]


def parse_bytes(text: str, where: str = "--memory") -> int:
    """Bytes from `2G`, `512M` or a plain number; units are powers of 1024.

    Raises:
        ConfigError: it is no such thing, or nothing at all.

    >>> parse_bytes("1.5K")
    1536
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise ConfigError(f"{where} {text}: is not an amount of memory, 2G or 512M say")
    return size


def free_bytes(devices: Sequence[Any]) -> int | None:
    """What is free on each of these devices, the fullest of them; CPU devices share the RAM. None: they do not say."""
    if devices[0].platform == "cpu":
        free = free_ram()
        return None if free is None else free // len(devices)
    statistics = [device.memory_stats() or {} for device in devices]
    if any("bytes_limit" not in one for one in statistics):
        return None
    return min(one["bytes_limit"] - one.get("bytes_in_use", 0) for one in statistics)
