"""Every key of a config's `[base]`: its use, default, type and range are declared here and nowhere else.

Standard library only: a config is checked before NumPy or JAX is imported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxcompare.config import names
from jaxcompare.config.limits import (
    MOST_EPOCHS,
    MOST_EXAMPLES,
    MOST_LAYERS,
    MOST_SEEDS,
    MOST_UNITS,
    MOST_WHOLE,
)

AUTO = 0  # `batch_size = "auto"`, until the free memory is known

# What a setting is used for. Every setting names one of these uses; `keys_of` derives all other lists of settings.
USES = {
    "data": "which examples there are, how they are split and scaled; static",
    "data.source": "an argument of the data set's source; static",
    "static": "part of the compiled program: variants that differ in the setting train in different programs",
    "static.length": "how long a program trains; static, though one executable serves every length",
    "static.precision": "the arithmetic that the program is compiled for",
    "static.loss_scale": "the loss scaling that the program is compiled for",
    "traced": "an argument of the compiled program: variants that differ in the setting train side by side",
    "measuring.examples": "the examples on which a replica is evaluated or diagnosed; static",
    "measuring.epochs": "the epochs at which a replica is measured; static",
    "run": "which seeds a variant is trained at",
}


def _key(
    default: Any,
    kind: type,
    *,
    use: str,
    choices: Iterable[str] = (),
    plugin: bool = False,
    sources: Mapping[str, Any] | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    longest: int = 0,
    words: Mapping[str, int] | None = None,
) -> Any:
    """Declare a setting; `plugin` allows a user's own function, `longest` is of a list.

    `words` are texts that may replace a number. `sources` are the words that may precede a colon in a name.
    """
    rule = {
        "kind": kind,
        "use": use,
        "choices": tuple(choices),
        "plugin": plugin,
        "sources": sources or {},
        "low": low,
        "high": MOST_WHOLE if kind is int and high == math.inf else high,
        "longest": longest,
        "open_low": open_low,
        "open_high": open_high,
        "words": words or {},
    }
    return field(default=default, metadata=rule)


# The arguments of a custom function, `TABLE.NAME` in a grid; the function's defaults decide which are traced.
_TABLE = {"kind": dict, "use": "traced"}


@dataclass(frozen=True)
class Settings:
    """A replica's choices except its seed; `None` means the default of the optimizer, the data set and so on."""

    dataset: str = _key(
        "fashion_mnist", str, use="data", choices=names.DATASETS, plugin=True, sources=names.DATA_SOURCES
    )
    # The options of a custom data set: the arguments of its function, or those of its source in `names.DATA_SOURCES`.
    data_options: dict[str, Any] = field(
        default_factory=dict, metadata={"kind": dict, "use": "data.source", "any": True}
    )
    validation_fraction: float = _key(0.1, float, use="data", low=0, high=1, open_high=True)
    data_seed: int = _key(0, int, use="data.source", low=0, high=2**31 - 1)  # of generated sets and of every split
    # Training and validation examples of a generated set.
    samples: int | None = _key(None, int, use="data.source", low=10, high=MOST_EXAMPLES)
    test_samples: int | None = _key(None, int, use="data.source", low=10, high=MOST_EXAMPLES)
    noise: float | None = _key(None, float, use="data.source", low=0, high=1e6)
    # The radius of the inner circle over the outer circle's.
    factor: float | None = _key(None, float, use="data.source", low=0, high=1, open_low=True, open_high=True)
    input_scaling: str = _key("unit", str, use="data", choices=names.INPUT_SCALINGS)

    model: str = _key("mlp", str, use="static", choices=names.MODELS)
    hidden: tuple[int, ...] = _key((256, 128), tuple, use="static", low=1, high=MOST_UNITS, longest=MOST_LAYERS)
    # The widths of a cnn's convolutions, each followed by 2x2 pooling.
    channels: tuple[int, ...] | None = _key(None, tuple, use="static", low=1, high=MOST_UNITS, longest=MOST_LAYERS)
    kernel_size: int | None = _key(None, int, use="static", low=1, high=1000)
    init: str = _key("he_normal", str, use="static", choices=names.INITIALIZERS)
    init_scale: float = _key(0.05, float, use="static", low=0, open_low=True)  # deviation of truncated_normal
    bias_init: str = _key("zeros", str, use="static", choices=names.BIAS_INITIALIZERS)
    remat: bool = _key(False, bool, use="static")  # recompute activations for the gradient instead of keeping them
    activation: str = _key("relu", str, use="traced", choices=names.ACTIVATIONS, plugin=True)
    activation_options: dict[str, Any] = field(default_factory=dict, metadata=_TABLE)

    loss: str = _key("cross_entropy", str, use="traced", choices=names.LOSSES, plugin=True)
    loss_options: dict[str, Any] = field(default_factory=dict, metadata=_TABLE)
    label_smoothing: float = _key(0.0, float, use="traced", low=0, high=1, open_high=True)

    optimizer: str = _key("momentum", str, use="static", choices=names.OPTIMIZERS, plugin=True)
    learning_rate: float = _key(0.03, float, use="traced", low=0, open_low=True, high=1e6)
    momentum: float | None = _key(None, float, use="traced", low=0, high=1, open_high=True)
    beta1: float | None = _key(None, float, use="traced", low=0, high=1, open_high=True)
    beta2: float | None = _key(None, float, use="traced", low=0, high=1, open_high=True)
    rms_decay: float | None = _key(None, float, use="traced", low=0, high=1, open_high=True)
    epsilon: float | None = _key(None, float, use="traced", low=0)
    weight_decay: float | None = _key(None, float, use="traced", low=0)
    options: dict[str, Any] = field(default_factory=dict, metadata=_TABLE)  # of a custom optimizer
    clip_norm: float = _key(math.inf, float, use="traced", low=0, open_low=True)

    precision: str = _key("float32", str, use="static.precision", choices=(*names.PRECISIONS, names.AUTO_PRECISION))
    loss_scale_initial: float | None = _key(None, float, use="static.loss_scale", low=1, high=2.0**60)
    loss_scale_growth_interval: int | None = _key(None, int, use="static.loss_scale", low=1)
    loss_scale_factor: float | None = _key(None, float, use="static.loss_scale", low=1, open_low=True, high=1e6)
    loss_scale_floor: float | None = _key(None, float, use="static.loss_scale", low=0, open_low=True)
    matmul_precision: str = _key("float32", str, use="static.precision", choices=names.MATMUL_PRECISIONS)

    schedule: str = _key("constant", str, use="traced", choices=names.SCHEDULES, plugin=True)
    schedule_options: dict[str, Any] = field(default_factory=dict, metadata=_TABLE)
    final_factor: float | None = _key(None, float, use="traced", low=0, high=1)
    warmup_fraction: float | None = _key(None, float, use="traced", low=0, high=1, open_high=True)
    step_interval: float | None = _key(None, float, use="traced", low=0, open_low=True, high=1)
    step_factor: float | None = _key(None, float, use="traced", low=0, open_low=True, high=1)

    batch_size: int = _key(128, int, use="static", low=1, words={"auto": AUTO})
    micro_batches: int = _key(1, int, use="static", low=1)  # parts of a batch that the network sees in turn
    learning_rate_rule: str = _key("fixed", str, use="traced", choices=names.LEARNING_RATE_RULES)
    reference_batch_size: int = _key(128, int, use="traced", low=1)  # at which every rule gives learning_rate itself
    epochs: int = _key(10, int, use="static.length", low=1, high=MOST_EPOCHS)
    seeds: int = _key(5, int, use="run", low=1, high=MOST_SEEDS)  # the number of seeds
    first_seed: int = _key(0, int, use="run", low=0, high=2**31 - 10_001)

    train_subset: int = _key(2000, int, use="measuring.examples", low=1)  # training examples evaluated after each epoch
    probe_size: int = _key(512, int, use="measuring.examples", low=1)  # examples on which diagnostics are taken
    evaluate_every: int = _key(1, int, use="measuring.epochs", low=1)  # epochs between evaluations on the splits
    measure_every: int = _key(1, int, use="measuring.epochs", low=1)  # epochs between diagnostics of the layers
    # The number of epochs at which units and histograms are kept.
    snapshots: int = _key(5, int, use="measuring.epochs", low=2, high=1000)


def declared(settings: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of a class of settings by name.

    Raises:
        TypeError: a field has no use, or a use that `USES` lacks.
    """
    keys = {key.name: key for key in dataclasses.fields(settings)}
    for name, key in keys.items():
        if key.metadata.get("use") not in USES:
            raise TypeError(f"setting {name!r}: use = {key.metadata.get('use')!r} is not one of {', '.join(USES)}")
    return keys


KEYS = declared(Settings)


def keys_of(*uses: str, keys: Mapping[str, dataclasses.Field[Any]] = KEYS) -> tuple[str, ...]:
    """Return the names of the settings with these uses, one use after the other, each in the order of declaration.

    A use contains the uses below it: `data` contains `data.source`. A setting that two of `uses` contain goes with the
    narrower use.

    Raises:
        ValueError: a use that no entry of `USES` has.
    """
    found: dict[str, list[str]] = {use: [] for use in uses}
    for use in uses:
        if not any(_contains(use, known) for known in USES):
            raise ValueError(f"no use {use!r}; known: {', '.join(USES)}")
    for name, key in keys.items():
        containing = [use for use in uses if _contains(use, key.metadata["use"])]
        if containing:
            found[max(containing, key=len)].append(name)
    return tuple(name for each in found.values() for name in each)


def _contains(use: str, narrower: str) -> bool:
    return f"{narrower}.".startswith(f"{use}.")


# The keys that all variants of a study share: only [base] may set them.
NOT_FACTORS = keys_of("run", "measuring")

# The keys that only some members of a kind have: kind -> (members with their options, all options).
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

# The tables of a custom function's options, by its kind.
OPTION_TABLES = {
    "optimizer": "options",
    "loss": "loss_options",
    "activation": "activation_options",
    "schedule": "schedule_options",
}


def is_option(key: str) -> bool:
    """Return whether a key is of a custom function's option.

    >>> is_option("loss_options.gamma"), is_option("momentum")
    (True, False)
    """
    table, point, _ = key.partition(".")
    return bool(point) and table in OPTION_TABLES.values()


def defaults(settings: Settings) -> dict[str, Any]:
    """Return the default of each setting, given the optimizer, the data set and so on that some settings name."""
    found = {
        key.name: {} if key.default is dataclasses.MISSING else key.default for key in dataclasses.fields(settings)
    }
    for kind, (members, _) in OPTIONS.items():
        found |= members.get(getattr(settings, kind), {})
    return found
