"""Every key of a config's `[base]`, with its default, type and range: the one place where defaults stand.

Standard library only: a config is checked before NumPy or JAX is imported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.registry import is_plugin, nearest


class ConfigError(ValueError):
    """A config, an override or a command line that cannot be: names the field, the value and what would be valid."""


AUTO = 0  # `batch_size = "auto"`, until the free memory is known


def _key(
    default: Any,
    kind: type | tuple[type, ...],
    *,
    choices: Iterable[str] = (),
    plugin: bool = False,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    words: Mapping[str, int] | None = None,
) -> Any:
    rule = {
        "kind": kind,
        "choices": tuple(choices),
        "plugin": plugin,
        "low": low,
        "high": high,
        "open_low": open_low,
        "open_high": open_high,
        "words": words or {},  # that may stand in a number's place
    }
    return dataclasses.field(default=default, metadata=rule)


@dataclass(frozen=True)
class Settings:
    """One replica's choices but for its seed; `None` is the optimizer's or data set's own default."""

    dataset: str = _key("fashion_mnist", str, choices=names.DATASETS)
    validation_fraction: float = _key(0.1, float, low=0, high=1, open_high=True)
    data_seed: int = _key(0, int, low=0, high=2**31 - 1)  # of generated sets and of every split
    samples: int | None = _key(None, int, low=10)  # training and validation examples of a generated set
    test_samples: int | None = _key(None, int, low=10)
    noise: float | None = _key(None, float, low=0)
    factor: float | None = _key(None, float, low=0, high=1, open_low=True, open_high=True)  # inner over outer circle
    input_scaling: str = _key("unit", str, choices=names.INPUT_SCALINGS)

    model: str = _key("mlp", str, choices=names.MODELS)
    hidden: tuple[int, ...] = _key((256, 128), tuple, low=1)
    channels: tuple[int, ...] | None = _key(None, tuple, low=1)  # of a cnn's convolutions, each followed by 2x2 pooling
    kernel_size: int | None = _key(None, int, low=1)
    init: str = _key("he_normal", str, choices=names.INITIALIZERS)
    init_scale: float = _key(0.05, float, low=0, open_low=True)  # deviation of truncated_normal
    bias_init: str = _key("zeros", str, choices=names.BIAS_INITIALIZERS)
    remat: bool = _key(False, bool)  # activations are computed anew for the gradient instead of kept
    activation: str = _key("relu", str, choices=names.ACTIVATIONS, plugin=True)

    loss: str = _key("cross_entropy", str, choices=names.LOSSES, plugin=True)
    label_smoothing: float = _key(0.0, float, low=0, high=1, open_high=True)

    optimizer: str = _key("momentum", str, choices=names.OPTIMIZERS, plugin=True)
    learning_rate: float = _key(0.03, float, low=0, open_low=True, high=1e6)
    momentum: float | None = _key(None, float, low=0, high=1, open_high=True)
    beta1: float | None = _key(None, float, low=0, high=1, open_high=True)
    beta2: float | None = _key(None, float, low=0, high=1, open_high=True)
    rms_decay: float | None = _key(None, float, low=0, high=1, open_high=True)
    epsilon: float | None = _key(None, float, low=0)
    weight_decay: float | None = _key(None, float, low=0)
    # Of a user's own optimizer; `options.NAME` in a grid.
    options: dict[str, float] = dataclasses.field(default_factory=dict, metadata={"kind": dict})
    clip_norm: float = _key(math.inf, float, low=0, open_low=True)

    precision: str = _key("float32", str, choices=(*names.PRECISIONS, names.AUTO_PRECISION))
    loss_scale_initial: float | None = _key(None, float, low=1, high=2.0**60)
    loss_scale_growth_interval: int | None = _key(None, int, low=1)
    loss_scale_factor: float | None = _key(None, float, low=1, open_low=True, high=1e6)
    loss_scale_floor: float | None = _key(None, float, low=0, open_low=True)
    matmul_precision: str = _key("float32", str, choices=names.MATMUL_PRECISIONS)

    schedule: str = _key("constant", str, choices=names.SCHEDULES, plugin=True)
    final_factor: float | None = _key(None, float, low=0, high=1)
    warmup_fraction: float | None = _key(None, float, low=0, high=1, open_high=True)
    step_interval: float | None = _key(None, float, low=0, open_low=True, high=1)
    step_factor: float | None = _key(None, float, low=0, open_low=True, high=1)

    batch_size: int = _key(128, int, low=1, words={"auto": AUTO})
    micro_batches: int = _key(1, int, low=1)  # parts of a batch that go through the network one after the other
    learning_rate_rule: str = _key("fixed", str, choices=names.LEARNING_RATE_RULES)
    reference_batch_size: int = _key(128, int, low=1)  # at which every rule gives learning_rate itself
    epochs: int = _key(10, int, low=1)
    seeds: int = _key(5, int, low=1, high=10_000)  # how many
    first_seed: int = _key(0, int, low=0, high=2**31 - 10_001)

    train_subset: int = _key(2000, int, low=1)  # training examples that are evaluated after each epoch
    probe_size: int = _key(512, int, low=1)  # examples that diagnostics are taken on
    evaluate_every: int = _key(1, int, low=1)  # epochs between evaluations on the splits
    measure_every: int = _key(1, int, low=1)  # epochs between diagnostics of the layers
    snapshots: int = _key(5, int, low=2, high=1000)  # epochs at which units and histograms are kept


KEYS = {key.name: key for key in dataclasses.fields(Settings)}

# What every variant of a study shares, so that it stands in [base] only.
NOT_FACTORS = ("seeds", "first_seed", "train_subset", "probe_size", "evaluate_every", "measure_every", "snapshots")

# The keys that only some of a kind's members have: kind -> (its members with their options, the union of the options).
OPTIONS = {
    kind: (members, tuple(dict.fromkeys(name for options in members.values() for name in options)))
    for kind, members in (
        ("optimizer", names.OPTIMIZERS),
        ("schedule", names.SCHEDULES),
        ("dataset", names.DATASETS),
        ("model", names.MODELS),
        ("precision", names.PRECISIONS),
    )
}


def check_value(key: str, value: Any, where: str) -> Any:
    """`value` as the key's own type.

    Raises:
        ConfigError: an unknown key, a wrong type, a name that there is not, or a number out of range.
    """
    if key.startswith("options."):
        return _check_number(key, value, float, {"low": -math.inf, "high": math.inf}, where)
    if key not in KEYS:
        raise ConfigError(f"{where}: no key {key!r}; {nearest(key, KEYS)}")
    rule = KEYS[key].metadata
    kind = rule["kind"]
    if kind is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: {key} = {value!r} is not a table of numbers")
        return {name: check_value(f"{key}.{name}", number, where) for name, number in value.items()}
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value:  # a network without hidden layers has nothing to look into
            raise ConfigError(f"{where}: {key} = {value!r} is not a list of at least one whole number, [256, 128] say")
        return tuple(_check_number(key, number, int, rule, where) for number in value)
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: {key} = {value!r} is neither true nor false")
        return value
    if kind is str:
        return _check_name(key, value, rule, where)
    return _check_number(key, value, kind, rule, where)


def _check_name(key: str, value: Any, rule: Mapping[str, Any], where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} = {value!r} is not a name; {nearest(str(value), rule['choices'])}")
    if value in rule["choices"] or (rule["plugin"] and is_plugin(value)):
        return value
    own = ', or "package.module:attribute" for one of your own' if rule["plugin"] else ""
    raise ConfigError(f"{where}: no {key} {value!r}; {nearest(value, rule['choices'])}{own}")


def _check_number(key: str, value: Any, kind: Any, rule: Mapping[str, Any], where: str) -> Any:
    whole, words = kind is int, rule.get("words", {})
    if isinstance(value, str) and value in words:
        return words[value]
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ConfigError(f"{where}: {key} = {value!r} is not a {'whole ' if whole else ''}number{_or(words)}")
    low, high = rule["low"], rule["high"]
    below = value <= low if rule.get("open_low") else value < low
    above = value >= high if rule.get("open_high") else value > high
    if math.isnan(value) or below or above:
        raise ConfigError(f"{where}: {key} = {value} is out of range; it must be {_range(rule)}{_or(words)}")
    return kind(value)


def _or(words: Iterable[str]) -> str:
    return "".join(f', or "{word}"' for word in words)


def _range(rule: Mapping[str, Any]) -> str:
    bounds = []
    if rule["low"] > -math.inf:
        bounds.append(f"{'greater than' if rule.get('open_low') else 'at least'} {rule['low']}")
    if rule["high"] < math.inf:
        bounds.append(f"{'less than' if rule.get('open_high') else 'at most'} {rule['high']}")
    return " and ".join(bounds) or "a number"


def resolve_defaults(given: Mapping[str, Any], varied: Iterable[str], where: str) -> Settings:
    """Settings with every default filled in, and the options that this optimizer, schedule or data set lacks left out.

    Args:
        given: checked values by key, base and grid together.
        varied: the keys of the grid. An option in [base] serves those that have it; one that is varied must have an effect.
        where: for the error.

    Raises:
        ConfigError: a varied option that has no effect.
    """
    values = {key: value for key, value in given.items() if not key.startswith("options.")}
    own = {key.removeprefix("options."): value for key, value in given.items() if key.startswith("options.")}
    values["options"] = {**values.get("options", {}), **own}
    settings = Settings(**values)
    chosen: dict[str, Any] = {}
    for kind, (registered, option_keys) in OPTIONS.items():
        name = getattr(settings, kind)
        if name not in registered:
            continue  # a user's own: what it takes is known once it is imported
        for key in option_keys:
            value = getattr(settings, key)
            if key in registered[name]:
                chosen[key] = registered[name][key] if value is None else value
            elif value is not None and key in varied:
                raise ConfigError(
                    f"{where}: {key} = {value} has no effect on {kind} {name!r}; give it a [[study.grid]] of its own"
                )
            else:
                chosen[key] = None
    if "init_scale" in varied and settings.init != "truncated_normal":
        raise ConfigError(f"{where}: init_scale = {settings.init_scale} has no effect on init {settings.init!r}")
    if settings.options and settings.optimizer in names.OPTIMIZERS:
        known = names.OPTIMIZERS[settings.optimizer]
        option = next(iter(settings.options))
        raise ConfigError(
            f"{where}: options.{option} is for an optimizer of your own; {settings.optimizer}'s are keys: "
            f"{nearest(option, known)}"
        )
    settings = dataclasses.replace(settings, **chosen)
    _check_images(settings, where)
    _check_scaling(settings, where)
    _check_micro_batches(settings, where)
    return settings


def _check_images(settings: Settings, where: str) -> None:
    """Raises ConfigError for a cnn on data that are no images, or that are too small for its poolings."""
    if settings.channels is None:
        return
    if settings.dataset not in names.IMAGES:
        raise ConfigError(
            f"{where}: model {settings.model!r} needs images, and dataset {settings.dataset!r} has none; "
            f"{nearest(settings.dataset, names.IMAGES)}"
        )
    side = names.IMAGES[settings.dataset]
    if side >> len(settings.channels) == 0:
        raise ConfigError(
            f"{where}: channels = {list(settings.channels)} halves an image {len(settings.channels)} times, and those of "
            f"{settings.dataset} are {side} by {side}; it must be at most {side.bit_length() - 1} long"
        )


def _check_scaling(settings: Settings, where: str) -> None:
    """Raises ConfigError for a loss scale that starts below its floor."""
    initial, floor = settings.loss_scale_initial, settings.loss_scale_floor
    if initial is not None and floor is not None and initial < floor:
        raise ConfigError(f"{where}: loss_scale_initial = {initial:g} is below loss_scale_floor = {floor:g}; raise it")


def _check_micro_batches(settings: Settings, where: str) -> None:
    count = settings.micro_batches
    if settings.batch_size == AUTO and count & (count - 1):
        raise ConfigError(f'{where}: micro_batches = {count} is not a power of two, as batch_size = "auto" will be')
    if settings.batch_size % settings.micro_batches:
        raise ConfigError(
            f"{where}: micro_batches = {settings.micro_batches} does not divide batch_size = {settings.batch_size} "
            "into equal parts"
        )
