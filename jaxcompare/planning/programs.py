"""Which variants train together: programs (one executable each) and their tiles.

Programs alone decide what is traced and what is static. A config lists factors. Factors that a program can take as numbers
(rates, decay, clipping, smoothing, and the choice of loss, activation and schedule by index) share one program; the others
split programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from jaxcompare import data as datasets
from jaxcompare.config import names
from jaxcompare.config.comparison import Comparison, Study, Variant, choices, label
from jaxcompare.config.errors import ConfigError, every
from jaxcompare.config.limits import MOST_STEPS
from jaxcompare.config.registry import is_plugin
from jaxcompare.config.settings import OPTION_TABLES, OPTIONS, Settings, keys_of
from jaxcompare.data.loading import data_key
from jaxcompare.planning import options
from jaxcompare.planning.material import Material, make_material
from jaxcompare.planning.networks import operations, parameters

# One program for each value of these. The data set is among them because its shapes are. Two sets of one shape and one
# recipe still share the executable, which is looked up by recipe and shapes.
STATIC = keys_of("data", "static", "static.length", "static.precision", "static.loss_scale", "measuring")
MATERIAL = keys_of("data", "measuring.examples")  # the settings that decide a data set's Material

# How many replicas of a network train best side by side on one device, by the network's number of parameters. More amortise
# the fixed cost of a step, fewer keep weights and optimizer state in the cache (on two CPU cores: docs/performance.md).
TILES_AT_ONCE = {"cpu": 2}  # a CPU has two cores or more, of other kinds there may be one device
TILE_REPLICAS = {"cpu": ((20_000, 6), (math.inf, 1)), "gpu": ((100_000, 512), (1_000_000, 128), (math.inf, 2))}

# The estimated time of a replica's step on one CPU core: operations at this rate, and a fixed cost. Measured on two cores
# (docs/performance.md); elsewhere a rough guide. Progress needs only the proportion between programs.
CORE_OPERATIONS_A_SECOND = 65e9
STEP_SECONDS = 1.5e-4
# Where one seed of a program takes longer than this on a CPU core, each activation gets a program of its own. Under vmap a
# choice between three activations is computed three times; a tenth to a fifth of the time pays for two more compilations. The
# time of one seed decides, so that more seeds change nothing. Other kinds of device: not measured.
SECONDS_TO_SPLIT = {"cpu": 2.0}
STEPS_A_SEGMENT = 400  # tiny epochs share a segment of about this many steps, so that they do not each cost a call


@dataclass(frozen=True)
class Tile:
    """Seeds x variants of one program, of the program's one shape; short tiles are padded by repeating the last."""

    program: Program
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]

    @property
    def replicas(self) -> int:
        """The number of replicas, without padding."""
        return len(self.seeds) * len(self.variants)

    @property
    def step_seconds(self) -> float:
        """Estimate the time of one step of all replicas on one CPU core, measurements included."""
        return self.replicas * self.program.step_seconds

    @property
    def seconds(self) -> float:
        """Estimate the time of the whole training on one CPU core."""
        return self.program.total_steps * self.step_seconds


@dataclass(frozen=True, eq=False)
class Program:
    """Variants of one study that one executable trains, with their data and the shape of their tiles."""

    comparison: str
    study: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    losses: tuple[str, ...]  # the variants' indices point into these
    activations: tuple[str, ...]
    schedules: tuple[str, ...]
    optimizer_options: tuple[str, ...]  # traced; the others are at their defaults in all variants, and constants
    schedule_options: tuple[str, ...]
    loss_options: tuple[str, ...]
    activation_options: tuple[str, ...]
    clip: bool
    material: Material
    platform: str  # the kind of device: "cpu", "gpu", ...
    shape: tuple[int, int] = (1, 1)  # seeds and variants of a tile
    distinct: str = ""  # in words: the static settings that no other program of the study shares

    @property
    def settings(self) -> Settings:
        """The settings that all variants share (the rest is the first variant's)."""
        return self.variants[0].settings

    @property
    def custom_functions(self) -> list[str]:
        """Names of the user's own functions."""
        names_used = (self.settings.optimizer, *self.losses, *self.activations, *self.schedules)
        return [name for name in names_used if is_plugin(name)]

    @property
    def name(self) -> str:
        """For people: the comparison, and what distinguishes the program."""
        study = [self.study] if self.study not in ("main", self.settings.dataset) else []
        parts = [self.settings.dataset, *study, self.settings.optimizer, *self.activations]
        return " ".join([self.comparison.upper(), *parts, *([self.distinct] if self.distinct else [])])

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """Every seed and variant in tiles of the program's shape, the last ones perhaps short."""
        return tuple(self.tiles_of(self.seeds, self.variants))

    def tiles_of(self, seeds: tuple[int, ...], variants: tuple[Variant, ...]) -> list[Tile]:
        """Cut some seeds and variants into tiles of the program's shape."""
        height, width = self.shape
        return [
            Tile(self, seeds[i : i + height], variants[j : j + width])
            for i in range(0, len(seeds), height)
            for j in range(0, len(variants), width)
        ]

    @property
    def tile_replicas(self) -> int:
        """The number of replicas in a whole tile."""
        return self.shape[0] * self.shape[1]

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch."""
        return len(self.material.data.train.y) // self.settings.batch_size

    @property
    def total_steps(self) -> int:
        """Steps of one replica."""
        return self.settings.epochs * self.steps_per_epoch

    @property
    def rows(self) -> int:
        """The number of epochs' ends that one segment can measure."""
        return max(1, min(self.settings.epochs, STEPS_A_SEGMENT // self.steps_per_epoch))

    @property
    def step_seconds(self) -> float:
        """Estimate the time of one step of one replica on one CPU core, measurements included."""
        work = operations(self.settings, self.material.shape, self.material.classes)
        return 6 * work * self.settings.batch_size / CORE_OPERATIONS_A_SECOND + STEP_SECONDS

    @property
    def seconds(self) -> float:
        """Estimate the time of the whole training on one CPU core."""
        return len(self.variants) * len(self.seeds) * self.total_steps * self.step_seconds


def programs_of(
    comparison: Comparison,
    loaded: Mapping[tuple, datasets.Dataset],
    *,
    platform: str,
    tile_replicas: int | None = None,
) -> list[Program]:
    """Return a comparison's programs, in the order of its studies, with their data and the shape of their tiles.

    Args:
        comparison: checked and expanded.
        loaded: the data sets, by `data.loading.data_key`.
        platform: the kind of device that will train.
        tile_replicas: the largest number of replicas in a tile; None: `TILE_REPLICAS`.

    Raises:
        ConfigError: a batch larger than the training set, or a split that leaves no training examples.
    """
    programs: list[Program] = []
    materials: dict[tuple, Material] = {}  # programs share theirs
    for study in every(partial(options.typed, comparison.name), comparison.studies):
        groups: dict[str, list[Variant]] = {}
        for variant in study.variants:
            groups.setdefault(_static_key(variant.settings), []).append(variant)
        firsts = [group[0].settings for group in groups.values()]
        named = ("dataset", "optimizer")  # are in a program's name anyway
        separate = [key for key in STATIC if key not in named and _split_by(key, firsts)]
        for group in groups.values():
            settings = group[0].settings
            key = tuple(repr(getattr(settings, name)) for name in MATERIAL)
            if key not in materials:
                materials[key] = _material(comparison.name, study.name, loaded, settings)
            program = _program(comparison.name, study, tuple(group), materials[key], platform)
            programs.append(replace(program, distinct=label(settings, separate) if separate else ""))
    shaped = []
    for program in _numbered(programs):
        _check_batch(program)
        _check_custom_data(program)
        limit = tile_replicas or _tile_replicas(program)
        whole = _shaped(program, limit)
        a_seed = whole.seconds / len(whole.seeds)
        if len(whole.activations) > 1 and a_seed > SECONDS_TO_SPLIT.get(platform, math.inf):
            shaped += [_shaped(part, limit) for part in split_by_activation(whole)]
        else:
            shaped.append(whole)
    return shaped


def _material(comparison: str, study: str, loaded: Mapping[tuple, datasets.Dataset], settings: Settings) -> Material:
    try:
        return make_material(loaded[data_key(settings)], settings)
    except datasets.DataError as error:
        fraction = f"validation_fraction = {settings.validation_fraction:g}"
        raise ConfigError(f"{comparison}: study {study!r}: {fraction}: {error}") from error


def _check_batch(program: Program) -> None:
    settings, size = program.settings, len(program.material.data.train.y)
    if settings.batch_size > size:
        raise ConfigError(
            f"{program.comparison}: study {program.study!r}: batch_size = {settings.batch_size} is more than the {size} "
            f"training examples of {settings.dataset}; it must be at most {size}"
        )


def _check_custom_data(program: Program) -> None:
    """Raise ConfigError for a cnn on custom data that are no images, and for more steps than an int32 can count."""
    settings, shape = program.settings, program.material.shape
    where = f"{program.comparison}: study {program.study!r}"
    if settings.channels is not None:
        side = math.isqrt(math.prod(shape))
        if len(shape) == 1 and side * side != shape[0]:
            raise ConfigError(
                f"{where}: model {settings.model!r} needs images, and an example of dataset {settings.dataset!r} has the "
                f"shape {shape}; it must be (height, width), (height, width, channels), or flat and square"
            )
        least = min(shape[:2]) if len(shape) > 1 else side
        if least >> len(settings.channels) == 0:
            raise ConfigError(
                f"{where}: channels = {list(settings.channels)} halves an image {len(settings.channels)} times, and images "
                f"of {settings.dataset} have the shape {shape}; it must be at most {least.bit_length() - 1} long"
            )
    if program.total_steps > MOST_STEPS:
        raise ConfigError(
            f"{where}: epochs = {settings.epochs} with batch_size = {settings.batch_size} are {program.total_steps} steps on "
            f"{settings.dataset}; it must be at most {MOST_STEPS}"
        )


def _shaped(program: Program, limit: int) -> Program:
    at_once = TILES_AT_ONCE.get(program.platform, 1)
    return replace(program, shape=tile_shape(len(program.variants), len(program.seeds), limit, at_once=at_once))


def _tile_replicas(program: Program) -> int:
    """Return the largest number of replicas of this network in a tile, on this kind of device."""
    table = TILE_REPLICAS.get(program.platform, TILE_REPLICAS["gpu"])
    size = parameters(program.settings, program.material.shape, program.material.classes)
    return next(replicas for limit, replicas in table if size <= limit)


def _split_by(key: str, everything: Sequence[Settings]) -> bool:
    """Return whether a key has several values, beyond what follows from the precision."""
    values = {(settings.precision, repr(getattr(settings, key))) for settings in everything}
    least = len({settings.precision for settings in everything}) if key in names.LOSS_SCALING else 1
    return len({value for _, value in values}) > 1 and len(values) > least


def _numbered(programs: Sequence[Program]) -> list[Program]:
    """Add numbers to equal names (custom losses split programs, for example): tables know programs by name."""
    program_names = [program.name for program in programs]
    return [
        replace(program, distinct=f"{program.distinct} ({program_names[:place].count(name) + 1})".strip())
        if program_names.count(name) > 1
        else program
        for place, (program, name) in enumerate(zip(programs, program_names, strict=True))
    ]


def _static_key(settings: Settings) -> str:
    values: list[Any] = [getattr(settings, key) for key in STATIC]
    # The built-in functions are tested to leave their neighbours' numbers alone. A custom function gets its own program.
    values += [
        getattr(settings, key)
        for key, builtin in (
            ("activation", names.ACTIVATIONS),
            ("loss", names.LOSSES),
            ("schedule", tuple(names.SCHEDULES)),
        )
        if getattr(settings, key) not in builtin
    ]
    # A custom optimizer's missing options take its own defaults.
    given = [key for key in OPTIONS["optimizer"][1] if getattr(settings, key) is not None]
    values.append(given if settings.optimizer not in names.OPTIMIZERS else [])
    for kind in OPTION_TABLES:
        values += [options.traced(settings, kind), sorted(options.static(settings, kind).items())]
    return repr(values)


def _program(
    comparison: str, study: Study, variants: tuple[Variant, ...], material: Material, platform: str
) -> Program:
    everything = [variant.settings for variant in variants]

    def distinct(key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(getattr(settings, key) for settings in everything))

    return Program(
        comparison=comparison,
        study=study.name,
        variants=variants,
        seeds=study.seeds,
        losses=distinct("loss"),
        activations=distinct("activation"),
        schedules=distinct("schedule"),
        optimizer_options=(*_traced(everything, "optimizer"), *options.traced(everything[0], "optimizer")),
        schedule_options=(*_traced(everything, "schedule"), *options.traced(everything[0], "schedule")),
        loss_options=options.traced(everything[0], "loss"),
        activation_options=options.traced(everything[0], "activation"),
        clip=any(settings.clip_norm < math.inf for settings in everything),
        material=material,
        platform=platform,
    )


def split_by_activation(program: Program) -> list[Program]:
    """Split a program into one for each activation of its variants."""

    def part(value: str) -> Program:
        variants = tuple(variant for variant in program.variants if variant.settings.activation == value)
        return replace(program, variants=variants, activations=(value,))

    return [part(value) for value in program.activations]


def _traced(everything: Iterable[Settings], kind: str) -> tuple[str, ...]:
    """Return the options that some variant has at another value than the default."""
    members, keys = OPTIONS[kind]
    everything = list(everything)
    if getattr(everything[0], kind) not in members:  # a custom function takes what the config gives
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
    """Return the seeds and variants of a tile, at most `replicas` in all, that make the whole training fastest.

    Variants come first, and seeds only fill what variants leave. A study that gets more seeds then keeps its tiles (unless the
    study has very few replicas), and trains only the new seeds. The cost of a tile's step is taken to be its replicas plus one.
    The number of devices plays no part, so that a replica's numbers do not depend on the number. Only a kind of device that
    nearly always comes in twos or more changes the shape.

    Args:
        variants: variants of the program.
        seeds: seeds of the study.
        replicas: the most replicas in a tile.
        at_once: tiles that any machine of this kind trains side by side; where there are fewer tiles, they get smaller.

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


def identity(program: Program, seeds: Sequence[int], variants: Sequence[Variant]) -> dict[str, Any]:
    """Return the part of the config that decides the numbers of some seeds and variants of a program."""
    return {
        "seeds": tuple(seeds),
        "variants": [choices(variant.settings) for variant in variants],
        "program": {
            key: getattr(program, key)
            for key in (
                *("losses", "activations", "schedules", "optimizer_options", "schedule_options", "clip"),
                *("loss_options", "activation_options"),
            )
        },
    }
