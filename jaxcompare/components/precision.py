"""Precision policies by name: the type in which a network computes, and dynamic loss scaling for float16.

Parameters and optimizer state stay in float32; products and activations have the policy's type.
Sums (softmax, losses, norms, statistics) are in float32 again (Micikevicius et al. 2018).

Small gradients vanish from float16's range. The loss is therefore multiplied by a scale before differentiation, and the
gradients are divided by it afterwards. The scale follows the overflows by Flax's state machine, `DynamicScale`:

    overflow:                       scale = max(scale * backoff, floor); finite = 0; the step is skipped
    finite, finite == interval:     scale = scale * factor;              finite = 0
    finite otherwise:                                                    finite = finite + 1

`LossScale` carries this state for a single replica.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax.training.dynamic_scale import DynamicScale

from jaxcompare.config import names
from jaxcompare.config.registry import nearest

# Steps skipped in a row, at the lowest scale, after which a replica counts as diverged: no smaller scale is left to try.
SKIPS_TO_DIVERGE = 20


class LossScaling(NamedTuple):
    """The static constants of dynamic loss scaling."""

    initial: float
    growth_interval: int  # finite steps in a row before the scale grows
    factor: float  # of growth; a shrinking scale is divided by it
    floor: float  # the lowest scale


class LossScale(NamedTuple):
    """The state of loss scaling that a replica carries from step to step."""

    dynamic: DynamicScale  # scale [] float32, fin_steps [] int32
    skipped_steps: jax.Array  # [] int32, so far
    skips_in_a_row: jax.Array  # [] int32


class Policy(NamedTuple):
    """A precision: the type of products and activations, and the loss scaling.

    >>> policy = resolve("bfloat16")
    >>> policy.to_compute({"kernel": jnp.ones(2), "index": jnp.arange(2)})["kernel"].dtype.name
    'bfloat16'
    >>> policy.init() is None
    True
    """

    name: str
    compute: Any  # the type of products and activations; None: the type of the parameters
    scaling: LossScaling | None = None  # None: losses are not scaled

    def to_compute(self, tree: Any) -> Any:
        """Cast the floating arrays of a tree to the type of products and activations; other arrays stay."""
        return tree if self.compute is None else _cast(tree, self.compute)

    def to_full(self, tree: Any) -> Any:
        """Cast the floating arrays of a tree to float32, the type of sums; other arrays stay."""
        return tree if self.compute is None else _cast(tree, jnp.float32)

    def init(self) -> LossScale | None:
        """Return the loss scale of a new replica, or None where the policy has no scaling."""
        if self.scaling is None:
            return None
        scaling, none = self.scaling, jnp.zeros((), jnp.int32)
        dynamic = cast(Any, DynamicScale)(
            growth_factor=scaling.factor,
            backoff_factor=1 / scaling.factor,
            growth_interval=scaling.growth_interval,
            minimum_scale=scaling.floor,
            # Arrays, not Python numbers: each replica then has its own under vmap, and jit keeps both.
            fin_steps=none,
            scale=jnp.asarray(scaling.initial, jnp.float32),
        )
        return LossScale(dynamic, none, none)


DEFAULT_SCALING = LossScaling(*cast(Any, names.LOSS_SCALING.values()))

POLICIES = {
    "float32": Policy("float32", None),
    "bfloat16": Policy("bfloat16", jnp.bfloat16),
    "float16": Policy("float16", jnp.float16, DEFAULT_SCALING),
}


def resolve(name: str, scaling: LossScaling | None = None) -> Policy:
    """Return the policy called `name`.

    Args:
        name: a key of `POLICIES`.
        scaling: custom constants of loss scaling; policies without loss scaling ignore them.

    Returns:
        The policy.

    Raises:
        ValueError: the name is unknown; the message names the closest known name.

    Example:
        >>> resolve("float16").scaling.initial
        65536.0
        >>> float(resolve("float16", LossScaling(1024.0, 200, 2.0, 1.0)).init().dynamic.scale)
        1024.0
    """
    if name not in POLICIES:
        raise ValueError(f"no precision {name!r}; {nearest(name, POLICIES)}")
    policy = POLICIES[name]
    return policy._replace(scaling=scaling) if scaling and policy.scaling else policy


# The lowest compute capability at which an NVIDIA GPU multiplies faster in half precision than in float32. Tensor cores for
# float16 came with Volta, for bfloat16 with Ampere (CUDA C++ Programming Guide, "Compute capabilities").
FASTER_GPU = ((8.0, "bfloat16"), (7.0, "float16"))


def fastest(device: Any) -> str:
    """Choose the precision for `precision = "auto"`: half precision where the device is known to be faster in it.

    Args:
        device: a `jax.Device`; its platform decides, and on an NVIDIA GPU its compute capability.

    Returns:
        A key of `POLICIES`.

    Example:
        >>> fastest(jax.devices("cpu")[0])
        'float32'
    """
    if device.platform == "tpu":
        return "bfloat16"
    capability = str(getattr(device, "compute_capability", ""))
    known = device.platform in ("gpu", "cuda") and capability.replace(".", "", 1).isdigit()
    return next((name for least, name in FASTER_GPU if known and float(capability) >= least), "float32")


def advance(before: LossScale, dynamic: DynamicScale, finite: jax.Array) -> LossScale:
    """Return the loss scale after a step.

    Args:
        before: the loss scale before the step.
        dynamic: Flax's state after the step.
        finite: [] bool, whether all gradients of the step were finite; otherwise the step was skipped.
    """
    skipped = (~finite).astype(jnp.int32)
    return LossScale(dynamic, before.skipped_steps + skipped, (before.skips_in_a_row + 1) * skipped)


def exhausted(scale: LossScale) -> jax.Array:
    """Return whether the lowest scale overflowed `SKIPS_TO_DIVERGE` times in a row: [] bool."""
    at_floor = scale.dynamic.scale <= cast(float, scale.dynamic.minimum_scale)
    return at_floor & (scale.skips_in_a_row >= SKIPS_TO_DIVERGE)


def _cast(tree: Any, dtype: Any) -> Any:
    def cast_leaf(leaf: jax.Array) -> jax.Array:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast_leaf, tree)
