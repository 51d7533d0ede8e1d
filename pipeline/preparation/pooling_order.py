"""Reorder pools, activations and batch norms to Akida's order: batch norm, pool, activation."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.preparation.editing import pairs, swapped


def max_pool_before_activation(graph: Graph) -> Graph:
    """Swap ReLU (or leaky ReLU) > MaxPooling2D: a maximum commutes with an increasing function.

    A leaky ReLU of negative slope decreases below 0 and is not swapped; QuantizeML swaps it.
    """
    return _swap_all(graph, ("ReLU", "Activation"), ("MaxPooling2D",), _is_increasing)


def batchnorm_before_pool(graph: Graph) -> Graph:
    """Swap pool > BatchNormalization, so that the batch norm follows the layer into which it folds.

    A mean commutes with any batch norm; a maximum only with non-negative scales. A batch norm with
    negative scales is kept, and `unsupported` names it.
    """
    pools = ("MaxPooling2D", "GlobalAveragePooling2D")
    return _swap_all(graph, pools, ("BatchNormalization",), _keeps_maximum)


def _swap_all(graph, first, second, allowed):
    while True:
        found = next((p for p in pairs(graph, first, second) if allowed(*p)), None)
        if found is None:
            return graph
        if "BatchNormalization" in second:
            found = (found[0], found[1].with_attrs(axis=-1))
        graph = swapped(graph, *found)


def _is_increasing(activation, pool):
    if activation.op == "ReLU":
        return not activation.attrs["negative_slope"] and not activation.attrs["threshold"]
    return activation.attrs["activation"] == "leaky_relu" and activation.attrs["alpha"] >= 0


def _keeps_maximum(pool, batchnorm):
    return pool.op == "GlobalAveragePooling2D" or bool(np.all(batchnorm_factors(batchnorm)[0] >= 0))
