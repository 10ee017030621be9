"""The layers' order, and one function over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("conv", "hidden")  # in this order, before the output


def layer_names(params: dict[str, Any]) -> tuple[str, ...]:
    """The layers first to last, `output` at the end (a dict that has been through `jit` is sorted by key).

    >>> layer_names({"hidden_10": 0, "hidden_2": 0, "output": 0})
    ('hidden_2', 'hidden_10', 'output')
    >>> layer_names({"hidden_1": 0, "conv_1": 0, "conv_2": 0, "output": 0})
    ('conv_1', 'conv_2', 'hidden_1', 'output')

    Raises:
        ValueError: a name that is none of `conv_N`, `hidden_N` and `output`: its place cannot be known.
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
    """What `function` says of every layer, stacked along a new first axis, first layer to last.

    Layers of one shape go through it together, under `vmap`: a deep network is traced and compiled once for each kind of layer,
    and not once for each layer.

    Args:
        function: of one layer of each tree; gives a tree of arrays whose shapes are the same for all layers.
        *trees: by layer, all of the same layers.
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
    found = [together(indices) for indices in kinds.values()]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[back], *found)
