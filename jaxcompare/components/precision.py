"""POLICIES: in which type a network computes, and dynamic loss scaling for the one that needs it.

Parameters and optimizer state stay in float32, products and activations are in the policy's type, and what is summed (softmax,
losses, norms, statistics) is in float32 again (Micikevicius et al. 2018). float16 has so small a range that gradients vanish
from it: the loss is multiplied by a scale before it is differentiated, the gradients are divided by it afterwards, and the
scale follows what overflows. The state machine is Flax's `DynamicScale`; `LossScale` carries it, for one replica:

    overflow:                       scale = max(scale * backoff, floor); finite = 0; the step is skipped
    finite, finite == interval:     scale = scale * factor;              finite = 0
    finite otherwise:                                                    finite = finite + 1
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax.training.dynamic_scale import DynamicScale

from jaxcompare.config import names
from jaxcompare.config.registry import nearest

# A replica whose scale is at the floor and that has skipped so many steps in a row will not recover: no scale is left to try.
SKIPS_TO_DIVERGE = 20


class LossScaling(NamedTuple):
    """The static numbers of dynamic loss scaling."""

    initial: float
    growth_interval: int  # finite steps in a row before the scale grows
    factor: float  # by which it grows, and shrinks
    floor: float  # the least scale


class LossScale(NamedTuple):
    """What a replica carries of loss scaling from one step to the next."""

    dynamic: DynamicScale  # scale [] float32, fin_steps [] int32
    skipped_steps: jax.Array  # [] int32, so far
    skips_in_a_row: jax.Array  # [] int32


class Policy(NamedTuple):
    """A precision."""

    name: str
    compute: Any  # the type of products and activations; None: that of the parameters
    scaling: LossScaling | None = None

    def to_compute(self, tree: Any) -> Any:
        """Floating arrays of a tree in the type of products and activations."""
        return tree if self.compute is None else _cast(tree, self.compute)

    def to_full(self, tree: Any) -> Any:
        """Floating arrays of a tree in the type of sums."""
        return tree if self.compute is None else _cast(tree, jnp.float32)

    def init(self) -> LossScale | None:
        """A fresh replica's loss scale; None where the policy has none."""
        if self.scaling is None:
            return None
        scaling, none = self.scaling, jnp.zeros((), jnp.int32)
        dynamic = cast(Any, DynamicScale)(
            growth_factor=scaling.factor,
            backoff_factor=1 / scaling.factor,
            growth_interval=scaling.growth_interval,
            minimum_scale=scaling.floor,
            # Arrays, not Python's numbers: so each replica has its own under vmap, and none is lost through jit.
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
    """The policy called `name`, with loss scaling of one's own where it has any.

    Raises:
        ValueError: an unknown name; the message has the closest known one.
    """
    if name not in POLICIES:
        raise ValueError(f"no precision {name!r}; {nearest(name, POLICIES)}")
    policy = POLICIES[name]
    return policy._replace(scaling=scaling) if scaling and policy.scaling else policy


# From which compute capability on an NVIDIA GPU has units for products of half precision that are faster than float32's:
# tensor cores for float16 came with Volta, for bfloat16 with Ampere (CUDA C++ Programming Guide, "Compute capabilities").
FASTER_GPU = ((8.0, "bfloat16"), (7.0, "float16"))


def fastest(device: Any) -> str:
    """The precision that `precision = "auto"` comes to: a half one only where the device is known to be faster in it.

    >>> import jax
    >>> fastest(jax.devices("cpu")[0])
    'float32'
    """
    if device.platform == "tpu":
        return "bfloat16"
    capability = str(getattr(device, "compute_capability", ""))
    known = device.platform in ("gpu", "cuda") and capability.replace(".", "", 1).isdigit()
    return next((name for least, name in FASTER_GPU if known and float(capability) >= least), "float32")


def advance(before: LossScale, dynamic: DynamicScale, finite: jax.Array) -> LossScale:
    """The loss scale after a step whose gradients were `finite` [] or not."""
    skipped = (~finite).astype(jnp.int32)
    return LossScale(dynamic, before.skipped_steps + skipped, (before.skips_in_a_row + 1) * skipped)


def exhausted(scale: LossScale) -> jax.Array:
    """Whether no smaller scale is left to try, and the least one overflowed many times in a row: [] bool."""
    at_floor = scale.dynamic.scale <= cast(float, scale.dynamic.minimum_scale)
    return at_floor & (scale.skips_in_a_row >= SKIPS_TO_DIVERGE)


def _cast(tree: Any, dtype: Any) -> Any:
    def one(leaf: jax.Array) -> jax.Array:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)
