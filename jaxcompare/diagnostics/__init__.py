"""What happens inside a network: pure functions from arrays to arrays, or to a flat dict of named arrays.

The functions know nothing of replicas, training or files: `jax.vmap` them over any axis. Most take an `Observation`, or
parts of it. Layers are ordered first to last, hidden layers before `output`. L counts all layers, H the hidden layers.

    activations.py   dead, zero and saturated units, moments of activations
    gradients.py     norms of gradients, parameters and updates; underflow in half precision
    histograms.py    counts of activations and gradients in fixed bins
    layers.py        the order of layers, and a function mapped over all layers
"""

from jaxcompare.diagnostics.activations import activation_statistics, dead_units
from jaxcompare.diagnostics.gradients import gradient_flow, scaled_norm, tree_norm, underflow
from jaxcompare.diagnostics.histograms import gradient_histograms, histogram, layer_histograms
from jaxcompare.diagnostics.layers import layer_names, over_layers

__all__ = [
    "activation_statistics",
    "dead_units",
    "gradient_flow",
    "gradient_histograms",
    "histogram",
    "layer_histograms",
    "layer_names",
    "over_layers",
    "scaled_norm",
    "tree_norm",
    "underflow",
]
