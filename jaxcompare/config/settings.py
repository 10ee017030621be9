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
