"""What happens inside one network: pure functions from an `Observation` to a flat dict of named arrays.

Nothing here knows of replicas, training or files: `vmap` them over anything. Layers come first to last, hidden ones
before `output`; L counts them all, H the hidden ones.
"""

from jaxcompare.diagnostics.activations import activation_statistics, dead_units
from jaxcompare.diagnostics.gradients import gradient_flow, tree_norm, underflow
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
    "tree_norm",
    "underflow",
]
