"""From a config's words to arrays: recipes, hyperparameters, data on the host, what to measure when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from jaxcompare import data as datasets
from jaxcompare.components import models, optimizers, precision
from jaxcompare.config import names
from jaxcompare.config.registry import nearest
from jaxcompare.config.settings import OPTIONS, ConfigError, Settings
from jaxcompare.engine import segment, sweep, train_step
from jaxcompare.planning.programs import Program, Tile, evaluated_epochs, layer_epochs, parameters, snapshot_epochs
from jaxcompare.types import Batch, Hparams

FIELD_POINTS = 64  # decision fields are this many points wide and high
FIELD_MARGIN = 0.1  # around the training points, as a share of their extent

# Parameters of the largest network of which so many replicas train best side by side on one device: more amortise what a step
# costs at least, fewer keep weights and optimizer state in the cache. Measured on two CPU cores (docs/performance.md).
TILES_AT_ONCE = {"cpu": 2}  # on CPU there are two devices or more; of other kinds, one at least
TILE_REPLICAS = {"cpu": ((20_000, 6), (math.inf, 1)), "gpu": ((100_000, 512), (1_000_000, 128), (math.inf, 2))}

# The settings that decide a data set's Material.
MATERIAL = (
    "dataset", "validation_fraction", "data_seed", "samples", "test_samples", "noise", "factor", "input_scaling",
    "train_subset", "probe_size",
)  # fmt: skip


class Material(NamedTuple):
    """A data set, split and ready for the device, on the host."""

    data: segment.Data  # NumPy leaves
    classes: int
    features: int
    chance: float  # the share of the test set's largest class
    digest: str
    source: str


def material(dataset: datasets.Dataset, settings: Settings) -> Material:
    """Splits and scales a data set; picks the examples that are evaluated and probed: what `MATERIAL` names decides it."""
    splits = datasets.split(dataset, validation_fraction=settings.validation_fraction, seed=settings.data_seed)

    def head(count: int) -> Batch:
        """A random sample: a split's examples are in drawn order."""
        return _on_host(datasets.Examples(splits.train.x[:count], splits.train.y[:count]))

    factor, shift = datasets.scaling(splits.train.x, settings.input_scaling, dataset.input_max)
    features = int(np.prod(splits.train.x.shape[1:]))
    drawn = features == 2 and dataset.classes == 2
    data = segment.Data(
        _on_host(splits.train),
        head(settings.train_subset),
        _on_host(splits.validation),
        _on_host(splits.test),
        head(settings.probe_size),
        cast(Any, (np.asarray(factor, np.float32), np.asarray(shift, np.float32))),
        cast(Any, field_grid(splits.train.x)) if drawn else None,
    )
    chance = float(np.bincount(splits.test.y).max() / len(splits.test.y))
    return Material(data, dataset.classes, features, chance, dataset.digest, dataset.source)


def _on_host(examples: datasets.Examples) -> Batch:
    # The types speak of the device, where the arrays go; until then they are NumPy's.
    return Batch(*cast(Any, examples))


def recipe(program: Program, classes: int) -> train_step.Recipe:
    """A program's static choices.

    Raises:
        ConfigError: a user's own function that is not there, or does not take the options that the config gives.
    """
    settings = program.settings
    model = models.MODELS[settings.model](
        hidden=settings.hidden,
        classes=classes,
        init=settings.init,
        init_scale=settings.init_scale,
        bias_init=settings.bias_init,
        **{key: getattr(settings, key) for key in names.MODELS[settings.model]},
        remat=settings.remat,
    )
    if jax.default_backend() == "cpu":
        # There the gradient is as fast as JAX makes it: with the other one 0.94 to 1.02 times (docs/performance.md).
        model = model._replace(apply_for_gradient=None)
    try:
        made = train_step.make_recipe(
            model,
            optimizer=settings.optimizer,
            loss=program.losses,
            activation=program.activations,
            schedule=program.schedules,
            clip=program.clip,
            policy=policy(settings),
            micro_batches=settings.micro_batches,
        )
    except ValueError as error:
        raise ConfigError(f"{program.comparison}: study {program.study!r}: {error}") from error
    if settings.optimizer not in names.OPTIMIZERS:
        taken = optimizers.options_of(made.optimizer)
        for option in program.optimizer_options:
            if option not in taken:
                raise ConfigError(
                    f"optimizer {settings.optimizer!r} has no option {option!r}; {nearest(option, taken)}"
                )
    if program.schedules[0] not in names.SCHEDULES:
        taken = optimizers.options_of(made.schedules[0])
        for option in program.schedule_options:
            if option not in taken:
                raise ConfigError(
                    f"schedule {program.schedules[0]!r} has no option {option!r}; {nearest(option, taken)}"
                )
    return made


def policy(settings: Settings) -> precision.Policy:
    """A variant's precision, with its loss scaling if it has one."""
    numbers = [getattr(settings, key) for key in names.LOSS_SCALING]
    return precision.resolve(settings.precision, None if None in numbers else precision.LossScaling(*numbers))


def learning_rate(settings: Settings) -> float:
    """The learning rate at the variant's batch size: as it stands, or in proportion to the batch (Goyal et al. 2017) or to its
    square root (Krizhevsky 2014)."""
    ratio = settings.batch_size / settings.reference_batch_size
    return (
        settings.learning_rate * {"fixed": 1.0, "linear": ratio, "square_root": ratio**0.5}[settings.learning_rate_rule]
    )


def hparams(program: Program, settings: Settings, total_steps: int) -> Hparams:
    """One variant's traced choices, for its program."""

    def number(key: str) -> float:
        value = settings.options.get(key, getattr(settings, key, None))
        if value is not None:
            return value
        # Another variant of the program has this option, this one's schedule does not: any number will do.
        return next(float(members[key]) for members in OPTIONS["schedule"][0].values() if key in members)

    return train_step.make_hparams(
        learning_rate(settings),
        clip_norm=settings.clip_norm,
        label_smoothing=settings.label_smoothing,
        total_steps=total_steps,
        activation=program.activations.index(settings.activation),
        loss=program.losses.index(settings.loss),
        schedule=program.schedules.index(settings.schedule),
        schedule_options={key: number(key) for key in program.schedule_options},
        optimizer_options={key: number(key) for key in program.optimizer_options},
    )


def tile_replicas(settings: Settings, features: int, classes: int, platform: str) -> int:
    """How many replicas of this network a tile holds at most, on this kind of device."""
    table = TILE_REPLICAS.get(platform, TILE_REPLICAS["gpu"])
    size = parameters(settings, features, classes)
    return next(replicas for limit, replicas in table if size <= limit)


def group(program: Program, tiles: Sequence[Tile], shape: tuple[int, int], total_steps: int) -> sweep.Group:
    """Tiles side by side, each padded to the shape by repeating its last seed and variant."""

    def pad(items: Sequence, length: int) -> list:
        return [*items, *[items[-1]] * (length - len(items))]

    padded = [(pad(tile.seeds, shape[0]), pad(tile.variants, shape[1])) for tile in tiles]

    def stack(each: Sequence[Any]) -> Any:
        # On the host: a stack on the device would be one more small program to compile for every shape.
        return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *each)

    per_tile = [
        stack([hparams(program, variant.settings, total_steps) for variant in variants]) for _, variants in padded
    ]
    ranges = [
        stack([segment.activation_ranges(variant.settings.activation) for variant in variants])
        for _, variants in padded
    ]
    return sweep.Group(np.asarray([seeds for seeds, _ in padded], np.int32), stack(per_tile), stack(ranges))


def levels(settings: Settings) -> list[int]:
    """What to measure at each epoch's end, 0 to the last: [epochs + 1]."""
    found = [segment.NOTHING] * (settings.epochs + 1)
    for level, epochs in (
        (segment.FIGURES, evaluated_epochs(settings)),
        (segment.LAYERS, layer_epochs(settings)),
        (segment.SNAPSHOT, snapshot_epochs(settings)),
    ):
        for epoch in epochs:
            found[epoch] = level
    return found


def field_axes(points: Any) -> tuple[np.ndarray, np.ndarray]:
    """The grid's coordinates, each [FIELD_POINTS], around points [N, 2]."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = FIELD_MARGIN * (high - low)
    x, y = (np.linspace(low[i] - margin[i], high[i] + margin[i], FIELD_POINTS, dtype=np.float32) for i in (0, 1))
    return x, y


def field_grid(points: Any) -> np.ndarray:
    """The grid's points [FIELD_POINTS^2, 2], the second feature varying slowest."""
    x, y = field_axes(points)
    return np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=-1)
