"""Which variants train together: programs (one executable each) and their tiles. Standard library only.

What is traced and what is static is decided here, and only here. A config lists factors; those that a program can take as
numbers (rates, decay, clipping, smoothing, and the choice of loss, activation and schedule by index) share one program, the
others split it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jaxcompare.config import names
from jaxcompare.config.experiment import Comparison, Study, Variant, choices, label
from jaxcompare.config.registry import is_plugin
from jaxcompare.config.settings import OPTIONS, Settings

# One program for each value of these. The data set is among them because its shapes are; two sets of one shape and one
# recipe still share the executable, which is looked up by recipe and shapes.
STATIC = (
    "dataset", "validation_fraction", "data_seed", "samples", "test_samples", "noise", "factor", "input_scaling",
    "model", "hidden", "channels", "kernel_size", "init", "init_scale", "bias_init", "remat", "optimizer", "batch_size",
    "micro_batches", "epochs", "precision", "matmul_precision", *names.LOSS_SCALING,
    "train_subset", "probe_size", "evaluate_every", "measure_every", "snapshots",
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """Variants of one study that one executable trains."""

    comparison: str
    study: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    losses: tuple[str, ...]  # what the variants' indices point into
    activations: tuple[str, ...]
    schedules: tuple[str, ...]
    optimizer_options: tuple[str, ...]  # traced; the others are at their defaults in all variants, and constants
    schedule_options: tuple[str, ...]
    clip: bool
    distinct: str = ""  # in words, the static values by which it differs from the study's other programs

    @property
    def settings(self) -> Settings:
        """What all variants share (the rest is the first one's)."""
        return self.variants[0].settings

    @property
    def own_functions(self) -> list[str]:
        """Names of the functions that are a user's own."""
        return [
            name
            for name in (self.settings.optimizer, *self.losses, *self.activations, *self.schedules)
            if is_plugin(name)
        ]

    @property
    def name(self) -> str:
        """For people: the comparison, and what this program has for itself."""
        study = [self.study] if self.study not in ("main", self.settings.dataset) else []
        parts = [self.settings.dataset, *study, self.settings.optimizer, *self.activations]
        return " ".join([self.comparison.upper(), *parts, *([self.distinct] if self.distinct else [])])


@dataclass(frozen=True)
class Tile:
    """Seeds x variants of one program, of the program's one shape; short ones are padded by repeating the last."""

    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]


def programs_of(comparison: Comparison) -> list[Program]:
    """A comparison's programs, in the order of its studies."""
    found = []
    for study in comparison.studies:
        groups: dict[str, list[Variant]] = {}
        for variant in study.variants:
            groups.setdefault(_static_key(variant.settings), []).append(variant)
        firsts = [group[0].settings for group in groups.values()]
        named = ("dataset", "optimizer")  # stand in a program's name anyway
        apart = [key for key in STATIC if key not in named and _split_by(key, firsts)]
        for group in groups.values():
            distinct = label(group[0].settings, apart) if apart else ""
            found.append(replace(_program(comparison.name, study, tuple(group)), distinct=distinct))
    return _named_apart(found)


def _split_by(key: str, everything: Sequence[Settings]) -> bool:
    """Whether a key has several values, beyond what follows from the precision."""
    found = {(settings.precision, repr(getattr(settings, key))) for settings in everything}
    least = len({settings.precision for settings in everything}) if key in names.LOSS_SCALING else 1
    return len({value for _, value in found}) > 1 and len(found) > least


def _named_apart(programs: Sequence[Program]) -> list[Program]:
    """With a number where two have one name (users' own losses split programs, say): tables know programs by name."""
    names = [program.name for program in programs]
    return [
        replace(program, distinct=f"{program.distinct} ({names[:place].count(name) + 1})".strip())
        if names.count(name) > 1
        else program
        for place, (program, name) in enumerate(zip(programs, names, strict=True))
    ]


def _static_key(settings: Settings) -> str:
    values: list[Any] = [getattr(settings, key) for key in STATIC]
    # A user's own function may not mind its neighbours' numbers as ours are tested to do: it gets a program to itself.
    values += [
        getattr(settings, key)
        for key, builtin in (
            ("activation", names.ACTIVATIONS),
            ("loss", names.LOSSES),
            ("schedule", tuple(names.SCHEDULES)),
        )
        if getattr(settings, key) not in builtin
    ]
    # What an optimizer of one's own is not given takes its default, which is not ours to know.
    given = [key for key in OPTIONS["optimizer"][1] if getattr(settings, key) is not None]
    values.append(given if settings.optimizer not in names.OPTIMIZERS else [])
    return repr([*values, sorted(settings.options)])


def _program(comparison: str, study: Study, variants: tuple[Variant, ...]) -> Program:
    everything = [variant.settings for variant in variants]

    def distinct(key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(getattr(settings, key) for settings in everything))

    return Program(
        comparison,
        study.name,
        variants,
        study.seeds,
        distinct("loss"),
        distinct("activation"),
        distinct("schedule"),
        (*_traced(everything, "optimizer"), *everything[0].options),
        _traced(everything, "schedule"),
        any(settings.clip_norm < math.inf for settings in everything),
    )


def split_by(program: Program, key: str) -> list[Program]:
    """A program as several, one for each value that its variants have for `key`: `activation`, `loss` or `schedule`."""
    plural = {"activation": "activations", "loss": "losses", "schedule": "schedules"}[key]

    def part(value: str) -> Program:
        kept = tuple(variant for variant in program.variants if getattr(variant.settings, key) == value)
        named: dict[str, Any] = {plural: (value,)}
        return replace(program, variants=kept, **named)

    return [part(value) for value in getattr(program, plural)]


def _traced(everything: Iterable[Settings], kind: str) -> tuple[str, ...]:
    """The options that some variant has at another value than the default."""
    members, keys = OPTIONS[kind]
    everything = list(everything)
    if getattr(everything[0], kind) not in members:  # a user's own: a program to itself, which takes what it is given
        return tuple(key for key in keys if getattr(everything[0], key) is not None)
    return tuple(
        key
        for key in keys
        if any(
            getattr(settings, key) is not None and getattr(settings, key) != members[getattr(settings, kind)][key]
            for settings in everything
            if getattr(settings, kind) in members
        )
    )


def tile_shape(variants: int, seeds: int, replicas: int, *, at_once: int = 1) -> tuple[int, int]:
    """Seeds and variants of a tile: at most `replicas` of them, so that the whole takes the least time.

    Variants come first, and seeds only fill what they leave: a study that is given more seeds then keeps its tiles (unless it
    has very few replicas), and trains only the new ones. A tile's step is taken to cost as much as its replicas and one more.
    The number of devices plays no part, so that a replica's numbers do not depend on it; only that a kind of
    device comes in twos or more does.

    Args:
        variants: of the program.
        seeds: of the study.
        replicas: as many as a tile may hold.
        at_once: tiles that any machine of this kind trains side by side; where there are fewer, they are made smaller.

    >>> tile_shape(variants=10, seeds=5, replicas=6)
    (1, 5)
    >>> tile_shape(variants=3, seeds=1, replicas=6, at_once=2)
    (1, 2)
    """

    def cost(per_seed: int, width: int) -> float:
        tiles = math.ceil(variants / width) * math.ceil(seeds / per_seed)
        # Of many tiles the last round's empty places do not count: so more seeds do not change the shape.
        rounds = math.ceil(tiles / at_once) if tiles <= 2 * at_once else tiles / at_once
        return rounds * (per_seed * width + 1)

    width = min(range(1, min(variants, replicas) + 1), key=lambda width: cost(1, width), default=1)
    most = min(seeds, replicas // width) if width == variants else 1
    return min(range(1, most + 1), key=lambda per_seed: cost(per_seed, width), default=1), width


def tiles_of(program: Program, shape: tuple[int, int]) -> list[Tile]:
    """A program's tiles of one shape, the last ones perhaps short."""
    per_seed, per_variant = shape
    return [
        Tile(program.seeds[i : i + per_seed], program.variants[j : j + per_variant])
        for i in range(0, len(program.seeds), per_seed)
        for j in range(0, len(program.variants), per_variant)
    ]


def parameters(settings: Settings, features: int, classes: int) -> int:
    """How many numbers the network has."""
    return sum((layer.inputs + 1) * layer.units for layer in layers(settings, features, classes))


def operations(settings: Settings, features: int, classes: int) -> int:
    """How many multiplications (each with its addition) one example takes through the network."""
    return sum((layer.inputs + 1) * layer.units * layer.positions for layer in layers(settings, features, classes))


class LayerShape(NamedTuple):
    """A layer's kernel, and how often it is applied to one example."""

    name: str
    inputs: int  # weights that end in one unit
    units: int
    positions: int  # of a convolution the pixels, else 1


def layers(settings: Settings, features: int, classes: int) -> list[LayerShape]:
    """The network's layers, first to last: `conv_1` .., `hidden_1` .., `output`."""
    found = []
    inputs, side = features, math.isqrt(features)
    depth = 1  # images are grey
    for number, channels in enumerate(settings.channels or (), start=1):
        found.append(LayerShape(f"conv_{number}", (settings.kernel_size or 1) ** 2 * depth, channels, side * side))
        depth, side = channels, side // 2
        inputs = side * side * depth
    widths = [inputs, *settings.hidden, classes]
    names = [*(f"hidden_{number}" for number in range(1, len(settings.hidden) + 1)), "output"]
    return found + [
        LayerShape(name, fan_in, units, 1)
        for name, (fan_in, units) in zip(names, itertools.pairwise(widths), strict=True)
    ]


def snapshot_epochs(settings: Settings) -> tuple[int, ...]:
    """The epochs at which units and histograms are kept: the first, the last and some evenly between."""
    count = min(settings.snapshots, settings.epochs + 1)
    return tuple(sorted({round(settings.epochs * i / (count - 1)) for i in range(count)}))


def layer_epochs(settings: Settings) -> tuple[int, ...]:
    """The epochs at which the layers are measured: every `measure_every`-th, the snapshots' and the last."""
    regular = range(0, settings.epochs + 1, settings.measure_every)
    return tuple(sorted({*regular, *snapshot_epochs(settings), settings.epochs}))


def evaluated_epochs(settings: Settings) -> tuple[int, ...]:
    """The epochs that are evaluated on the splits: every `evaluate_every`-th, and those at which layers are measured."""
    return tuple(sorted({*range(0, settings.epochs + 1, settings.evaluate_every), *layer_epochs(settings)}))


def identity(program: Program, tile: Tile) -> dict[str, Any]:
    """All of the config that decides a tile's numbers, for finding them again."""
    return {
        "seeds": tile.seeds,
        "variants": [choices(variant.settings) for variant in tile.variants],
        "program": {
            key: getattr(program, key)
            for key in ("losses", "activations", "schedules", "optimizer_options", "schedule_options", "clip")
        },
    }
