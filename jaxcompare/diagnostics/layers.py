"""The order of a network's layers, and a function mapped over all layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("conv", "hidden")  # in this order, before the output


def layer_names(params: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a network's layers, first to last, `output` at the end.

    The order is read from the names, because `jax.jit` sorts a dict by its keys.

    Args:
        params: a dict by layer name; its values do not matter.

    Returns:
        The names: `conv_N` by number, `hidden_N` by number, `output`.

    Raises:
        ValueError: a name is none of `conv_N`, `hidden_N` and `output`, and its place is unknown.

    Example:
        >>> layer_names({"hidden_10": 0, "hidden_2": 0, "output": 0})
        ('hidden_2', 'hidden_10', 'output')
        >>> layer_names({"hidden_1": 0, "conv_1": 0, "conv_2": 0, "output": 0})
        ('conv_1', 'conv_2', 'hidden_1', 'output')
    """

    def position(name: str) -> tuple[int, int]:
        kind, _, digits = name.rpartition("_")
        if name == "output":
            return len(KINDS), 0
        if kind not in KINDS or not digits.isdecimal():
            raise ValueError(f"layer {name!r}: layers are called conv_1, conv_2 .., hidden_1, hidden_2 .. and output")
        return KINDS.index(kind), int(digits)

    return tuple(sorted(params, key=position))


def over_layers(function: Callable[..., Any], *trees: dict[str, Any]) -> Any:
    """Apply a function to every layer, and stack the results along a new first axis, first layer to last.

    Layers of equal shape are computed together, under `jax.vmap`. A deep network is thus traced and compiled once for each
    kind of layer, not once for each layer.

    Args:
        function: takes a layer of each tree, and returns a tree of arrays whose shapes are the same for all layers.
        *trees: dicts by layer name, all with the same layers.

    Returns:
        The function's tree of arrays, each with a new first axis [layers].

    Raises:
        ValueError: a layer's name is none of `conv_N`, `hidden_N` and `output`.

    Example:
        >>> over_layers(jnp.sum, {"hidden_1": jnp.ones((2, 3)), "output": jnp.ones(2)}).tolist()
        [6.0, 2.0]
    """
    kinds: dict[Any, list[int]] = {}
    rows = [tuple(tree[name] for tree in trees) for name in layer_names(trees[0])]
    for index, row in enumerate(rows):
        leaves, structure = jax.tree.flatten(row)
        kinds.setdefault((structure, *((leaf.shape, leaf.dtype) for leaf in leaves)), []).append(index)

    def together(indices: list[int]) -> Any:
        if len(indices) == 1:
            return jax.tree.map(lambda leaf: leaf[None], function(*rows[indices[0]]))
        return jax.vmap(function)(*jax.tree.map(lambda *leaves: jnp.stack(leaves), *[rows[index] for index in indices]))

    back = np.argsort([index for indices in kinds.values() for index in indices])
    results = [together(indices) for indices in kinds.values()]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[back], *results)
