"""Every name that a config may use, as plain tuples and dicts.

Configs are checked against these names before JAX is imported: a wrong name costs milliseconds. A test equates each entry
with the registry that implements it. Nothing here is computed.
"""

from __future__ import annotations

from typing import Any

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "elu", "mish")

LOSSES = ("cross_entropy", "mse", "mse_half_sum", "mse_logits", "mse_logits_half_sum")

# Each optimizer's own options with their defaults. `weight_decay` is decoupled for adamw and lion, and coupled (L2) for the
# other optimizers. lion's beta2 and decay are from its paper (Chen et al. 2023), through Optax.
OPTIMIZERS: dict[str, dict[str, float]] = {
    "sgd": {"weight_decay": 0.0},
    "momentum": {"momentum": 0.9, "weight_decay": 0.0},
    "nesterov": {"momentum": 0.9, "weight_decay": 0.0},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
    "rmsprop": {"rms_decay": 0.9, "epsilon": 1e-8, "weight_decay": 0.0},
    "lion": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 1e-3},
}

# Each schedule's own options with their defaults, as shares of the whole training or factors of the base rate.
SCHEDULES: dict[str, dict[str, float]] = {
    "constant": {},
    "cosine": {"final_factor": 0.0},
    "warmup_cosine": {"warmup_fraction": 0.1, "final_factor": 0.0},
    "step": {"step_interval": 1 / 3, "step_factor": 0.1},
    "linear": {"final_factor": 0.0},
}

# Each model's own options with their defaults. Every model has `hidden`: the dense layers, in a cnn those after the last
# pooling.
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "cnn": {"channels": (32, 64), "kernel_size": 5},
}

# Types that a network may compute in, each with its own options and their defaults. float16's loss is multiplied by a scale:
# its initial value, the number of finite steps in a row after which it grows, the factor by which it grows, and its floor.
# Flax and PyTorch have the same defaults, except for the floor and the interval: their interval, 2000, is longer than a
# small study.
LOSS_SCALING = {
    "loss_scale_initial": 65536.0, "loss_scale_growth_interval": 200, "loss_scale_factor": 2.0, "loss_scale_floor": 1.0,
}  # fmt: skip
PRECISIONS: dict[str, dict[str, float]] = {"float32": {}, "bfloat16": {}, "float16": LOSS_SCALING}
AUTO_PRECISION = "auto"  # the precision that the device is fastest in

# How float32 products are computed on devices that also have a faster, coarser way (TF32 on NVIDIA's).
MATMUL_PRECISIONS = ("float32", "tensorfloat32")

# How the learning rate follows the batch size, from its value at `reference_batch_size`.
LEARNING_RATE_RULES = ("fixed", "linear", "square_root")

INITIALIZERS = (
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "glorot_normal",
    "glorot_uniform",
    "truncated_normal",
    "orthogonal",
    "torch",
)

BIAS_INITIALIZERS = ("zeros", "torch")

# Each data set's own options with their defaults: sizes and shapes of the generated ones.
DATASETS: dict[str, dict[str, float]] = {
    "fashion_mnist": {},
    "digits": {},
    "moons": {"samples": 2000, "test_samples": 1000, "noise": 0.2},
    "circles": {"samples": 2000, "test_samples": 1000, "noise": 0.1, "factor": 0.5},
}

# Where a user's own data sets come from: the word before the colon of `"csv:FILE"` and so on, what follows, and the options.
# `"package.module:function"` is a function that returns the arrays, and takes the options as its arguments.
DATA_SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "npz": ("FILE", ()),
    "csv": ("FILE", ("label", "drop", "header", "separator")),
    "sklearn": ("load_wine", ()),
    "tfds": ("NAME", ()),
}

# The data sets with classes that scikit-learn includes.
SKLEARN_SETS = ("load_breast_cancer", "load_digits", "load_iris", "load_wine")

# The data sets of square grey images, with their side in pixels: a cnn can be trained on these.
IMAGES = {"fashion_mnist": 28, "digits": 8}

# How many training and validation examples the data sets have that are not generated.
EXAMPLES = {"fashion_mnist": 60_000, "digits": 1797}

INPUT_SCALINGS = ("unit", "standardised", "none")

# Languages of pictures and reports, as HTML names them.
LANGUAGES = ("en", "ko")
