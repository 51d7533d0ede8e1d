"""Express every activation as one of Akida 2.0's two kinds: ReLU or look-up table."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph

_RELU = {"relu": None, "relu6": 6.0}
_SYNONYMS = {"silu": "swish"}


def split_activations(graph: Graph) -> Graph:
    """Replace ``Activation`` nodes that are ReLUs by ReLU; remove linear ones.

    Graphs have no fused activations (``Conv2D(activation="relu")``): importers split them.
    Importers also read a hard SiLU written as x * relu6(x + 3) / 6 as ``Activation("hard_silu")``,
    since graphs have no product of two tensors.
    """
    linear = {
        node.name
        for node in graph.nodes
        if node.op == "Activation" and node.attrs["activation"] == "linear"
    }
    touched = {
        node.name
        for node in graph.nodes
        if node.op == "Activation" and node.attrs["activation"] in (*_RELU, *_SYNONYMS)
    }
    if not linear and not touched:
        return graph

    def split(node):
        if node.name in linear:
            return []
        if node.name not in touched:
            return None
        kind = node.attrs["activation"]
        if kind in _RELU:
            return [make_node(node.name, "ReLU", node.inputs, {"max_value": _RELU[kind]})]
        return [node.with_attrs(activation=_SYNONYMS[kind])]

    return graph.rewrite(split)


def leaky_to_table(graph: Graph) -> Graph:
    """Replace LeakyReLU, PReLU with equal slopes and ReLU with a slope by leaky-ReLU tables.

    A PReLU with different slopes and a sloped ReLU with a maximum or threshold are kept: Akida has
    no such layer.
    """

    def split(node):
        slope = _slope(node)
        if slope is None:
            return None
        attrs = {"activation": "leaky_relu", "alpha": slope}
        return [make_node(node.name, "Activation", node.inputs, attrs)]

    if all(_slope(node) is None for node in graph.nodes):
        return graph
    return graph.rewrite(split)


def _slope(node):
    if node.op == "LeakyReLU":
        return float(node.attrs["negative_slope"])
    if node.op == "PReLU":
        slopes = node.weights["alpha"]
        return float(slopes.flat[0]) if np.all(slopes == slopes.flat[0]) else None
    if node.op == "ReLU" and node.attrs["negative_slope"]:
        bounded = node.attrs["max_value"] is not None or node.attrs["threshold"]
        return None if bounded else float(node.attrs["negative_slope"])
    return None
