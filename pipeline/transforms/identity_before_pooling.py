"""Give global averages a convolution to belong to, where they have none; equivalent."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation.editing import inserted
from pipeline.transforms.rewrite import Rewrite

BETWEEN = ("ReLU", "LeakyReLU", "PReLU", "Activation", "BatchNormalization", "Dropout")
POOLING = ("Conv2D", "SeparableConv2D")
"""Layers that Akida 2.0 lets average, once separable ones are split."""
JOINS = ("Add", "Concatenate")
"""Quantization puts an identity behind these by itself."""


def identity_before_pooling(graph: Graph, options=None, images=None) -> Rewrite:
    """Put a 1x1 identity Conv2D before averages that no convolution can absorb (equivalent).

    These are averages behind depthwise and transposed convolutions, behind a max pooling, of the
    input, and of a tensor that other layers read too.

    Parameters
    ----------
    graph : Graph
    options, images
        Not used.
    """
    changed = []
    for node in graph.nodes:
        if node.op == "GlobalAveragePooling2D" and _homeless(graph, node):
            changed.append(node.name)
            source = node.inputs[0]
            graph = inserted(graph, source, identity(graph, source), readers={node.name})
    return Rewrite(graph=graph, changed=tuple(changed))


def identity(graph: Graph, source: str):
    """Return a 1x1 identity convolution that reads `source`."""
    channels = graph.shapes[source][-1]
    attrs = {"filters": channels, "kernel_size": 1, "padding": "same", "use_bias": False}
    kernel = np.eye(channels, dtype=np.float32)[None, None]
    name = graph.fresh_name(f"{source}/identity")
    return make_node(name, "Conv2D", [source], attrs, {"kernel": kernel})


def _homeless(graph, node):
    before = graph.node(node.inputs[0])
    while before.op in BETWEEN:
        if graph.sole_consumer(before) is None:
            return True
        before = graph.node(before.inputs[0])
    if before.op in JOINS:
        return False
    return before.op not in POOLING or graph.sole_consumer(before) is None
